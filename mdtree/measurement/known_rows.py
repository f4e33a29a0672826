"""Rows that were measured before: those of the networks that are there now.

Names of directories do not tell networks apart, and neither do times, which `cp -p` keeps: the
hashes of the weights do, which a row holds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mdtree.checkpoints import file_digest, find_folders, parts_of
from mdtree.exceptions import CheckpointError
from mdtree.messages import listed, shortened
from mdtree.rows import ROWS_NAME, Row

__all__ = ["rows_of_networks"]

_MOST_HASHED = 1 << 30  # bytes of weights in a directory beside its own rows
_NAMED = 3  # groups in a sentence
_LONGEST = 100  # characters of a name


def rows_of_networks(
    rows: Sequence[Row], file: Path, sources: Sequence[str | Path], *, named: bool = False
) -> tuple[list[Row], str]:
    """Keep the rows of the networks that are there now, and say why others are left out.

    A directory whose weights were deleted after they were measured keeps its own rows, and so does
    one whose weights are too many to be read for this.

    Args:
        rows: All rows of the file.
        file: Where they are, for the sentence.
        sources: The directory that was measured, or the directories of one group.
        named: The user names the file, which may hold anything else: rows of all directories that
            are one group count more than those of some.

    Returns:
        The rows, and the sentence; it is empty if all are kept.
    """
    places = [Path(source) for source in sources]
    files = [list(_weights(place)) for place in places]
    if len(places) == 1 and not named:
        return _of_its_own(rows, file, places[0], files[0])
    empty = [place for place, weights in zip(places, files, strict=True) if not weights]
    if empty:
        return [], f"{file} was not read: there are no weights in {_where(empty)}"
    if not any(map(_networks, rows)):  # nothing but names tells of which networks they are
        is_theirs = named or _is_named_after(file, places)
        return (list(rows), "") if is_theirs else ([], _says_none(file, places))
    digests = [_digests(weights) for weights in files]
    here = set().union(*digests)
    kept = [row for row in rows if _networks(row) <= here and (_networks(row) or not named)]
    known = set().union(*map(_networks, kept))
    unknown = [place for place, own in zip(places, digests, strict=True) if not own & known]
    if unknown:
        return [], _says_none(file, unknown if known else places)
    of_all = [row for row in kept if all(_networks(row) & own for own in digests)]
    if named:  # it may hold anything else
        return of_all or kept, ""
    return kept, _says_left_out(rows, kept, file, places)


def _of_its_own(
    rows: Sequence[Row], file: Path, place: Path, files: Sequence[Path]
) -> tuple[list[Row], str]:
    """Keep the rows that lie in a directory, but for those of networks that others replaced."""
    known = set().union(*map(_networks, rows))
    if not known or _size(files) > _MOST_HASHED:
        return list(rows), ""
    here = _digests(files)
    if here <= known:  # at most, some were deleted
        return list(rows), ""
    kept = [row for row in rows if _networks(row) <= here]
    if not any(map(_networks, kept)):
        return [], _says_none(file, [place])
    return kept, _says_left_out(rows, kept, file, [place])


def _says_none(file: Path, places: Sequence[Path]) -> str:
    return (
        f"{file} was not read: its measurements are of other networks than those in "
        f"{_where(places)}"
    )


def _says_left_out(
    rows: Sequence[Row], kept: Sequence[Row], file: Path, places: Sequence[Path]
) -> str:
    """Say of which groups the networks are not there."""
    groups = {row.key for row in kept}
    lost = [shortened(row.group, _LONGEST) for row in rows if row.key not in groups]
    if not lost:
        return ""
    what = f"{file} was read without {listed(lost, most=_NAMED)}: "
    return f"{what}their networks are not among those in {_where(places)}"


def _is_named_after(file: Path, places: Sequence[Path]) -> bool:
    """Return whether a file lies beside the directories that its name joins."""
    home = file.absolute().parent
    below = [os.path.relpath(place.absolute(), home) for place in places]
    names = sorted(Path(each).parts[0] if each else "" for each in below)
    return names == sorted(file.name.removesuffix(f".{ROWS_NAME}").split("+"))


def _where(places: Sequence[Path]) -> str:
    return listed([shortened(str(place), _LONGEST) for place in places], most=_NAMED)


def _weights(place: Path) -> Iterator[Path]:
    """Yield the checkpoints in and below a directory, or the one that is named."""
    if place.is_file():
        yield place
    elif place.is_dir():
        for folder in find_folders(place):
            yield from folder.files


def _networks(row: Row) -> set[str]:
    """Return the hashes of the files of a row; none of one that was measured elsewhere."""
    return set() if row.provenance is None else set(row.provenance.files.values())


def _digests(files: Iterable[Path]) -> set[str]:
    """Hash what can be read: the rest was not measured."""
    digests = set()
    for file in files:
        with contextlib.suppress(CheckpointError):
            digests.add(file_digest(file))
    return digests


def _size(files: Iterable[Path]) -> int:
    size = 0
    for file in files:
        with contextlib.suppress(CheckpointError, OSError):
            size += sum(part.stat().st_size for part in parts_of(file))
    return size
