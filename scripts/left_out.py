"""Trees that have not seen an eighth of the reference collection, for studies of unseen zoos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mdtree.rows import Row
from mdtree.trees import SavedTree
from mdtree.trees.bundled import reference_collection
from mdtree.trees.fit import fit_tree

__all__ = ["PARTS", "SURE", "data_of", "unseen_zoos"]

PARTS = 8
SURE = 0.6  # from which an answer is a verdict
_SAME = {"optdigits": "digits", "scenes": "glyphs"}  # the same digits, the same letters


def data_of(zoo: str) -> str:
    """Return what the data of a zoo are: zoos of the same data have names that begin alike."""
    name = zoo.split("-", maxsplit=1)[0]
    return _SAME.get(name, name)


def unseen_zoos(
    parts: int = PARTS, *, whole: bool = False
) -> Iterator[tuple[SavedTree, Mapping[str, Sequence[Row]]]]:
    """Fit without each part of the zoos: a tree by regression of gains, and the zoos of the part.

    Args:
        parts: How many of the parts are left out, the others never are.
        whole: Leave out all zoos of the same data together.
    """
    zoos = reference_collection()
    for part in _parts(sorted(zoos), whole=whole)[:parts]:
        seen = [row for name, rows in sorted(zoos.items()) if name not in part for row in rows]
        saved = fit_tree(seen, task="failure", method="gains", facts=True)
        yield saved, {name: zoos[name] for name in part}


def _parts(names: Sequence[str], *, whole: bool) -> list[list[str]]:
    """Share out zoos, one after the other, or all of the same data into the smallest part."""
    if not whole:
        return [list(names[part::PARTS]) for part in range(PARTS)]
    data: dict[str, list[str]] = {}
    for name in names:
        data.setdefault(data_of(name), []).append(name)
    parts: list[list[str]] = [[] for _ in range(PARTS)]
    for zoos in sorted(data.values(), key=lambda zoos: -len(zoos)):
        min(parts, key=len).extend(zoos)
    return parts
