"""What every metric gets and gives.

A metric is a function of a subject.  It touches no disk, no command line and no other metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mdtree.datasets import Data
from mdtree.landscape import ComputeCost, ModelRunner
from mdtree.models import Weights
from mdtree.rows import Detail, Missing, Value
from mdtree.training.loop import Training

__all__ = ["Metric", "MetricInput", "MetricResult", "Workload", "needs_two"]


@dataclass(frozen=True, kw_only=True)
class MetricInput:
    """A group, ready to be measured. The weights already lie on the device."""

    runner: ModelRunner
    members: Mapping[str, Weights]  # name -> weights, in order of name
    data: Data
    protocol: str
    seed: int
    training: Training | None = None  # how the members were trained, where the recipe says it


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a metric will meet: enough to tell its cost beforehand."""

    members: int
    train_items: int
    test_items: int
    full_items: int  # training items before `amount` was taken
    protocol: str
    training: Training | None = None

    @property
    def pairs(self) -> int:
        """Count the pairs of neighbours in the order of names."""
        return max(self.members - 1, 0)


@dataclass(frozen=True)
class MetricResult:
    """What a metric found out."""

    values: Mapping[str, Value]  # quantity -> value
    details: Mapping[str, Detail] = field(default_factory=dict)  # for pictures
    notes: tuple[str, ...] = ()  # choices that were made on the way


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One entry of the table of metrics."""

    name: str
    quantities: tuple[str, ...]  # names in the vocabulary
    compute: Callable[[MetricInput], MetricResult]
    cost: Callable[[Workload], ComputeCost]
    on_request: bool = False  # left out unless it is asked for by name


def needs_two(quantities: tuple[str, ...], count: int) -> MetricResult:
    """Say that pairs cannot be compared where there is one checkpoint."""
    missing = Missing(missing=f"needs 2 checkpoints, found {count}")
    return MetricResult(dict.fromkeys(quantities, missing))
