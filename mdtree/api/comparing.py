"""`mdtree.compare`."""

from __future__ import annotations

from pathlib import Path

from mdtree.api.arguments import RowsSource, all_rows
from mdtree.api.results import Comparisons
from mdtree.diagnosis import compare_groups, pairs_of, places_of
from mdtree.rows import DEFAULT_PROTOCOL, Row, check_protocol, of_protocol
from mdtree.trees import SavedTree

__all__ = ["compare"]


def compare(
    before: RowsSource,
    after: RowsSource,
    *,
    group_before: str | None = None,
    group_after: str | None = None,
    tree: SavedTree | str | Path | None = None,
    confidence: float | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    seed: int = 0,
    allow_protocol_mismatch: bool = False,
) -> Comparisons:
    """Compare measurements before and after a change, as `mdtree compare`.

    Args:
        before: a file of rows, a table, a measured directory, or the rows themselves.
        after: the same, of what was trained after the change.
        group_before: the group before; one that is alone needs no name, and two sides with the
            same names of groups are compared name by name.
        group_after: the group after.
        tree: the tree of the verdicts, as in `diagnose`, and so is `confidence`.
        confidence: the probability below which a verdict is `unsure`.
        protocol: of files with rows of several protocols, the one to take.
        seed: of resampling.
        allow_protocol_mismatch: use a tree of another protocol; the verdict says so.

    Returns:
        One comparison for each pair of groups, in a list that a notebook shows as a page of text;
        its `failures` tell why other groups could not be compared.

    Raises:
        ProtocolError: before and after, or they and the tree, were measured in different ways.
        RowsError: the rows cannot be read, it is not clear which groups are meant, they are the
            same, or nothing was measured on both sides.
        MdtreeError: a group was not measured.

    Examples:
        >>> import mdtree
        >>> from mdtree.rows import Measured, Row
        >>> cold, warm = (
        ...     Row(format=1, group="net", protocol="standard-1", facts={"learning_rate": rate},
        ...         quantities={"test_error": Measured(value=error, stderr=0.3)})
        ...     for rate, error in ((0.001, 42.0), (0.01, 30.0)))
        >>> (found,) = mdtree.compare([cold], [warm])
        >>> found.changes[0].remedy, found.real.points, found.promise.remedy
        ('raise_temperature', 12.0, 'raise_temperature')
    """
    check_protocol(protocol)
    compared = compare_groups(
        pairs_of(
            _rows(before, protocol),
            _rows(after, protocol),
            group_before=group_before,
            group_after=group_after,
        ),
        tree=str(tree) if isinstance(tree, Path) else tree,
        confidence=confidence,
        seed=seed,
        allow_protocol_mismatch=allow_protocol_mismatch,
        places=_places(before, after),
    )
    return Comparisons(compared)


def _places(before: RowsSource, after: RowsSource) -> tuple[str, str] | None:
    """Return the names of both files or folders; rows themselves have none."""
    if isinstance(before, str | Path) and isinstance(after, str | Path):
        return places_of(before, after)
    return None


def _rows(source: RowsSource, protocol: str) -> list[Row]:
    rows = list(all_rows(source, failed=True))
    return of_protocol(rows, protocol) if isinstance(source, str | Path) else rows
