"""Phase diagrams: a zoo's width against its batch size, one diagram for each of its other facts.

What stands in the cells is up to the caller: the labels of a zoo, which are written as text here
(as a picture in `phase_diagram.py`), or the verdicts of a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.labelling import Label, number_of
from mdtree.messages import plural, printable
from mdtree.render.formatting import plain, short
from mdtree.render.terminal import table
from mdtree.rows import Row

__all__ = [
    "DIGITS",
    "LETTERS",
    "Cell",
    "Phase",
    "labels_text",
    "mark_of",
    "phase_text",
    "phase_title",
    "phases",
]

LETTERS = {
    "temperature_high": "H",
    "temperature_low": "L",
    "model_small": "M",
    "data_small": "D",
    "none": "-",
}
DIGITS = 6  # of a value of an axis
_NAME = 40  # letters of the name of a zoo
_MOST_CELLS = 100_000  # of all diagrams together

# the axes of the diagrams: the first that varies goes across, the second down
_PREFERRED = ("batch_size", "width", "learning_rate", "data_amount")

LabelT = TypeVar("LabelT")


@dataclass(frozen=True, kw_only=True)
class Cell(Generic[LabelT]):
    """One group in a diagram."""

    group: str
    label: LabelT


@dataclass(frozen=True, kw_only=True)
class Phase(Generic[LabelT]):
    """Groups that differ only in two facts; all diagrams of one zoo have the same frame."""

    zoo: str  # its name; empty: it has none
    shared: Mapping[str, float]  # the other facts of the grid
    across: str  # the fact of the columns
    down: str | None  # the fact of the lines; None: the grid has only one axis
    columns: tuple[float, ...]
    lines: tuple[float, ...]
    cells: Mapping[
        tuple[float, float], Cell[LabelT]
    ]  # (line, column) -> group; some can be missing


def phases(rows: Sequence[Row], labels: Sequence[LabelT]) -> list[Phase[LabelT]]:
    """Arrange the groups of a grid in diagrams, each group with its label."""
    varied = _varied(rows)
    if not varied:
        return []
    across, *others = varied
    down, rest = (others[0], others[1:]) if others else (None, [])
    zoos: dict[str, dict[tuple[float, ...], dict[tuple[float, float], Cell[LabelT]]]] = {}
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        shared = tuple(varied[fact][number] for fact in rest)
        place = (varied[down][number] if down else 0.0, varied[across][number])
        diagrams = zoos.setdefault(str(row.facts.get("zoo", "")), {})
        diagrams.setdefault(shared, {})[place] = Cell(group=row.group, label=label)
    return [
        Phase(
            zoo=zoo,
            shared=dict(zip(rest, shared, strict=True)),
            across=across,
            down=down,
            columns=tuple(sorted({column for d in diagrams.values() for _, column in d})),
            lines=tuple(sorted({line for d in diagrams.values() for line, _ in d})),
            cells=cells,
        )
        for zoo, diagrams in sorted(zoos.items())
        for shared, cells in sorted(diagrams.items(), key=lambda item: item[0])
    ]


def _varied(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return the values of the facts that all rows have and that vary between rows."""
    columns = {
        fact: [value for row in rows if (value := number_of(row, fact)) is not None]
        for fact in _PREFERRED
    }
    return {
        fact: values
        for fact, values in columns.items()
        if len(values) == len(rows) and len(set(values)) > 1
    }


def phase_title(phase: Phase[LabelT]) -> str:
    """Write what the groups of a diagram have in common."""
    zoo = printable(phase.zoo)
    name = zoo if len(zoo) <= _NAME else zoo[: _NAME - 3] + "..."
    facts = (f"{plain(fact)} {short(value, digits=DIGITS)}" for fact, value in phase.shared.items())
    return ", ".join([name, *facts] if name else facts)


