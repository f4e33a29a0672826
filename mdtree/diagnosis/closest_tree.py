"""Choosing a tree: of the protocol of the rows, and fitted on groups that look like them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.exceptions import ProtocolError
from mdtree.rows import Row, one_protocol
from mdtree.trees import SavedTree

__all__ = ["ChosenTree", "choose_tree"]

_TASK = "failure"  # the one that answers with all modes


@dataclass(frozen=True, kw_only=True)
class ChosenTree:
    """A tree, and why it was taken."""

    name: str
    saved: SavedTree
    why: str


def choose_tree(rows: Sequence[Row], trees: Mapping[str, SavedTree]) -> ChosenTree:
    """Take the tree of the rows' protocol whose training groups are nearest to the rows.

    Nearness is the median over rows of the distance to the training groups, in units of the limit
    that 5 % of them exceed; where two are equally near, the one with more groups wins.
    """
    protocol = one_protocol(rows)
    candidates = {
        name: saved
        for name, saved in trees.items()
        if saved.task == _TASK and saved.protocol == protocol
    }
    if not candidates:
        protocols = sorted({saved.protocol for saved in trees.values() if saved.task == _TASK})
        raise ProtocolError(
            f"no tree that comes with mdtree was fitted on rows of protocol {protocol} "
            f"(there are trees for {', '.join(protocols) or 'none'}): fit one with `mdtree fit`, "
            "and name it with --tree"
        )
    distances = {name: _median_distance(rows, saved) for name, saved in candidates.items()}
    name = min(
        candidates,
        key=lambda candidate: (round(distances[candidate], 2), -candidates[candidate].groups),
    )
    return ChosenTree(name=name, saved=candidates[name], why=_why(name, protocol, distances))


def _median_distance(rows: Sequence[Row], saved: SavedTree) -> float:
    if saved.population is None:
        return float("inf")
    ratios = []
    for line in saved.matrix(rows):
        distance = saved.population.distance(dict(zip(saved.features, line, strict=True)))
        ratios.append(float("inf") if distance is None else distance[0] / distance[1])
    return float(np.median(ratios))


def _why(name: str, protocol: str, distances: Mapping[str, float]) -> str:
    if len(distances) == 1:
        return f"it is the only tree for protocol {protocol} that answers with all failure modes"
    if math.isinf(distances[name]):
        return f"of the trees for protocol {protocol}, it was fitted on the most groups"
    others = ", ".join(
        f"{other}: {value:.2f}" for other, value in distances.items() if other != name
    )
    return (
        f"of the trees for protocol {protocol}, its training groups are nearest "
        f"({distances[name]:.2f} of the usual limit; {others})"
    )
