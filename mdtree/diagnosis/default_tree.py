"""The default tree: of the protocol of the rows, the one that was fitted on the most groups.

It never depends on the numbers of the rows, so that the verdict of a group is the same alone and
beside others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    """Take the tree of the rows' protocol that was fitted on the most groups."""
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
    name = max(sorted(candidates), key=lambda candidate: candidates[candidate].groups)
    return ChosenTree(name=name, saved=candidates[name], why=_why(protocol, len(candidates)))


def _why(protocol: str, count: int) -> str:
    if count == 1:
        return f"it is the only tree for protocol {protocol} that answers with all failure modes"
    return f"of the trees for protocol {protocol}, it was fitted on the most groups"
