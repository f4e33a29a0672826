"""The interface of metrics: their input, their result and their cost.

A metric is a function of its input.  It uses no files, no command line and no other metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mdtree.datasets import Data
from mdtree.landscape import ComputeCost, ModelRunner
from mdtree.models import Weights
from mdtree.rows import Detail, Enough, Missing, Running, Stopped, Value
from mdtree.training.loop import Training

__all__ = ["Metric", "MetricInput", "MetricResult", "Workload", "needs_two"]


@dataclass(frozen=True, kw_only=True)
class MetricInput:
    """A group, ready to be measured, with its weights on the device."""

    runner: ModelRunner
    members: Mapping[str, Weights]  # name -> weights, in order of name
    data: Data
    protocol: str
    seed: int
    training: Training | None = None  # how the members were trained, if the recipe says it
    notes: tuple[str, ...] = ()  # what was left out of the data
    enough: Enough | None = None  # asked between blocks of work; None: to the full tolerance


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The size of the work of a metric, from which its cost is estimated."""

    members: int
    train_items: int
    test_items: int
    full_items: int  # training items before the subset of `amount` was drawn
    protocol: str
    training: Training | None = None

    @property
    def pairs(self) -> int:
        """Number of pairs of neighbours in the order of names."""
        return max(self.members - 1, 0)


@dataclass(frozen=True)
class MetricResult:
    """The values of a metric, with details and notes."""

    values: Mapping[str, Value]  # quantity -> value
    details: Mapping[str, Detail] = field(default_factory=dict)  # for plots
    notes: tuple[str, ...] = ()  # choices made while measuring
    stopped: Mapping[str, Stopped] = field(default_factory=dict)  # of iterative methods
    open: Mapping[str, Running] = field(default_factory=dict)  # stopped before their tolerance


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One entry of the table of metrics."""

    name: str
    quantities: tuple[str, ...]  # names in the vocabulary
    of_tokens: tuple[str, ...] = ()  # names that are measured only where tokens are predicted
    compute: Callable[[MetricInput], MetricResult]
    cost: Callable[[Workload], ComputeCost]
    on_request: bool = False  # measured only if requested by name


def needs_two(quantities: tuple[str, ...], count: int) -> MetricResult:
    """Return missing quantities for a group with too few checkpoints to form a pair."""
    missing = Missing(missing=f"needs 2 checkpoints, found {count}")
    return MetricResult(dict.fromkeys(quantities, missing))
