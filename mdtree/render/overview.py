"""The overview of a page: its groups in several orders, and on the map of their settings.

A page has no scripts, so each order is a table of its own, of which one is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mdtree.diagnosis import Verdict
from mdtree.diagnosis.headlines import main_gain
from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.formatting import percent, plain, short
from mdtree.render.phases import DIGITS, LETTERS, Phase, phase_title, phases
from mdtree.render.table import name_of
from mdtree.rows import Row

__all__ = ["maps", "orders"]

_FEW = 3  # groups from which on an order is worth choosing
_MOST_ORDERED = 200  # groups of an order; the first order has all of them
_MOST_CELLS = 2000  # of all maps together
_FULL = 0.5  # the share of cells that hold a group; other groups are on no grid
_MODES = [*FAILURE_MODES, ""]


@dataclass(frozen=True)
class _Entry:
    """One group of the overview."""

    number: int  # from 1, as on the page
    verdict: Verdict

    @property
    def gain(self) -> float:
        gain = main_gain(self.verdict)
        return 0.0 if gain is None else gain.mean

    @property
    def rank(self) -> int:
        """The place of the verdict among the failure modes; others come last."""
        mode = self.verdict.mode
        return _MODES.index(mode) if mode in FAILURE_MODES else len(FAILURE_MODES)


# name, words, key: what groups are sorted by
_ORDERS: tuple[tuple[str, str, Callable[[_Entry], Any]], ...] = (
    ("listed", "as listed", lambda entry: entry.number),
    ("gain", "largest gain first", lambda entry: -entry.gain),
    ("verdict", "by verdict", lambda entry: (entry.rank, entry.verdict.mode)),
    ("sure", "surest first", lambda entry: (not entry.verdict.sure, -entry.verdict.probability)),
)


def orders(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the tables of the overview, each in its own order; the first one is shown at first."""
    entries = [_Entry(number, verdict) for number, verdict in enumerate(verdicts, start=1)]
    names = [name_of(verdict.group) for verdict in verdicts]
    chosen = _ORDERS if len(verdicts) >= _FEW else _ORDERS[:1]
    return [
        {
            "name": name,
            "words": words,
            "lines": [
                {
                    "number": entry.number,
                    "group": names[entry.number - 1],
                    "verdict": entry.verdict,
                    "gain": _gain_text(entry.verdict),
                }
                for entry in sorted(entries, key=key)[: None if name == "listed" else _MOST_ORDERED]
            ],
        }
        for name, words, key in chosen
    ]


def maps(
    verdicts: Sequence[Verdict], rows: Mapping[tuple[str, str], Row], most: int
) -> list[dict[str, Any]]:
    """Return the maps of groups that lie on a grid of two or more facts; none otherwise.

    Args:
        verdicts: The verdicts of the page.
        rows: Their rows, by group and protocol.
        most: How many of the groups have a place on the page, to which a link can lead.

    """
    known = [rows.get((verdict.group, verdict.basis.protocol)) for verdict in verdicts]
    own = [row for row in known if row is not None]
    if len(own) < len(verdicts):
        return []
    grids = phases(own, [_Entry(number, each) for number, each in enumerate(verdicts, start=1)])
    return [_map(grid, most) for grid in grids] if _is_grid(grids, len(verdicts)) else []


def _is_grid(grids: Sequence[Phase[_Entry]], groups: int) -> bool:
    """Check that every group has a cell of its own, and that the cells are not mostly empty."""
    cells = sum(len(grid.lines) * len(grid.columns) for grid in grids)
    return (
        all(grid.down is not None for grid in grids)
        and sum(len(grid.cells) for grid in grids) == groups
        and 0 < cells <= min(_MOST_CELLS, groups / _FULL)
    )


def _map(grid: Phase[_Entry], most: int) -> dict[str, Any]:
    return {
        "title": phase_title(grid),
        "across": plain(grid.across),
        "down": plain(grid.down or ""),
        "columns": [short(column, digits=DIGITS) for column in grid.columns],
        "lines": [
            (
                short(line, digits=DIGITS),
                [_cell(grid, line, column, most) for column in grid.columns],
            )
            for line in reversed(grid.lines)  # the largest value on top
        ],
    }


def _cell(grid: Phase[_Entry], line: float, column: float, most: int) -> dict[str, Any] | None:
    cell = grid.cells.get((line, column))
    if cell is None:
        return None
    verdict = cell.label.verdict
    return {
        "number": cell.label.number if cell.label.number <= most else None,
        "mode": verdict.likely,
        "letter": LETTERS.get(verdict.likely, "?") + ("" if verdict.sure else "?"),
        "words": " ".join(_words(verdict)),
        "share": percent(verdict.probability),
    }


def _words(verdict: Verdict) -> Iterator[str]:
    yield plain(verdict.likely)
    if not verdict.sure:
        yield "(unsure)"


def _gain_text(verdict: Verdict) -> str:
    gain = main_gain(verdict)
    return "" if gain is None else f"{gain.mean:+.1f}"
