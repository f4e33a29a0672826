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
    fitting = {
        name: saved
        for name, saved in trees.items()
        if saved.task == _TASK and saved.protocol == protocol
    }
    if not fitting:
        known = sorted({saved.protocol for saved in trees.values() if saved.task == _TASK})
        raise ProtocolError(
            f"no tree that comes with mdtree was fitted on rows of protocol {protocol} "
            f"(there are trees for {', '.join(known) or 'none'}): fit one with `mdtree fit`, and "
            "name it with --tree"
        )
    near = {name: _nearness(rows, saved) for name, saved in fitting.items()}
    name = min(
        fitting, key=lambda candidate: (round(near[candidate], 2), -fitting[candidate].groups)
    )
    return ChosenTree(name=name, saved=fitting[name], why=_why(name, protocol, near))


def _nearness(rows: Sequence[Row], saved: SavedTree) -> float:
    if saved.population is None:
        return float("inf")
    distances = []
    for line in saved.matrix(rows):
        distance = saved.population.distance(dict(zip(saved.features, line, strict=True)))
        distances.append(float("inf") if distance is None else distance[0] / distance[1])
    return float(np.median(distances))


def _why(name: str, protocol: str, near: Mapping[str, float]) -> str:
    if len(near) == 1:
        return f"it is the only tree for protocol {protocol} that answers with all failure modes"
    if math.isinf(near[name]):
        return f"of the trees for protocol {protocol}, it was fitted on the most groups"
    others = ", ".join(f"{other}: {value:.2f}" for other, value in near.items() if other != name)
    return (
        f"of the trees for protocol {protocol}, its training groups are nearest "
        f"({near[name]:.2f} of the usual limit; {others})"
    )
