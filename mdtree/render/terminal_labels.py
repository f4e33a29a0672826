"""Labels of a zoo on the terminal: a table, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.render.phase_diagram import LETTERS
from mdtree.render.terminal import plural, table

if TYPE_CHECKING:
    from mdtree.labelling import Label

__all__ = ["labels_text"]


def labels_text(groups: Sequence[str], labels: Sequence[Label]) -> str:
    """Write the labels of groups."""
    return "\n".join(_lines(groups, labels))


def _lines(groups: Sequence[str], labels: Sequence[Label]) -> Iterator[str]:
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
            f"in the noise: {' or '.join(label.plausible)}" if label.in_noise else "",
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


def _gain(label: Label, remedy: str) -> str:
    if remedy in label.unknown:
        return "?"
    return f"{label.gains[remedy]:.2f}" if remedy in label.gains else ""
