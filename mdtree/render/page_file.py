"""The page of a diagnosis, written to a file, with a folder beside it where it would be large."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mdtree.rows import Row
from mdtree.rows.atomic import atomic_file, cannot_write, own

if TYPE_CHECKING:
    from mdtree.diagnosis import Diagnoser, Verdict

__all__ = ["write_page"]

_ADVICE = "name another file with --html"


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
    for name, text in others:
        _write_beside(folder, name, text)
    with atomic_file(path, advice=_ADVICE) as file:
        file.write(page.encode())


def _write_beside(folder: Path, name: str, text: str) -> None:
    """Write a page into the folder, which the user did not name: links in it are not followed."""
    own(folder, folder.parent, advice=_ADVICE)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, _ADVICE) from error
    with atomic_file(own(folder / name, folder, advice=_ADVICE), advice=_ADVICE) as file:
        file.write(text.encode())
