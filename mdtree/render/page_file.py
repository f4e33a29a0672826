"""The page of a diagnosis, written to a file, with a folder beside it where it would be large."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mdtree.exceptions import OutputError
from mdtree.regular_file import open_regular
from mdtree.rows import Row
from mdtree.rows.atomic import atomic_file, cannot_write, check_replaced, own
from mdtree.rows.file_kinds import PAGE

if TYPE_CHECKING:
    from mdtree.diagnosis import Diagnoser, Verdict

__all__ = ["write_page"]

_ADVICE = "name another file with --html"
_PARTS = "*.html"


def write_page(
    path: Path, verdicts: Sequence[Verdict], rows: Sequence[Row], diagnoser: Diagnoser
) -> None:
    """Write the page of a diagnoser's verdicts; an earlier page stays until it is complete.

    The evidence of many groups goes into a folder beside it, which is named like the page.
    """
    from mdtree.render.page import Beside, report_pages

    folder = path.with_name(f"{path.stem}-details")
    is_file = path.is_file() or not path.exists()  # beside a pipe there is no folder
    beside = Beside(page=f"../{quote(path.name)}", folder=quote(folder.name)) if is_file else None
    trees = {diagnoser.name: diagnoser.saved}
    page, others = report_pages(verdicts, rows, trees, beside=beside)
    mark = f"<!-- by mdtree, a part of {quote(path.name)} -->\n".encode()
    check_replaced(path, PAGE, _ADVICE)  # before anything is written beside it
    names = set()
    for name, text in others:  # one after the other: together they may be large
        _write_beside(folder, name, text, mark)
        names.add(name)
    with atomic_file(path, advice=_ADVICE, replaces=PAGE) as file:
        file.write(page.encode())
    if is_file:
        _remove_stale(folder, names, mark)


def _write_beside(folder: Path, name: str, text: str, mark: bytes) -> None:
    """Write a page into the folder, which the user did not name: links in it are not followed."""
    own(folder, folder.parent, advice=_ADVICE)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, _ADVICE) from error
    path = own(folder / name, folder, advice=_ADVICE)
    if path.exists() and not _begins(path, mark):
        raise OutputError(
            f"{path} is not a part of an earlier page of this name and was not replaced: remove "
            f"it, or {_ADVICE}"
        )
    with atomic_file(path, advice=_ADVICE, replaces=PAGE) as file:
        file.write(mark + text.encode())


def _remove_stale(folder: Path, names: Collection[str], mark: bytes) -> None:
    """Remove what an earlier page of this name had in the folder, and nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        return
    try:
        for path in folder.glob(_PARTS):
            if path.name not in names and not path.is_symlink() and _begins(path, mark):
                path.unlink()
        if not names and not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise cannot_write(folder, error, _ADVICE) from error


def _begins(path: Path, mark: bytes) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False  # what cannot be read is not ours