def phase_text(phases: Sequence[Phase[Label]]) -> str:
    """Write test accuracy and the letter of the mode in each cell, the largest value on top."""
    cells = sum(len(phase.lines) * len(phase.columns) for phase in phases)
    if cells > _MOST_CELLS:  # most of them empty: a group is one cell
        return f"phase diagrams of {cells:,} cells are too large to show"
    legend = ", ".join(f"{letter} {mode}" for mode, letter in LETTERS.items())
    caption = f"test accuracy in percent and failure mode: {legend}; ? inside the noise"
    return "\n\n".join([*map(_text, phases), caption])


def _text(phase: Phase[Label]) -> str:
    corner = f"{phase.down} \\ {phase.across}" if phase.down else phase.across
    lines = [
        [
            short(line, digits=DIGITS) if phase.down else "",
            *(_cell_text(phase.cells.get((line, column))) for column in phase.columns),
        ]
        for line in reversed(phase.lines)
    ]
    # the mark of a cell is two letters wide; headings end where the numbers end
    text = table(
        [corner, *(f"{short(column, digits=DIGITS)}   " for column in phase.columns)], lines
    )
    above = phase_title(phase)
    return f"{above}\n{text}" if above else text


def _cell_text(cell: Cell[Label] | None) -> str:
    return "" if cell is None else f"{cell.label.accuracy:.1f} {mark_of(cell.label):2}"


def mark_of(label: Label) -> str:
    """Write the letter of a mode, and whether it is inside the noise."""
    return LETTERS[label.mode] + ("?" if label.in_noise else "")


def labels_text(groups: Sequence[str], labels: Sequence[Label]) -> str:
    """Write the labels of groups."""
    return "\n".join(_label_lines(groups, labels))


def _label_lines(groups: Sequence[str], labels: Sequence[Label]) -> Iterator[str]:
    known = {remedy for label in labels for remedy in label.gains}
    remedies = {remedy: mode for remedy, mode in REMEDIES.items() if remedy in known}
    cells = [
        [
            group,
            f"{label.accuracy:.2f}",
            *(_gain(label, remedy) for remedy in remedies),
            label.mode,
            f"{label.severity:.2f}",
            f"{label.margin:.2f}",
            f"{label.lead:.2f}",
            _doubt(label),
        ]
        for group, label in zip(groups, labels, strict=True)
    ]
    gains = [LETTERS[mode] for mode in remedies.values()]
    header = ["group", "test accuracy", *gains, "mode", "severity", "margin", "lead", ""]
    yield table(header, cells)
    meanings = "; ".join(
        f"{LETTERS[mode]} {remedy.replace('_', ' ')} ({mode})" for remedy, mode in remedies.items()
    )
    yield f"\npoints of test accuracy that one change alone would gain: {meanings}"
    if any(label.unknown for label in labels):
        yield "?: unknown, because the grid ends there, or nothing was measured there"
    counts = {mode: sum(label.mode == mode for label in labels) for mode in FAILURE_MODES}
    each = ", ".join(f"{count} {mode}" for mode, count in counts.items() if count)
    yield f"{plural(len(labels), 'group')}: {each}"
    noisy = sum(label.in_noise for label in labels)
    yield (
        f"{noisy} of {plural(len(labels), 'label')} ({noisy / len(labels):.0%}) inside the noise: "
        "another answer is as good within the margin"
    )


def _doubt(label: Label) -> str:
    """Say why a label may be another one, if it may."""
    if label.in_noise:
        return f"in the noise: {' or '.join(label.plausible)}"
    if label.mode == "none" and label.unknown:
        untried = " or ".join(remedy.replace("_", " ") for remedy in label.unknown)
        return f"as far as the grid goes: nothing tells what it gains to {untried}"
    return ""


def _gain(label: Label, remedy: str) -> str:
    if remedy in label.unknown:
        return "?"
    return f"{label.gains[remedy]:.2f}" if remedy in label.gains else ""
