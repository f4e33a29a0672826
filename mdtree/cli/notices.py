"""What is told of inputs before they are used: what was found in them, and what is cut off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdtree.cli.screens import error_screen, tell
from mdtree.messages import printable
from mdtree.render.screen import shown_on
from mdtree.render.terminal import table
from mdtree.rows import Row, find_rows, load_rows
from mdtree.rows.reading import cut_line

if TYPE_CHECKING:
    from mdtree.measurement import FoundGroup, GroupTask
    from mdtree.rows import Fact

__all__ = ["FoundPrinter", "rows_of_zoos", "tell_of_cut_line"]

_WHOLE = 3  # groups that are told in full
_HISTORY = "history"


class FoundPrinter:
    """Prints what was found for the first groups, and each remark once."""

    def __init__(self) -> None:
        self._shown = 0
        self._remarks: set[str] = set()
        self._settings: dict[frozenset[tuple[str, Fact]], str] = {}  # -> the first group with them
        self._is_twin_told = False

    def __call__(self, task: GroupTask | FoundGroup) -> None:
        """Print what is known of a group before it is measured."""
        for note in task.notes:
            if note not in self._remarks and len(self._remarks) < _WHOLE:
                tell(f"{printable(task.group)}: {printable(note)}")
                self._remarks.add(note)
        if not task.origins:
            return
        self._shown += 1
        if self._shown <= _WHOLE:
            tell(_table(task))
        elif self._shown == _WHOLE + 1:
            tell("what was found for other groups: --group NAME shows it")
        settings = frozenset(task.facts.items())
        twin = self._settings.setdefault(settings, task.group)
        if twin != task.group and not self._is_twin_told:
            tell(
                f"{printable(twin)} and {printable(task.group)} have the same settings, as far as "
                "they were understood: groups that differ by seed alone are one group if their "
                "directories are named one by one",
            )
            self._is_twin_told = True


def _table(task: GroupTask | FoundGroup) -> str:
    known = {**task.facts, _HISTORY: ", ".join(task.logged)}
    lines = [[fact, str(known.get(fact, "")), file] for fact, file in task.origins.items()]
    with shown_on(error_screen()):
        return table([f"found for {printable(task.group)}", "", "in"], lines)


def tell_of_cut_line(rows: Path) -> None:
    """Say that the last line of a file of rows, or of that of a directory, was left out."""
    path = find_rows(rows)
    line = cut_line(path)
    if line is not None:
        tell(
            f"{printable(str(path))}: line {line}, the last, is cut off and was left out: the file "
            "is being written, or was not copied whole"
        )


def rows_of_zoos(path: Path, protocol: str | None, *, failed: bool = False) -> list[Row]:
    """Read rows that may be of several zoos, and say which others replaced."""
    return load_rows(
        path,
        protocol=protocol,
        failed=failed,
        by_zoo=True,
        notice=lambda text: tell(f"note: {printable(text)}"),
    )
