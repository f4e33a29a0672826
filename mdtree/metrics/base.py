"""The interface of metrics: their input, their result and their cost.

A metric is a function of its input.  It uses no files, no command line and no other metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from mdtree.datasets import Data
from mdtree.landscape import ComputeCost, ModelRunner, TrainedCurve
from mdtree.models import Weights
from mdtree.rows import Detail, Enough, Missing, Running, Stopped, Value
from mdtree.training.loop import Training

__all__ = ["Metric", "MetricInput", "MetricResult", "Workload", "needs_two"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The size of the work of a metric, from which its cost is estimated."""

    members: int
    train_items: int
    test_items: int
    full_items: int  # training items before the subset of `amount` was drawn
    protocol: str
    training: Training | None = None
    has_curve: bool = False  # another metric trains the curve of the first pair
    quantities: tuple[str, ...] = ()  # that were asked for; none: all

    def wants(self, quantity: str) -> bool:
        """Say whether a quantity was asked for."""
        return not self.quantities or quantity in self.quantities

    @property
    def pairs(self) -> int:
        """Number of pairs of neighbours in the order of names."""
        return max(self.members - 1, 0)


@dataclass(frozen=True, kw_only=True)
class MetricInput:
    """A group, ready to be measured, with its weights on the device."""

    runner: ModelRunner
    members: Mapping[str, Weights]  # name -> weights, in order of name
    data: Data
    protocol: str
    seed: int
    training: Training | None = None  # how the members were trained, if the recipe says it
    hessian_limit: int = 1  # times the steps and probes of the protocol, at most
    notes: tuple[str, ...] = ()  # what was left out of the data
    # trained curves by the place of their pair, where several metrics need them; None: not kept
    curves: dict[int, TrainedCurve] | None = None
    quantities: tuple[str, ...] = ()  # that were asked for; none: all
    enough: Enough | None = None  # asked between blocks of work; None: to the full tolerance
    # of members that a verdict stopped, to go on from there; None: it is not kept
    unfinished: dict[str, dict[str, Tensor]] | None = None

    def wants(self, quantity: str) -> bool:
        """Say whether a quantity was asked for; a metric may leave out the work for others."""
        return not self.quantities or quantity in self.quantities

    def workload(self, metrics: Iterable[str] = ()) -> Workload:
        """Return the size of the work, where these metrics are measured together."""
        return Workload(
            members=len(self.members),
            train_items=len(self.data.train),
            test_items=0 if self.data.test is None else len(self.data.test),
            full_items=self.data.full,
            protocol=self.protocol,
            training=self.training,
            has_curve="connectivity" in metrics,
            quantities=self.quantities,
        )


@dataclass(frozen=True)
class MetricResult:
    """The values of a metric, with details and notes."""

    values: Mapping[str, Value]  # quantity -> value
    details: Mapping[str, Detail] = field(default_factory=dict)  # for plots
    notes: tuple[str, ...] = ()  # choices made while measuring
    stopped: Mapping[str, Stopped] = field(default_factory=dict)  # of iterative methods
    open: Mapping[str, Running] = field(default_factory=dict)  # stopped before their tolerance

    @property
    def reach(self) -> dict[str, tuple[float, float]] | None:
        """Where the quantities may end that a verdict stopped; None if there are none."""
        return {name: running.reach for name, running in self.open.items()} or None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One entry of the table of metrics."""

    name: str
    quantities: tuple[str, ...]  # names in the vocabulary
    of_tokens: tuple[str, ...] = ()  # names that are measured only where tokens are predicted
    compute: Callable[[MetricInput], MetricResult]
    cost: Callable[[Workload], ComputeCost]
    on_request: bool = False  # measured only if requested by name
    # what it does beside running networks, in seconds on one core; groups with equal data share it
    seconds: Callable[[Data], float] | None = None
    # of one that runs no network: the seconds that it takes for the weights of all members
    weights_seconds: Callable[[Iterable[Weights]], float] | None = None


def needs_two(quantities: tuple[str, ...], count: int) -> MetricResult:
    """Return missing quantities for a group with too few checkpoints to form a pair."""
    missing = Missing(missing=f"needs 2 checkpoints, found {count}")
    return MetricResult(dict.fromkeys(quantities, missing))
