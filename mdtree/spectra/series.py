"""A series: models of one family with their errors, and how well each number ranks them.

    tau    Kendall's rank correlation of the number and the error
    R2     of the regression line, error = a number + b
    RMSE   of that line, in the unit of the error

As in table 1 of Martin, Peng and Mahoney 2021.  Numbers are compared only within a family, because
they are not comparable across families.  A positive tau means that smaller is better.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdtree.exceptions import RowsError

__all__ = ["FEW", "Ranking", "SeriesModel", "rankings", "read_series"]

FEW = 5  # models; with fewer, a rank correlation is hardly more than chance
_LEAST = 3


@dataclass(frozen=True, kw_only=True)
class SeriesModel:
    """One model of a family."""

    name: str
    family: str
    error: float
    numbers: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How well a number ranks the models of a family."""

    family: str
    number: str
    models: int
    tau: float | None
    p_value: float | None  # of tau, if there were no relation
    r2: float | None
    rmse: float | None
    reason: str | None = None  # why it could not be computed

    @property
    def few(self) -> bool:
        """Whether there are too few models to trust the ranking."""
        return self.models < FEW


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


def rankings(members: Sequence[SeriesModel]) -> tuple[Ranking, ...]:
    """Compute the ranking of each family by each number of its models."""
    results: list[Ranking] = []
    for family in dict.fromkeys(member.family for member in members):
        models = [member for member in members if member.family == family]
        names = dict.fromkeys(name for model in models for name in model.numbers)
        results += [_ranking(family, number, models) for number in names]
    return tuple(results)


def _ranking(family: str, number: str, models: Sequence[SeriesModel]) -> Ranking:
    known = [(m.numbers.get(number), m.error) for m in models]
    pairs = [(x, y) for x, y in known if x is not None and math.isfinite(x)]
    x, y = np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])
    reason = None
    if len(pairs) < _LEAST:
        reason = f"needs {_LEAST} models, found {len(pairs)}"
    elif np.ptp(x) == 0 or np.ptp(y) == 0:
        reason = "all values are equal"
    if reason is not None:
        return Ranking(
            family=family, number=number, models=len(pairs),
            tau=None, p_value=None, r2=None, rmse=None, reason=reason,
        )  # fmt: skip
    from scipy.stats import kendalltau  # takes a second to load

    tau = kendalltau(x, y)
    slope, intercept = np.polyfit(x - x.mean(), y, 1)
    rest = y - (slope * (x - x.mean()) + intercept)
    return Ranking(
        family=family,
        number=number,
        models=len(pairs),
        tau=float(tau.statistic),
        p_value=float(tau.pvalue),
        r2=float(1 - (rest**2).sum() / ((y - y.mean()) ** 2).sum()),
        rmse=float(np.sqrt((rest**2).mean())),
    )


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
