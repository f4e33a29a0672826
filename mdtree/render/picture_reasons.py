"""Why a picture cannot be drawn: what the row itself says, before advice to measure more."""

from __future__ import annotations

from mdtree.messages import shortened
from mdtree.render.pictures import Picture
from mdtree.rows import MISSING_DETAIL, QUANTITIES, Measured, Missing, Row

__all__ = ["picture_reason", "was_measured"]

_LONGEST = 500  # characters of a reason


def picture_reason(row: Row, picture: Picture) -> str | None:
    """Return why a picture cannot be drawn, as far as the row tells it; None: it does not."""
    for reason in (_of_detail(row, picture), _of_protocol(row, picture), _of_metric(row, picture)):
        if reason is not None:
            return shortened(reason, _LONGEST)
    return None


def was_measured(row: Row, metric: str) -> bool:
    """Return whether a row has numbers of a metric, or is known to have been measured by it."""
    known = row.provenance is not None and metric in row.provenance.metrics
    return known or any(isinstance(value, Measured) for value in _quantities(row, metric))


def _of_detail(row: Row, picture: Picture) -> str | None:
    """Return what is wrong with the tables that are drawn, if the row has one."""
    tables = [table for name in picture.details if (table := (row.details or {}).get(name))]
    for table in tables:
        column = table.columns.get(MISSING_DETAIL, ())
        if column:
            return str(column[0])
    return picture.lacks(row) if tables else None


def _of_protocol(row: Row, picture: Picture) -> str | None:
    if row.protocol not in picture.not_under:
        return None
    return f"protocol {row.protocol} does not measure it; measure under another one (--protocol)"


def _of_metric(row: Row, picture: Picture) -> str | None:
    """Return why the metric gave nothing: a note on the measurement, or on all of its numbers."""
    start = f"{picture.metric}: "
    notes = () if row.provenance is None else row.provenance.notes
    found = next((note for note in notes if note.startswith(start)), None)
    if found is not None and not _quantities(row, picture.metric):
        return found.removeprefix(start)
    values = _quantities(row, picture.metric)
    reasons = [value.missing for value in values if isinstance(value, Missing)]
    return reasons[0] if reasons and len(reasons) == len(values) else None


def _quantities(row: Row, metric: str) -> list[Measured | Missing]:
    return [
        value
        for name, value in row.quantities.items()
        if name in QUANTITIES and QUANTITIES[name].metric == metric
    ]
