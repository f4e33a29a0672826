"""The Hessian of a member in parts: how far to go next, and how well it is known by then.

First four steps of Lanczos and four probes; then Lanczos goes on to its end, then the probes.  Each
part goes on where the one before stopped, with the same random numbers, so that in the end the
numbers are those of a measurement in one part, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mdtree.landscape import (
    Hessian,
    LanczosResult,
    Space,
    Trace,
    estimate_trace,
    forms_outside,
    generator,
    lanczos,
)
from mdtree.metrics.base import MetricInput
from mdtree.metrics.budgets import StandardHessian
from mdtree.metrics.precision import Inquiry, known, of_probes
from mdtree.rows import Running

__all__ = ["HessianParts", "MemberHessian", "Source", "advanced"]

_FIRST = 4  # steps and probes; then twice as many, since each question costs about a product
_LARGE = ("basis", "following", "products")  # as long as the weights
_MOST = 6 << 30  # bytes of what is known of members that wait
_RESIDUALS = 3.0  # that an eigenvalue may be above its Ritz value
_LEAST = 0.01  # of the eigenvalue: never less than the tolerance


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the random numbers of a member begin."""

    seed: int
    place: int

    def begin(self, hessian: Hessian) -> tuple[Tensor, torch.Generator]:
        """Return the start of Lanczos, and the source of the probes after it."""
        source = generator(self.seed, "hessian probes", self.place)
        return hessian.random(source), source


