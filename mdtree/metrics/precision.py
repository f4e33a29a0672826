"""How far a quantity may still move while it is measured, and whether that is enough.

After a block of work a metric tells the running value of each of its quantities with the two ends
between which the final value lies in 99 of 100 cases, and is told whether it may stop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mdtree.rows import Enough, Running, Stopped

__all__ = ["Inquiry", "known", "mean_of", "of_probes", "stopped_by"]

_QUANTILE = 0.995  # of both ends together: 99 %


def known(value: float) -> Running:
    """Return a value that more work would not change."""
    return Running(value=value, reach=(value, value))


def of_probes(value: float, stderr: float, count: int, most: int) -> Running:
    """Return a mean over n of at most N random probes, with the ends for the mean over all.

    With the standard error s of the n probes, they are

        v +- t s sqrt(1 - n / N),     t: the 99.5 % quantile of Student with n - 1 degrees ,

    since the standard error of four probes is not known well itself, and since the probes so far
    are part of the final mean.
    """
    if count < 2:  # noqa: PLR2004 - a spread
        return Running(value=value, reach=(-math.inf, math.inf))
    import scipy.special  # loading it takes a tenth of the time of torch

    quantile = float(scipy.special.stdtrit(count - 1, _QUANTILE))
    width = quantile * stderr * math.sqrt(max(1 - count / most, 0.0))
    return Running(value=value, reach=(value - width, value + width))


def mean_of(members: Sequence[Running]) -> Running:
    """Return the mean over members; their errors are taken to have the same sign, the worst case.

    >>> mean_of([Running(value=1.0, reach=(0.0, 3.0)), Running(value=2.0, reach=(2.0, 2.0))])
    Running(value=1.5, reach=(1.0, 2.5))
    """
    count = len(members)
    first, second = (sum(member.reach[end] for member in members) / count for end in (0, 1))
    return Running(value=sum(member.value for member in members) / count, reach=(first, second))


@dataclass(kw_only=True)
class Inquiry:
    """Members, or pairs of them, that are measured in turn until their means are enough.

    Nothing is asked before something is known of each of them.
    """

    enough: Enough | None  # None: nobody wants to stop before the tolerance
    parts: int  # members or pairs
    latest: dict[str, Mapping[str, Running]] = field(default_factory=dict)  # part -> quantities
    is_settled: bool = False  # whether it was enough when it was asked last

    @property
    def asks(self) -> bool:
        """Whether anybody wants to stop before the tolerance."""
        return self.enough is not None

    def is_enough_with(self, part: str, now: Mapping[str, Running]) -> bool:
        """Return whether the means are enough, with what is known of a member now."""
        self.latest[part] = now
        if self.enough is not None and len(self.latest) == self.parts:
            self.is_settled = self.enough(self.means())
        return self.is_settled

    def means(self) -> dict[str, Running]:
        """Return the mean of each quantity over the members."""
        parts = list(self.latest.values())
        return {name: mean_of([part[name] for part in parts]) for name in parts[0]}


def stopped_by(members: Iterable[tuple[bool, bool]]) -> Stopped:
    """Return what stopped the members, from (converged, stopped before its end) of each."""
    outcomes = list(members)
    if any(is_early for _, is_early in outcomes):
        return "verdict"
    return "tolerance" if all(converged for converged, _ in outcomes) else "budget"
