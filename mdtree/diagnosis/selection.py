"""Who sits in judgement: the tree that was asked for, or the one that fits the rows."""

from __future__ import annotations

from collections.abc import Sequence

from mdtree.diagnosis.closest_tree import Chosen, choose
from mdtree.diagnosis.diagnoser import CONFIDENCE, Judge
from mdtree.exceptions import MdtreeError
from mdtree.rows import Measured, Row
from mdtree.trees import SavedTree
from mdtree.trees.bundled import find_tree, shipped_trees

__all__ = ["appointed", "can_be_judged", "judge_for"]


def appointed(rows: Sequence[Row], tree: SavedTree | str | None) -> Chosen:
    """Take a tree, the one of a name or a file, or the nearest that is shipped."""
    why = "it was asked for"
    if tree is None:
        return choose(rows, shipped_trees())
    if isinstance(tree, str):
        return Chosen(name=tree, saved=find_tree(tree), why=why)
    return Chosen(name="a tree in memory", saved=tree, why=why)


def judge_for(
    rows: Sequence[Row],
    tree: SavedTree | str | None = None,
    *,
    confidence: float | None = None,
    seed: int = 0,
    allow_protocol_mismatch: bool = False,
) -> Judge:
    """Make a judge of a tree, of the name or the file of one, or of the nearest that is shipped."""
    known = [row for row in rows if can_be_judged(row)]
    if not known:
        reasons = {row.failure.reason for row in rows if row.failure is not None}
        told = f": {min(reasons)}" if reasons else ""
        raise MdtreeError(f"no group could be measured, so there is nothing to judge{told}")
    chosen = appointed(known, tree)
    return Judge(
        chosen.saved,
        name=chosen.name,
        chosen=chosen.why,
        confidence=CONFIDENCE if confidence is None else confidence,
        seed=seed,
        allow_protocol_mismatch=allow_protocol_mismatch,
    )


def can_be_judged(row: Row) -> bool:
    """Say whether anything of a group was measured."""
    return any(isinstance(value, Measured) for value in row.quantities.values())
