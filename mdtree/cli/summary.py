"""Rows of measurements as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from mdtree.cli.text import number, printable, table
from mdtree.measurements import QUANTITIES, Measured, Missing, Row

__all__ = ["rows_table"]

_SHOWN = 40


def rows_table(rows: Sequence[Row], *, limit: int | None = _SHOWN) -> str:
    """Show one line for each group: checkpoints, parameters, quantities; then the reasons."""
    shown = rows if limit is None else rows[:limit]
    names = [name for name in QUANTITIES if any(name in row.quantities for row in shown)]
    protocols = ["protocol"] if len({row.protocol for row in shown}) > 1 else []
    header = ["group", *protocols, "checkpoints", "parameters", *map(_heading, names)]
    lines = [
        [
            row.group,
            *(row.protocol for _ in protocols),
            str(len(row.provenance.weights)) if row.provenance else "",
            str(row.facts.get("parameters", "")),
            *(_cell(row, name) for name in names),
        ]
        for row in shown
    ]
    parts = [table(header, lines)]
    if len(rows) > len(shown):
        parts.append(f"... and {len(rows) - len(shown)} more")
    parts += _reasons(shown)
    return "\n".join(parts)


def _heading(name: str) -> str:
    unit = QUANTITIES[name].unit
    return f"{name} [{unit}]" if unit else name


def _cell(row: Row, name: str) -> str:
    value = row.quantities.get(name)
    if isinstance(value, Measured):
        return number(value.value, value.stderr)
    return "" if value is None else ("failed" if row.failure else "missing")


def _reasons(rows: Sequence[Row]) -> list[str]:
    """Say once why something is missing, and where."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.failure is None:
            for name, value in row.quantities.items():
                if isinstance(value, Missing):
                    reasons.setdefault(f"{name}: {value.missing}", []).append(row.group)
    return [
        f"missing {printable(reason)} ({len(groups)} of {len(rows)})"
        for reason, groups in reasons.items()
    ]
