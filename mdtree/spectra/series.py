"""A series: models of one family with their errors, and how well each number ranks them.

    tau    Kendall's rank correlation of the number and the error
    R2     of the regression line, error = a number + b
    RMSE   of that line, in the unit of the error

As in table 1 of Martin, Peng and Mahoney 2021.  Numbers are compared only within a family, because
they are not comparable across families.  A positive tau means that smaller is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FEW", "Ranking", "SeriesModel", "rankings"]

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
