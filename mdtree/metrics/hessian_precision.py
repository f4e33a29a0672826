"""When to ask whether the Hessian of a member is known well enough, and how well it is known."""

from __future__ import annotations

from mdtree.landscape import LanczosResult, Trace
from mdtree.metrics.precision import MembersSoFar, known, of_probes
from mdtree.rows import Running

__all__ = ["Asked", "reach_of_top", "reach_of_trace"]

# Few times, since each question costs as much as a product of a small network.
_STEPS = (4, 6, 8, 12, 16, 24, 32, 48)
_PROBES = (4, 8, 16, 32, 64)
_RESIDUALS = 3.0  # that an eigenvalue may be above its Ritz value
_LEAST = 0.01  # of the eigenvalue: never less than the tolerance


class Asked:
    """Asks after some blocks whether the running values are enough, and remembers the answers."""

    def __init__(self, so_far: MembersSoFar) -> None:
        self._so_far = so_far
        self.top: Running | None = None  # once Lanczos has ended
        self.told: set[str] = set()  # to stop: top, trace

    def about_top(self, ritz: LanczosResult) -> bool:
        """Ask after some steps of Lanczos."""
        if not self._so_far.asks or len(ritz.values) not in _STEPS:
            return False
        return self._is_told("top", {"hessian_top": reach_of_top(ritz)})

    def about_trace(self, trace: Trace) -> bool:
        """Ask after some blocks of probes, with what is left open of the eigenvalue."""
        if not self._so_far.asks or trace.probes not in _PROBES or self.top is None:
            return False
        now = {"hessian_top": self.top, "hessian_trace": reach_of_trace(trace)}
        return self._is_told("trace", now)

    def _is_told(self, name: str, now: dict[str, Running]) -> bool:
        is_told = self._so_far.may_stop(now)
        if is_told:
            self.told.add(name)
        return is_told


def reach_of_top(ritz: LanczosResult) -> Running:
    """Return how far the largest eigenvalue may be: Ritz values approach it from below."""
    if ritz.converged:
        return known(ritz.top)
    residual = max(_RESIDUALS * float(ritz.residuals[-1]), _LEAST * abs(ritz.top))
    return Running(value=ritz.top, reach=(ritz.top, ritz.top + residual))


def reach_of_trace(trace: Trace) -> Running:
    """Return where the trace may be; within the tolerance it counts as known."""
    if trace.converged:
        return known(trace.value)
    return of_probes(trace.value, trace.stderr, trace.probes)
