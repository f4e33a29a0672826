"""The page of a diagnosis, written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdtree.rows import Row
from mdtree.rows.atomic import atomic_file

if TYPE_CHECKING:
    from mdtree.diagnosis import Diagnoser, Verdict

__all__ = ["write_page"]


def write_page(
    path: Path, verdicts: Sequence[Verdict], rows: Sequence[Row], diagnoser: Diagnoser
) -> None:
    """Write the page of a diagnoser's verdicts; an earlier page stays until it is complete."""
    from mdtree.render.page import report_page

    text = report_page(verdicts, rows, {diagnoser.name: diagnoser.saved})
    with atomic_file(path, advice="name another file with --html") as file:
        file.write(text.encode())
