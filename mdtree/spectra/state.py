"""The state of a layer, as far as its spectrum reveals it reliably.

An untrained matrix has an alpha too, and half of the time it is between 2 and 6 (128 x 128).  So
alpha counts only if eigenvalues stand out of the bulk of a random matrix, and if the power law
fits.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["LEAST_EIGENVALUES", "TRAP", "State", "state_of"]

LEAST_EIGENVALUES = 8
TRAP = 5.0  # scales above the edge, of the shuffled entries
_POOR_DISTANCE = 0.12
_SHORT_TAIL = 10
_OVER, _UNDER = 2.0, 6.0


class State(Enum):
    """The state of a layer."""

    NONE = "no spectrum"  # not finite, or zero
    SMALL = "too small"
    TRAP = "trap"  # only single huge weights stand out
    RANDOM = "random-like"  # no eigenvalue stands out
    POOR = "poorly fit"  # no power law
    OVER = "over-trained"  # alpha < 2
    USUAL = "2 to 6"  # as in well trained networks
    UNDER = "under-trained"  # alpha > 6


def state_of(
    *,
    alpha: float | None,
    distance: float | None,
    tail: float | None,
    spikes: float,
    huge: int,
    small: bool,
) -> State:
    """Return the state of a layer; `huge` counts the entries that make traps."""
    conditions = {
        State.SMALL: small,
        State.RANDOM: spikes == 0,
        State.TRAP: spikes <= huge,
        State.POOR: alpha is None or (distance or 0) > _POOR_DISTANCE or (tail or 0) < _SHORT_TAIL,
        State.OVER: (alpha or 0) < _OVER,
        State.USUAL: (alpha or 0) <= _UNDER,
        State.UNDER: True,
    }
    return next(state for state, holds in conditions.items() if holds)
