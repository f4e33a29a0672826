"""A fitted tree with everything that it is based on, saved as readable, diffable JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from mdtree.exceptions import ProtocolError
from mdtree.failure_modes import COMPARISONS, REMEDIES, TASKS
from mdtree.rows import Row
from mdtree.trees.arrays import Floats
from mdtree.trees.feature_values import feature_matrix
from mdtree.trees.features import FEATURES
from mdtree.trees.file_numbers import STRICT, Limits
from mdtree.trees.gain_model import STEPS, GainModel
from mdtree.trees.node import Leaf, Node, ends, leaves
from mdtree.trees.ood import OutOfDistribution, TrainingDistribution

if TYPE_CHECKING:
    from mdtree.trees.binning import BinnedCounts

__all__ = [
    "FORMAT",
    "LARGEST",
    "PlainTree",
    "SavedTree",
    "check_size",
    "check_words",
    "probabilities",
]

FORMAT = 1
LARGEST = 1 << 24  # bytes of a file
_MOST_NODES = 20_000
_DEEPEST = 100  # nodes on a way down


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainTree:
    """A tree, the question that it answers, and a description of its training groups."""

    __pydantic_config__ = STRICT

    task: str
    method: str  # cart | mdtree | posterior | grown | gains
    protocol: str  # rows of another protocol are refused
    classes: tuple[str, ...]
    features: tuple[str, ...]  # the columns that it can use
    groups: Annotated[int, Limits(ge=0)]  # that it was fitted on
    ranges: Mapping[str, tuple[float, float]]  # of each feature in these groups
    provenance: Mapping[str, str]
    tree: Node
    population: TrainingDistribution | None = None  # what the training groups look like


@dataclass(frozen=True, kw_only=True)
class SavedTree(PlainTree):
    """A tree, with the tables that decide where the tree alone does not."""

    components: tuple[tuple[float, BinnedCounts], ...] = ()  # of a posterior
    gain_model: GainModel | None = None  # if present, it decides, and the tree explains

    def matrix(self, rows: Sequence[Row], *, allow_protocol_mismatch: bool = False) -> Floats:
        """Return the features of rows.

        Raises:
            ProtocolError: If rows have another protocol, and that is not allowed.

        """
        others = sorted({row.protocol for row in rows} - {self.protocol})
        if others and not allow_protocol_mismatch:
            raise ProtocolError(
                f"the tree was fitted to rows of protocol {self.protocol!r}, but these rows have "
                f"{', '.join(map(repr, others))}: numbers of different protocols are not "
                "comparable. Measure again, use another tree, or add --allow-protocol-mismatch"
            )
        return feature_matrix(rows, self.features)

    def outliers(self, lines: Floats) -> list[OutOfDistribution | None]:
        """Compare lines with the training groups; None if a distance cannot be computed."""
        if self.population is None or not self.population.names:
            return [None] * len(lines)
        columns = [self.features.index(name) for name in self.population.names]
        distances, limits = self.population.distances(lines[:, columns])
        return [
            None
            if math.isnan(distance)
            else OutOfDistribution(
                distance=float(distance), limit=float(limit), beyond=self._beyond(line)
            )
            for line, distance, limit in zip(lines, distances, limits, strict=True)
        ]

    def _beyond(self, line: Floats) -> tuple[str, ...]:
        """Return the features that lie outside the range of all training groups."""
        values = dict(zip(self.features, line.tolist(), strict=True))
        return tuple(
            name
            for name, (low, high) in self.ranges.items()
            if values[name] < low or values[name] > high
        )


def probabilities(saved: SavedTree, matrix: Floats) -> Floats:
    """Return the probability of each class for each line of features.

    A posterior averages over all plausible trees, and a gain regression weighs its gains; any other
    tree takes the shares of the training groups in the leaf.
    """
    if saved.gain_model is not None:
        return saved.gain_model.probabilities(matrix, saved.features, saved.classes)
    columns = {name: number for number, name in enumerate(saved.features)}
    if saved.components:
        from mdtree.trees.posterior import averaged, posterior  # late: many trees have none

        posteriors = [(weight, posterior(binned)) for weight, binned in saved.components]
        return averaged(posteriors, matrix, columns)
    shares = np.zeros((len(matrix), len(saved.classes)))
    for leaf, lines in ends(saved.tree, matrix, columns):
        counts = np.array([leaf.counts.get(name, 0.0) for name in saved.classes])
        if not counts.any():  # no group ended here: only the leaf's answer is known
            counts = np.array([float(name == leaf.answer) for name in saved.classes])
        shares[lines] = counts / counts.sum()
    return shares


def check_size(root: Any, below: Callable[[Any], Iterable[Any]]) -> None:
    """Raise ValueError if a tree is too large or too deep; a cycle is too deep."""
    nodes, level = 0, [root]
    for _ in range(_DEEPEST):
        nodes += len(level)
        if nodes > _MOST_NODES:
            raise ValueError(f"it has more than {_MOST_NODES} nodes")
        level = [child for part in level for child in below(part)]
        if not level:
            return
    raise ValueError(f"it is more than {_DEEPEST} nodes deep, or contains a cycle")


def check_words(saved: SavedTree) -> None:
    """Raise ValueError if the names and numbers of a tree contradict each other."""
    for kind, names in (("classes", saved.classes), ("features", saved.features)):
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{kind} must be one or more distinct names, got {', '.join(names)}")
    for name in saved.features:
        if name not in FEATURES:
            raise ValueError(f"feature {name!r} is unknown to this mdtree")
    _check_asked(saved)
    if saved.gain_model is not None:
        _check_gain_model(saved.gain_model, saved)
        _check_boosted(saved.gain_model.boosted_classes, saved.classes)
    for leaf in leaves(saved.tree):
        _check_leaf(leaf, saved.classes)
    for name, (low, high) in saved.ranges.items():
        if not low <= high:
            raise ValueError(f"the range of {name} ends at {high}, before it begins at {low}")


def _check_boosted(answers: Sequence[str], classes: Sequence[str]) -> None:
    for name in answers:
        if name not in classes:
            raise ValueError(f"boosted trees answer {name!r}, which is not among its classes")


def _check_leaf(leaf: Leaf, classes: Sequence[str]) -> None:
    for name in (leaf.answer, *leaf.counts):
        if name not in classes:
            raise ValueError(f"a leaf holds {name!r}, which is not among its classes")
    for name in (*leaf.gains, *leaf.ways):
        if name not in REMEDIES:
            raise ValueError(f"a leaf holds the gain of {name!r}, which is not a remedy")


def _check_asked(saved: SavedTree) -> None:
    needed = [name for _, binned in saved.components for name in binned.features]
    described = saved.population.quantiles if saved.population is not None else ()
    for name in (*needed, *_features(saved.tree), *saved.ranges, *described):
        if name not in saved.features:
            raise ValueError(f"it asks for {name!r}, which is not among its features")


def _check_gain_model(model: GainModel, saved: SavedTree) -> None:
    compared = {task for task in COMPARISONS if set(TASKS[task].classes) <= set(saved.classes)}
    targets = model.regression.weights.keys() - compared - set(saved.classes) - set(STEPS.values())
    for name in (*sorted(targets), *model.spread):
        if name not in REMEDIES:
            raise ValueError(f"it holds the gain of {name!r}, which is not a remedy")
    for coverage in model.levels:
        if not _is_share(coverage):
            raise ValueError(f"its coverage {coverage!r} is not a number between 0 and 1")
    for target, mean in model.regression.means.items():
        if not 0 <= mean <= 1:
            raise ValueError(f"its mean of {target} must be from 0 to 1, got {mean:g}")
    for remedy, ranges in model.spread.items():
        expected = [part.expected for part in ranges]
        parts = all(0 <= part.low <= part.high <= 1 for part in ranges)
        if not parts or expected != sorted(expected):
            raise ValueError(f"its ranges of the gain of {remedy} must rise, from 0 to 1 at most")
    if max(model.regression.columns, default=-1) >= len(saved.features):
        raise ValueError("it asks for more features than it has")


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def _features(node: Node) -> set[str]:
    if isinstance(node, Leaf):
        return set()
    return {node.feature, *_features(node.low), *_features(node.high)}
