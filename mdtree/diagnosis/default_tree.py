"""The default tree: among the trees for the rows' protocol, the one fitted to the most groups.

It never depends on the numbers in the rows, so a group gets the same verdict alone and among
others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdtree.exceptions import ProtocolError
from mdtree.rows import Row, one_protocol
from mdtree.trees import SavedTree

__all__ = ["DEFAULT_TASK", "ChosenTree", "choose_tree"]

DEFAULT_TASK = "failure"  # the task that can answer with every mode


@dataclass(frozen=True, kw_only=True)
class ChosenTree:
    """A tree and the reason for choosing it."""

    name: str
    saved: SavedTree
    why: str


def choose_tree(rows: Sequence[Row], trees: Mapping[str, SavedTree]) -> ChosenTree:
    """Choose the tree for the rows' protocol that was fitted to the most groups.

    Args:
        rows: The rows to diagnose, all measured by one protocol.
        trees: The trees to choose from, by name.

    Raises:
        ProtocolError: If the rows have several protocols, or no tree was fitted to theirs.

    """
    protocol = one_protocol(rows)
    candidates = {
        name: saved
        for name, saved in trees.items()
        if saved.task == DEFAULT_TASK and saved.protocol == protocol
    }
    if not candidates:
        protocols = sorted(
            {saved.protocol for saved in trees.values() if saved.task == DEFAULT_TASK}
        )
        raise ProtocolError(
            f"mdtree comes with no tree for protocol {protocol} (there are trees for "
            f"{', '.join(protocols) or 'none'}): fit one with `mdtree fit` and name it with --tree"
        )
    name = max(sorted(candidates), key=lambda candidate: candidates[candidate].groups)
    return ChosenTree(name=name, saved=candidates[name], why=_why(protocol, len(candidates)))


def _why(protocol: str, count: int) -> str:
    if count == 1:
        return f"it is the only tree for protocol {protocol} that covers all failure modes"
    return f"of the trees for protocol {protocol}, it was fitted to the most groups"