@dataclass(frozen=True, kw_only=True)
class MemberHessian:
    """What is known of the Hessian of a member."""

    ritz: LanczosResult
    trace: Trace | None  # None: it was not asked for
    top_ended: bool
    trace_ended: bool

    @property
    def ended(self) -> bool:
        """Whether more work would change nothing."""
        return self.top_ended and self.trace_ended

    def running(self, budget: StandardHessian) -> dict[str, Running]:
        """Return where both numbers may end."""
        numbers = {"hessian_top": self._top()}
        if self.trace is not None:
            numbers["hessian_trace"] = self._trace(self.trace, budget)
        return numbers

    def _top(self) -> Running:
        """Return how far the largest eigenvalue may be: Ritz values approach it from below."""
        value = self.ritz.top
        if self.top_ended:
            return known(value)
        aside = max(_RESIDUALS * float(self.ritz.residuals[-1]), _LEAST * abs(value))
        return Running(value=value, reach=(value, value + aside))

    def _trace(self, trace: Trace, budget: StandardHessian) -> Running:
        if self.trace_ended:
            return known(trace.value)
        return of_probes(trace.value, trace.stderr, trace.probes, budget.probes)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is needed to go on, to be kept in a file."""
        ritz, trace = self.ritz, self.trace
        tensors = {
            "basis": ritz.basis,
            "following": ritz.following,
            "diagonal": torch.as_tensor(ritz.diagonal),
            "off_diagonal": torch.as_tensor(ritz.off_diagonal),
            "density": torch.as_tensor(np.stack([ritz.nodes, ritz.weights])),
            "counts": torch.tensor([ritz.steps, ritz.kept]),
            "flags": torch.tensor([ritz.converged, self.top_ended, self.trace_ended]),
        }
        if trace is not None:
            numbers = [trace.value, trace.stderr, float(trace.converged)]
            tensors["trace"] = torch.tensor(numbers, dtype=torch.float64)
            tensors["forms"] = torch.tensor(trace.forms, dtype=torch.float64)
            if trace.products is not None:
                tensors["products"] = trace.products
        return {name: tensor.detach().cpu() for name, tensor in tensors.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], hessian: Hessian) -> MemberHessian:
        """Return what was kept, where the Hessian is."""
        tensors = {
            name: tensor.to(hessian.runner.device) if name in _LARGE else tensor
            for name, tensor in tensors.items()
        }
        converged, top_ended, trace_ended = tensors["flags"].tolist()
        nodes, weights = tensors["density"].numpy()
        steps, kept = tensors["counts"].tolist()
        space = Space(
            diagonal=tensors["diagonal"].tolist(),
            off_diagonal=tensors["off_diagonal"].tolist(),
            steps=steps,
            kept=kept,
            density=(nodes, weights),
        )
        ritz = LanczosResult.of(space, tensors["basis"], tensors["following"])
        ritz = replace(ritz, converged=converged)
        trace = None
        if "trace" in tensors:
            value, stderr, is_within = tensors["trace"].tolist()
            forms = tuple(tensors["forms"].tolist())
            trace = Trace(
                value=value,
                stderr=stderr,
                probes=len(forms),
                converged=bool(is_within),
                forms=forms,
                products=tensors.get("products"),
            )
        return cls(ritz=ritz, trace=trace, top_ended=top_ended, trace_ended=trace_ended)


class HessianParts:
    """The members of a group, measured in parts until nobody wants to know more.

    Where there are several, each is measured a part further in turn.  What is known of those that
    wait is in the memory of the machine; once it is full, the next ones go to their end.
    """

    def __init__(self, metric_input: MetricInput) -> None:
        self._members = list(metric_input.members)
        is_asked = metric_input.protocol != "paper-1"
        self.inquiry = Inquiry(
            enough=metric_input.enough if is_asked else None, parts=len(self._members)
        )
        self.ended: set[str] = set()  # members that more work would not change
        self.is_alone = False  # the member that is measured now is the last of them
        unfinished = metric_input.unfinished
        self._known: dict[str, dict[str, Tensor]] = {} if unfinished is None else unfinished

    def turns(self) -> Iterator[tuple[int, str]]:
        """Yield places and names of members to measure further."""
        while waiting := [each for each in enumerate(self._members) if each[1] not in self.ended]:
            self.is_alone = len(waiting) == 1
            for each in waiting:
                yield each
                if self.inquiry.is_settled:
                    return
        self._known.clear()

    def known(self, name: str, hessian: Hessian) -> MemberHessian | None:
        """Return what is known of a member."""
        tensors = self._known.get(name)
        return None if tensors is None else MemberHessian.of(tensors, hessian)

    def keep(self, name: str, member: MemberHessian) -> None:
        """Keep what is known of a member, if it can be measured further."""
        if member.ended:
            self.ended.add(name)
        self._known.pop(name, None)
        if self.inquiry.asks and not self.is_full:
            self._known[name] = member.tensors()

    @property
    def is_full(self) -> bool:
        """Whether what is known takes all the memory that it may take."""
        tensors = (tensor for known in self._known.values() for tensor in known.values())
        return sum(each.numel() * each.element_size() for each in tensors) > _MOST


def advanced(
    budget: StandardHessian,
    hessian: Hessian,
    source: Source,
    before: MemberHessian | None,
    *,
    whole: bool,
    wants_trace: bool,
) -> MemberHessian:
    """Go on from what is known of a member, to the next question, or as far as the budget goes."""
    steps, probes = (budget.steps, budget.probes) if whole else _goal(budget, before)
    start, draws = source.begin(hessian)
    if before is not None and before.top_ended:
        ritz, top_ended = before.ritz, True
    else:
        ritz = lanczos(
            hessian.product,
            start,
            steps=steps,
            tolerance=budget.tolerance,
            least=budget.least_steps,  # the density and the space of the trace need them, too
            risk=0.0 if wants_trace else budget.risk,
            earlier=None if before is None else before.ritz,
        )
        top_ended = ritz.converged or ritz.steps >= budget.steps
    if not wants_trace:
        return MemberHessian(ritz=ritz, trace=None, top_ended=top_ended, trace_ended=True)
    earlier = None if before is None else before.trace
    known: tuple[float, ...] = ()
    products = None if earlier is None else earlier.products
    if before is not None and earlier is not None:
        known = earlier.forms
        if ritz.steps > before.ritz.steps and ritz.kept:
            known, products = (), None  # a part of the smaller space has been let go
        elif products is not None and ritz.steps > before.ritz.steps:
            known = forms_outside(ritz, products, source.begin(hessian)[1])
    trace = estimate_trace(
        hessian.products,
        ritz.basis,
        float(ritz.diagonal.sum()),
        source=draws,
        tolerance=budget.stderr,
        least=budget.least_probes,
        budget=probes,
        known=known,
        keep=not top_ended,
    )
    products = trace.products if products is None else products  # of the smallest basis
    is_within = trace.converged and trace.probes >= budget.least_probes
    is_exact = trace.probes == 0
    return MemberHessian(
        ritz=ritz,
        trace=replace(trace, products=None if top_ended else products),
        top_ended=top_ended,
        trace_ended=top_ended and (is_within or is_exact or trace.probes >= budget.probes),
    )


def _goal(budget: StandardHessian, before: MemberHessian | None) -> tuple[int, int]:
    """Return the steps and the probes at which it is asked next."""
    if before is None:
        return min(_FIRST, budget.steps), min(_FIRST, budget.probes)
    done = _FIRST if before.trace is None else max(before.trace.probes, 1)
    if before.top_ended:
        return budget.steps, min(2 * done, budget.probes)
    return min(2 * before.ritz.steps, budget.steps), min(done, budget.probes)
