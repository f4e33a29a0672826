"""The selection of a tree: the requested one, or the default for the protocol.

The default is, among the trees for the rows' protocol, the one fitted to the most groups.  It never
depends on the numbers in the rows, so a group gets the same verdict alone and among others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdtree.diagnosis.diagnoser import Diagnoser
from mdtree.exceptions import MdtreeError, ProtocolError
from mdtree.failure_modes import CONFIDENCE
from mdtree.rows import Row, check_seed, one_protocol
from mdtree.trees import SavedTree
from mdtree.trees.bundled import TreeHead, find_tree, tree_heads

__all__ = ["ChosenTree", "can_be_diagnosed", "choose_tree", "diagnoser_for", "tree_for"]

_TASK = "failure"  # the task that can answer with every mode


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenTree:
    """A tree and the reason for choosing it."""

    name: str
    saved: SavedTree
    why: str


def tree_for(rows: Sequence[Row], tree: SavedTree | str | None) -> ChosenTree:
    """Return the tree to use: a given one, a name or a file, or the default for the protocol.

    Raises:
        TreeError: If there is no tree of that name, or the file is not a tree.
        ProtocolError: If no tree is given and none was fitted to the rows' protocol.

    """
    why = "it was requested"
    if tree is None:
        name, why = _choice(rows, tree_heads())
        return ChosenTree(name=name, saved=find_tree(name), why=why)
    if isinstance(tree, str):
        return ChosenTree(name=tree, saved=find_tree(tree), why=why)
    return ChosenTree(name="a tree in memory", saved=tree, why=why)


def choose_tree(rows: Sequence[Row], trees: Mapping[str, SavedTree]) -> ChosenTree:
    """Choose the tree for the rows' protocol that was fitted to the most groups.

    Args:
        rows: The rows to diagnose, all measured by one protocol.
        trees: The trees to choose from, by name.

    Raises:
        ProtocolError: If the rows have several protocols, or no tree was fitted to theirs.

    """
    name, why = _choice(rows, trees)
    return ChosenTree(name=name, saved=trees[name], why=why)


def _choice(
    rows: Sequence[Row], trees: Mapping[str, SavedTree] | Mapping[str, TreeHead]
) -> tuple[str, str]:
    """Choose among trees, or among what they are for: return name and reason."""
    protocol = one_protocol(rows)
    candidates = {
        name: saved
        for name, saved in trees.items()
        if saved.task == _TASK and saved.protocol == protocol
    }
    if not candidates:
        protocols = sorted({saved.protocol for saved in trees.values() if saved.task == _TASK})
        raise ProtocolError(
            f"mdtree comes with no tree for protocol {protocol} (there are trees for "
            f"{', '.join(protocols) or 'none'}): fit one with `mdtree fit` and name it with --tree"
        )
    name = max(sorted(candidates), key=lambda candidate: candidates[candidate].groups)
    return name, _why(protocol, len(candidates))


def _why(protocol: str, count: int) -> str:
    if count == 1:
        return f"it is the only tree for protocol {protocol} that covers all failure modes"
    return f"of the trees for protocol {protocol}, it was fitted to the most groups"


def diagnoser_for(
    rows: Sequence[Row],
    tree: SavedTree | str | None = None,
    *,
    confidence: float | None = None,
    seed: int = 0,
    allow_protocol_mismatch: bool = False,
) -> Diagnoser:
    """Make a diagnoser for rows.

    Args:
        rows: The rows that it will diagnose.
        tree: A tree, its name or its file; None: the default for the rows' protocol.
        confidence: The probability below which a verdict is `unsure`; None: the usual one.
        seed: The seed of resampling.
        allow_protocol_mismatch: Use a tree of another protocol as well, with a warning.

    Raises:
        MdtreeError: If nothing was measured in any row.
        TreeError: If there is no such tree.
        ProtocolError: If there is no default tree for the rows' protocol.

    """
    seed = check_seed(seed)
    measured = [row for row in rows if can_be_diagnosed(row)]
    if not measured:
        reasons = {row.failure.reason for row in rows if row.failure is not None}
        reason = f": {min(reasons)}" if reasons else ""
        raise MdtreeError(f"no group could be measured, so there is nothing to diagnose{reason}")
    chosen = tree_for(measured, tree)
    return Diagnoser(
        chosen.saved,
        name=chosen.name,
        chosen=chosen.why,
        confidence=CONFIDENCE if confidence is None else confidence,
        seed=seed,
        allow_protocol_mismatch=allow_protocol_mismatch,
    )


def can_be_diagnosed(row: Row) -> bool:
    """Check whether a group has any measurement, or its training is known to have diverged."""
    return row.is_diverged or row.has_numbers
