"""Which group before belongs to which group after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mdtree.exceptions import RowsError
from mdtree.messages import nearest, shortened
from mdtree.rows import Row

__all__ = ["pairs_of", "places_of"]

_LONGEST_LIST = 500  # characters of the names that an error lists


def pairs_of(
    before: Sequence[Row],
    after: Sequence[Row],
    *,
    group_before: str | None = None,
    group_after: str | None = None,
) -> list[tuple[Row, Row]]:
    """Pair groups before a change with those after it.

    A side of one group needs no name.  Where none is named and both sides have the same names,
    groups are paired by name.

    Raises:
        RowsError: If there is no such group, it is there twice, or it is not clear which are meant.

    """
    first, second = _by_name(before, "before"), _by_name(after, "after")
    if group_before is None and group_after is None and first.keys() == second.keys():
        pairs = [(row, second[name]) for name, row in first.items()]
        if pairs and all(one == other for one, other in pairs):
            raise RowsError(
                "before and after are the same rows: to compare two groups of one file, name them "
                f"with --group-before and --group-after{_known(first)}"
            )
        return pairs
    if group_before is None and group_after is None and len(first) > 1 < len(second):
        raise RowsError(
            "before and after have several groups, and not the same ones: name one of each with "
            f"--group-before and --group-after{_known(first, 'before')}{_known(second, 'after')}"
        )
    return [(_chosen(first, group_before, "before"), _chosen(second, group_after, "after"))]


def places_of(before: Path | str, after: Path | str) -> tuple[str, str] | None:
    """Return what two files or folders are called, without what both of their paths share.

    >>> places_of("runs/slow", "runs/slow2"), places_of("a/rows.jsonl", "b/rows.jsonl")
    (('slow', 'slow2'), ('a', 'b'))
    """
    first, second = (Path(os.path.abspath(path)).parts for path in (before, after))  # noqa: PTH100
    if first == second:
        return None
    first, second = _apart(first, second)
    first, second = (parts[::-1] for parts in _apart(first[::-1], second[::-1]))
    return "/".join(first), "/".join(second)


def _apart(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Leave out the first parts that both share; of each, one part stays."""
    most = min(len(first), len(second)) - 1
    shared = next((n for n in range(most) if first[n] != second[n]), most)
    return first[shared:], second[shared:]


def _by_name(rows: Sequence[Row], side: str) -> dict[str, Row]:
    """Return rows by group; of one protocol, each is there once."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.group in found:
            raise RowsError(
                f"{side}: group {row.group!r:.100} is there twice (protocols "
                f"{found[row.group].protocol:.100} and {row.protocol:.100}): pass one of its rows"
            )
        found[row.group] = row
    return found


def _chosen(rows: dict[str, Row], name: str | None, side: str) -> Row:
    if name is None:
        if len(rows) == 1:
            return next(iter(rows.values()))
        if not rows:
            raise RowsError(f"{side}: there are no rows of this protocol: choose with --protocol")
        raise RowsError(
            f"{side} has {len(rows)} groups: name one with --group-{side}{_known(rows)}"
        )
    if name not in rows:
        raise RowsError(
            f"{side}: there is no group {name!r:.100}{nearest(name, rows)}{_known(rows)}"
        )
    return rows[name]


def _known(rows: dict[str, Row], side: str = "groups") -> str:
    return f" ({side}: {shortened(', '.join(map(repr, rows)), _LONGEST_LIST)})"
