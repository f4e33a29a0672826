"""The page of a diagnosis, written where the user wants it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdtree.exceptions import OutputError
from mdtree.measurements import Row

if TYPE_CHECKING:
    from mdtree.diagnosis import Judge, Verdict

__all__ = ["write_page"]


def write_page(path: Path, verdicts: Sequence[Verdict], rows: Sequence[Row], judge: Judge) -> None:
    """Write the page of verdicts by one judge."""
    from mdtree.report import report_page

    text = report_page(verdicts, rows, {judge.name: judge.saved})
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
