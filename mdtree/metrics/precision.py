"""How far a quantity may still move while it is measured, and whether that is enough.

After a block of work a metric tells the running value of each of its quantities with the two ends
between which the final value lies in 99 of 100 cases, and is told whether it may stop.  The ends of
a mean over random probes with value v and standard error s are

    v +- t s,      t: the 99.5 % quantile of Student's distribution with (probes - 1) degrees ,

because the standard error of four probes is not known well itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import scipy.special

from mdtree.rows import Enough, Running, Stopped

__all__ = ["MembersSoFar", "known", "mean_of", "of_probes", "still_open", "stopped_by"]

_QUANTILE = 0.995  # of both ends together: 99 %


def known(value: float) -> Running:
    """Return a value that more work would not change."""
    return Running(value=value, reach=(value, value))


def of_probes(value: float, stderr: float, count: int) -> Running:
    """Return a mean over so many random probes with its ends."""
    width = math.inf if count < 2 else float(scipy.special.stdtrit(count - 1, _QUANTILE)) * stderr  # noqa: PLR2004 - a spread
    return Running(value=value, reach=(value - width, value + width))


def mean_of(members: Sequence[Running]) -> Running:
    """Return the mean over members; their errors are taken to have the same sign, the worst case.

    >>> mean_of([Running(value=1.0, reach=(0.0, 3.0)), Running(value=2.0, reach=(2.0, 2.0))])
    Running(value=1.5, reach=(1.0, 2.5))
    """
    count = len(members)
    first, second = (sum(member.reach[end] for member in members) / count for end in (0, 1))
    values = [member.value for member in members if member.value is not None]
    mean = sum(values) / count if len(values) == count else None
    return Running(value=mean, reach=(first, second))


@dataclass(kw_only=True)
class MembersSoFar:
    """Members, or pairs of them, that are measured one after the other: what their mean may be.

    Those that are still to come are taken to be like those before.
    """

    enough: Enough | None
    done: list[Mapping[str, Running]] = field(default_factory=list)

    @property
    def asks(self) -> bool:
        """Whether anybody wants to stop before the tolerance."""
        return self.enough is not None

    def may_stop(self, now: Mapping[str, Running]) -> bool:
        """Return whether the running values of the current member are enough."""
        if self.enough is None:
            return False
        means = {
            name: mean_of([*(member[name] for member in self.done if name in member), running])
            for name, running in now.items()
        }
        return self.enough(means)


def stopped_by(members: Iterable[tuple[bool, bool]]) -> Stopped:
    """Return what stopped the members, from (converged, told to stop) of each."""
    outcomes = list(members)
    if any(told for _, told in outcomes):
        return "verdict"
    return "tolerance" if all(converged for converged, _ in outcomes) else "budget"


def still_open(
    stopped: Mapping[str, Stopped], members: Sequence[Mapping[str, Running]]
) -> dict[str, Running]:
    """Return where the means of quantities may end that a verdict stopped for some member."""
    return {
        name: mean_of([member[name] for member in members])
        for name, rule in stopped.items()
        if rule == "verdict"
    }
