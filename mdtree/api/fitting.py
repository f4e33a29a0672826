"""`mdtree.fit`."""

from __future__ import annotations

from mdtree.api.arguments import RowsSource, all_rows
from mdtree.trees import SavedTree
from mdtree.trees.bundled import find_tree
from mdtree.trees.fit import fit_tree

__all__ = ["fit"]


def fit(
    rows: RowsSource,
    *,
    task: str = "failure",
    method: str | None = None,
    facts: bool = False,
    prior: SavedTree | str | None = None,
) -> SavedTree:
    """Fit a tree on the rows of a zoo, as `mdtree fit`.

    Args:
        rows: a file of rows, a table, a measured directory, or the rows themselves.  Their grid
            labels them, or the fact `label`.  Groups of different zoos in one file that have the
            same name are told apart by the fact `zoo`; without it, the later replaces the earlier,
            and a UserWarning says so.
        task: the question that the tree answers.
        method: the kind of tree; without it, the one that fits the protocol of the rows.
        facts: let the tree ask for facts too.
        prior: an earlier posterior to continue.

    Returns:
        The tree; `mdtree.trees.write_tree` saves it.

    Raises:
        RowsError: the rows cannot be read.
        ProtocolError: they, or they and the prior, were measured in different ways.
        TreeError: no tree can be fitted on them.

    Examples:
        >>> import mdtree
        >>> from mdtree.trees.bundled import shipped_rows
        >>> tree = mdtree.fit(shipped_rows("digits-standard-1"), task="temperature")
        >>> tree.protocol, tree.classes
        ('standard-1', ('temperature_high', 'temperature_low'))
    """
    prior_tree = find_tree(prior) if isinstance(prior, str) else prior
    return fit_tree(
        all_rows(rows, learning=True), task=task, method=method, facts=facts, prior=prior_tree
    )
