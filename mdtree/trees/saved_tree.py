"""A fitted tree with everything that it is based on, saved as readable, diffable JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdtree.exceptions import ProtocolError, TreeError
from mdtree.failure_modes import REMEDIES
from mdtree.rows import Row
from mdtree.rows.atomic import atomic_file
from mdtree.trees.binning import BinnedCounts, Floats
from mdtree.trees.features import FEATURES, feature_matrix
from mdtree.trees.gain_model import GainModel
from mdtree.trees.node import Leaf, Node, RemedyGain, Split, leaves
from mdtree.trees.ood import OutOfDistribution, TrainingDistribution
from mdtree.trees.packing import packed
from mdtree.trees.template import Template, TemplateLeaf, template_features

__all__ = ["FORMAT", "LARGEST", "SavedTree", "check_size", "check_words", "write_tree"]

FORMAT = 1
LARGEST = 1 << 24  # bytes of a file
_MOST_NODES = 20_000
_DEEPEST = 100  # nodes on a way down


@dataclass(frozen=True, kw_only=True)
class SavedTree:
    """A tree, the question that it answers, and a description of its training groups."""

    task: str
    method: str  # cart | mdtree | posterior | grown | gains
    protocol: str  # rows of another protocol are refused
    classes: tuple[str, ...]
    features: tuple[str, ...]  # the columns that it can use
    groups: int  # that it was fitted to
    ranges: Mapping[str, tuple[float, float]]  # of each feature in these groups
    provenance: Mapping[str, str]
    tree: Node
    components: tuple[tuple[float, BinnedCounts], ...] = ()  # of a posterior
    population: TrainingDistribution | None = None  # what the training groups look like
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

    def outlier(self, line: Floats) -> OutOfDistribution | None:
        """Compare a line with the training groups; None if its distance cannot be computed."""
        values = dict(zip(self.features, line.tolist(), strict=True))
        distance = None if self.population is None else self.population.distance(values)
        if distance is None:
            return None
        beyond = (
            name
            for name, (low, high) in self.ranges.items()
            if values[name] < low or values[name] > high
        )
        return OutOfDistribution(distance=distance[0], limit=distance[1], beyond=tuple(beyond))


def write_tree(path: Path, saved: SavedTree) -> None:
    """Write a tree, one key a line, with the tree before the numbers of its posterior.

    Raises:
        TreeError: If the tree is too large or contradicts itself; the file is left unchanged.
        OutputError: If the file cannot be written.

    """
    try:
        check_size(saved.tree, _children)
        check_words(saved)
        text = _pretty(_plain(saved)) + "\n"
        if len(text) > LARGEST:
            raise ValueError(f"its file would be larger than {LARGEST} bytes")  # noqa: TRY301
    except ValueError as error:
        raise TreeError(f"this tree cannot be written; {path} is unchanged: {error}") from error
    with atomic_file(path) as file:
        file.write(text.encode())


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
    for leaf in leaves(saved.tree):
        _check_leaf(leaf, saved.classes)
    for name, (low, high) in saved.ranges.items():
        if not low <= high:
            raise ValueError(f"the range of {name} ends at {high}, before it begins at {low}")


def _check_leaf(leaf: Leaf, classes: Sequence[str]) -> None:
    for name in (leaf.answer, *leaf.counts):
        if name not in classes:
            raise ValueError(f"a leaf holds {name!r}, which is not among its classes")
    for name in (*leaf.gains, *leaf.ways):
        if name not in REMEDIES:
            raise ValueError(f"a leaf holds the gain of {name!r}, which is not a remedy")


def _check_asked(saved: SavedTree) -> None:
    needed = [name for _, binned in saved.components for name in template_features(binned.shape)]
    described = saved.population.quantiles if saved.population is not None else ()
    for name in (*needed, *_features(saved.tree), *saved.ranges, *described):
        if name not in saved.features:
            raise ValueError(f"it asks for {name!r}, which is not among its features")


def _check_gain_model(model: GainModel, saved: SavedTree) -> None:
    targets = (name for name in model.regression.weights if name not in saved.classes)
    for name in (*targets, *model.spread):
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


def _children(node: Node) -> Iterable[Node]:
    return (node.low, node.high) if isinstance(node, Split) else ()


def _plain(saved: SavedTree) -> dict[str, Any]:
    content = {
        "format": FORMAT,
        "task": saved.task,
        "method": saved.method,
        "protocol": saved.protocol,
        "classes": list(saved.classes),
        "features": list(saved.features),
        "groups": saved.groups,
        "ranges": {name: list(ends) for name, ends in saved.ranges.items()},
        "provenance": dict(saved.provenance),
        "tree": _plain_node(saved.tree),
    }
    if saved.population is not None:
        content["population"] = _plain_distribution(saved.population)
    if saved.gain_model is not None:
        content["gains"] = _plain_gain_model(saved.gain_model, saved.features)
    if saved.components:
        content["posterior"] = [
            _plain_component(weight, binned.merged()) for weight, binned in saved.components
        ]
    return content


def _plain_node(node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        content: dict[str, Any] = {"answer": node.answer, "counts": dict(node.counts)}
        if node.gains:
            content["gains"] = dict(node.gains)
        if node.ways:
            content["ways"] = {remedy: _plain_way(way) for remedy, way in node.ways.items()}
        return content
    return {
        "feature": node.feature,
        "threshold": node.threshold,
        "missing": node.missing,
        "low": _plain_node(node.low),
        "high": _plain_node(node.high),
    }


def _plain_way(way: RemedyGain) -> dict[str, Any]:
    change = {} if way.fact is None else {"fact": way.fact, "factor": way.factor}
    return {"low": way.low, "high": way.high, **change}


def _plain_distribution(distribution: TrainingDistribution) -> dict[str, Any]:
    content: dict[str, Any] = {
        "quantiles": {name: list(quantiles) for name, quantiles in distribution.quantiles.items()}
    }
    if distribution.names:
        content["names"] = list(distribution.names)
        content["correlation"] = [list(line) for line in distribution.correlation]
        content["limit"] = distribution.limit
    return content


def _plain_gain_model(model: GainModel, features: Sequence[str]) -> dict[str, Any]:
    return {
        "scale": asdict(model.scale),
        "levels": dict(model.levels),
        "spread": {
            remedy: [asdict(part) for part in ranges] for remedy, ranges in model.spread.items()
        },
        "width": model.regression.width,
        "means": dict(model.regression.means),
        "quantiles": {
            features[column]: scale.quantiles.tolist()
            for column, scale in model.regression.scales.items()
        },
        "count": len(model.regression.centres),
        "weights": {
            target: packed(weights[:, None]) for target, weights in model.regression.weights.items()
        },
        "centres": packed(model.regression.centres),
    }


def _plain_template(template: Template) -> dict[str, Any]:
    if isinstance(template, TemplateLeaf):
        return {"answer": template.answer}
    return {
        "feature": template.feature,
        "start": float(template.start),
        "bounds": [float(bound) for bound in template.bounds],
        "spread": template.spread,
        "scale": template.scale,
        "low": _plain_template(template.low),
        "high": _plain_template(template.high),
    }


def _plain_component(weight: float, binned: BinnedCounts) -> dict[str, Any]:
    return {
        "weight": weight,
        "hit": binned.hit,
        "miss": binned.miss,
        "shape": _plain_template(binned.shape),
        "cuts": [cuts.tolist() for cuts in binned.cuts],
        "cells": binned.cells.tolist(),
        "counts": binned.counts.tolist(),
    }


def _pretty(value: Any, indent: str = "") -> str:
    """Write JSON with short lists on one line, so that a change of one number is one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = (f"{inner}{json.dumps(k)}: {_pretty(v, inner)}" for k, v in value.items())
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(part, list | dict) for part in value):
        return "[\n" + ",\n".join(inner + _pretty(p, inner) for p in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)
