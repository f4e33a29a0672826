"""The table of a series: models, their families and their errors."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mdtree.exceptions import RowsError
from mdtree.spectra.series import SeriesModel

__all__ = ["read_series"]


def read_series(
    path: Path,
    numbers: Sequence[str],
    analysed: Callable[[Path], Mapping[str, float | None]],
) -> list[SeriesModel]:
    """Read the models; analyse their weights if the table has no numbers for them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header, lines = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise RowsError(f"{path} cannot be read as a CSV table: {reason}") from fault
    number_columns = [name for name in numbers if name in header]
    if "model" not in header or not {"error", "accuracy"} & set(header):
        raise RowsError(
            f"{path} has the columns {', '.join(header) or 'none'}; it needs model (a checkpoint, "
            "or any name if the table has numbers) and error or accuracy, in percent; optional: "
            f"family, {', '.join(numbers)}"
        )
    if not lines:
        raise RowsError(f"{path} has no lines below its header")
    members = []
    for place, line in enumerate(lines, start=2):
        where = f"{path}, line {place}"
        error = _number(line.get("error"), where, "error")
        accuracy = _number(line.get("accuracy"), where, "accuracy")
        if error is None and accuracy is None:
            raise RowsError(f"{where}: has neither error nor accuracy; fill in one of them")
        values: Mapping[str, float | None]
        if number_columns:
            values = {name: _number(line.get(name), where, name) for name in number_columns}
        else:
            values = analysed(path.parent / (line["model"] or ""))
        members.append(
            SeriesModel(
                name=line["model"] or "",
                family=line.get("family") or "all",
                error=error if error is not None else 100 - (accuracy or 0.0),
                numbers=values,
            )
        )
    return members


def _number(text: str | None, where: str, name: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RowsError(f"{where}: {name} is {text!r}, not a number")
    return value
