"""Writing a tree file: JSON that is readable and diffable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mdtree.exceptions import TreeError
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import TREE
from mdtree.trees.binning import BinnedCounts
from mdtree.trees.boosted_trees import BoostedTrees
from mdtree.trees.file_numbers import packed
from mdtree.trees.gain_model import GainModel
from mdtree.trees.node import Leaf, Node, RemedyGain, Split
from mdtree.trees.ood import TrainingDistribution
from mdtree.trees.saved_tree import FORMAT, LARGEST, SavedTree, check_size, check_words
from mdtree.trees.template import Template, TemplateLeaf

__all__ = ["write_tree"]


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
    with atomic_file(path, replaces=TREE) as file:
        file.write(text.encode())


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
    boosted = {} if model.boosted is None else {"boosted": _plain_boosted_trees(model.boosted)}
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
        **boosted,
    }


def _plain_boosted_trees(trees: BoostedTrees) -> dict[str, Any]:
    return {
        "classes": list(trees.classes),
        "starts": trees.starts.tolist(),
        "trees": len(trees.features),
        "depth": trees.depth,
        "features": packed(trees.features.astype(float)),
        "thresholds": packed(trees.thresholds),
        "missing_low": packed(trees.missing_low.astype(float)),
        "values": packed(trees.values),
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
