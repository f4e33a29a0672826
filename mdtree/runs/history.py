"""The history of a run: losses, accuracy and learning rate over the steps of training."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

from mdtree.runs.logged_errors import ERRORS, PLAIN, LoggedError, percent_of

__all__ = ["History", "HistoryPoint", "is_column", "points_from"]

_TRAIN, _TEST = ("train", "training"), ("val", "valid", "validation", "eval", "test", "dev")
_LOSS = ("loss",)
_ACCURACY = (
    "accuracy",
    "acc",
    "top1",
    "acc1",
    "acc_top1",
    "top1_acc",
    "top_1",
    "accuracy_top1",
    "acc_1",
)
_NEAR = 3.0  # times the level of chance
_OF_EPOCHS = re.compile(r"_epoch$")  # Lightning appends it to means over an epoch


def _columns(sides: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in sides for name in names)


# what a point holds -> the columns in which trainers write it, the first of them that is there
_COLUMNS: dict[str, tuple[str, ...]] = {
    "step": ("step", "global_step", "steps", "iteration", "iter"),
    "epoch": ("epoch",),
    "train_loss": (*_columns(_TRAIN, _LOSS), "loss"),
    "test_loss": _columns(_TEST, _LOSS),
    "test_accuracy": (*_columns(_TEST, _ACCURACY), *_ACCURACY),
    "learning_rate": ("learning_rate", "lr"),
}

_ERROR_COLUMNS = (*_columns(_TEST, (*ERRORS, *PLAIN)), *ERRORS)
_KNOWN = {name for columns in _COLUMNS.values() for name in columns} | {*_ERROR_COLUMNS}


@dataclass(frozen=True, kw_only=True)
class HistoryPoint:
    """One line of a history; None is what the line does not say."""

    step: float | None = None
    epoch: float | None = None
    train_loss: float | None = None  # as the trainer averages it; NaN where training diverged
    test_loss: float | None = None
    test_accuracy: float | None = None  # percent
    learning_rate: float | None = None
    test_side: str | None = None  # the data of the evaluation, as its column names them: val, ...
    is_share: bool = False  # all accuracies of the log are at most 1, so they were taken for shares
    error: LoggedError | None = None  # of test data, as it was logged


_NO_NUMBERS = ("is_share", "test_side", "error")
_NUMBERS = tuple(part.name for part in fields(HistoryPoint) if part.name not in _NO_NUMBERS)


@dataclass(frozen=True, kw_only=True)
class History:
    """What a trainer logged, in the order of the steps."""

    points: tuple[HistoryPoint, ...] = ()

    def last(self, name: str) -> float | None:
        """Return the last known value of a field."""
        return next((value for value in self._values(reversed(self.points), name)), None)

    def largest(self, name: str) -> float | None:
        """Return the largest known value of a field."""
        return max(self._values(self.points, name), default=None)

    def until(self, kind: str, number: float) -> History:
        """Return what was logged up to a `step` or an `epoch`.

        >>> two = History(points=(HistoryPoint(epoch=1), HistoryPoint(epoch=2)))
        >>> two.until("epoch", 1) == History(points=two.points[:1])
        True
        """
        places = [getattr(point, kind) for point in self.points]
        later = (n for n, place in enumerate(places) if place is not None and place > number)
        return History(points=self.points[: next(later, None)])

    @property
    def last_epoch(self) -> float | None:
        """Return the last epoch that was logged."""
        return max((p.epoch for p in self.points if p.epoch is not None), default=None)

    @property
    def best(self) -> HistoryPoint | None:
        """Return the point of the highest test accuracy, or else of the lowest test loss."""
        for name, sign in (("test_accuracy", -1), ("test_loss", 1)):
            known = [point for point in self.points if _is_finite(getattr(point, name))]
            if known:
                return min(known, key=lambda point: sign * getattr(point, name))
        return None

    @property
    def final(self) -> HistoryPoint:
        """Return the last known losses and accuracy, which may stand in several lines."""
        return HistoryPoint(
            train_loss=self.last("train_loss"),
            test_loss=self.last("test_loss"),
            test_accuracy=self.last("test_accuracy"),
            is_share=any(point.is_share for point in self.points),
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Name what was logged; a learning rate is a fact."""
        kinds = {
            "losses": ("train_loss", "test_loss"),
            "accuracy": ("test_accuracy",),
        }
        known = {name for p in self.points for name in _NUMBERS if getattr(p, name) is not None}
        return tuple(kind for kind, names in kinds.items() if known & set(names))

    @property
    def shares(self) -> tuple[float, float] | None:
        """Return the lowest and the highest accuracy, where all were taken for shares."""
        known = [p.test_accuracy / 100 for p in self.points if p.test_accuracy is not None]
        return (min(known), max(known)) if any(point.is_share for point in self.points) else None

    def may_be_percent(self, classes: int) -> bool:
        """Return whether accuracies that were taken for shares may be percent at chance level.

        >>> one = History(points=(HistoryPoint(test_accuracy=100.0, is_share=True),))
        >>> one.may_be_percent(100), one.may_be_percent(10)
        (True, False)
        """
        chance = 100 / classes
        logged = [point.test_accuracy / 100 for point in self.points if point.test_accuracy]
        is_share = any(point.is_share for point in self.points)
        return (
            is_share
            and bool(logged)
            and all(chance / _NEAR <= each <= chance * _NEAR for each in logged)
        )

    @property
    def diverged(self) -> bool:
        """Whether the last loss that the trainer logged is NaN or infinite."""
        losses = [point.train_loss for point in self.points if point.train_loss is not None]
        return bool(losses) and not math.isfinite(losses[-1])

    @staticmethod
    def _values(points: Iterable[HistoryPoint], name: str) -> Iterable[float]:
        return (getattr(point, name) for point in points if _is_finite(getattr(point, name)))


def is_column(name: str) -> bool:
    """Return whether a history has a use for a column."""
    return _OF_EPOCHS.sub("", _column(name)) in _KNOWN


def points_from(
    lines: Iterable[Mapping[Any, Any]], *, is_certain: bool = False
) -> tuple[tuple[HistoryPoint, ...], str | None]:
    """Read lines of a log, and say what was left out.

    Where the steps begin again, another run was appended: the last one counts.  Accuracies that are
    all at most 1 are shares, and `is_certain` where the trainer never writes percent.  Test errors
    become accuracies where none were logged.

    >>> points, note = points_from([{"epoch": 1, "val/acc": "0.5"}, {"epoch": 2, "val/acc": 0.75}])
    >>> [point.test_accuracy for point in points], note
    ([50.0, 75.0], None)
    """
    read = [point for line in lines if (point := _point(line)) is not None]
    runs = _runs(read)
    note = f"{len(runs)} runs stand in it, and the last one counts" if len(runs) > 1 else None
    points = runs[-1] if runs else []
    accuracies = [p.test_accuracy for p in points if p.test_accuracy is not None]
    if not accuracies:
        points, open_scale = _from_errors(points)
        note = "; ".join(filter(None, (note, open_scale))) or None
    elif max(accuracies) <= 1:
        points = [
            p
            if p.test_accuracy is None
            else replace(p, test_accuracy=100 * p.test_accuracy, is_share=not is_certain)
            for p in points
        ]
    return tuple(points), note


def _from_errors(points: list[HistoryPoint]) -> tuple[list[HistoryPoint], str | None]:
    """Turn test errors into accuracies, if the log tells whether they are percent or shares."""
    errors = [point.error for point in points if point.error is not None]
    if not errors:
        return points, None
    has_losses = any(p.train_loss is not None or p.test_loss is not None for p in points)
    factor, why = percent_of(errors, has_losses=has_losses)
    if factor is None:
        return points, why
    return [
        p if p.error is None else replace(p, test_accuracy=100 - factor * p.error.number)
        for p in points
    ], None


def _point(line: Mapping[Any, Any]) -> HistoryPoint | None:
    cells = {_OF_EPOCHS.sub("", _column(name)): value for name, value in line.items()}
    numbers: dict[str, Any] = {
        name: next(
            (number for column in columns if (number := _number(cells.get(column))) is not None),
            None,
        )
        for name, columns in _COLUMNS.items()
    }
    for name in ("step", "epoch"):
        if not _is_finite(numbers[name]):
            numbers[name] = None
    accuracy = numbers["test_accuracy"]
    if accuracy is not None and not 0 <= accuracy <= 100:  # noqa: PLR2004 - percent; NaN is not
        numbers["test_accuracy"] = None
    error = _error(cells, numbers["test_loss"])
    is_empty = all(numbers[name] is None for name in _NUMBERS if name not in ("step", "epoch"))
    if is_empty and error is None:
        return None
    return HistoryPoint(**numbers, test_side=_test_side(cells), error=error)


def _error(cells: Mapping[str, Any], loss: float | None) -> LoggedError | None:
    for column in _ERROR_COLUMNS:
        number = _number(cells.get(column))
        if number is not None and 0 <= number <= 100:  # noqa: PLR2004 - percent; NaN is not
            return LoggedError(column, number, loss)
    return None


def _test_side(cells: Mapping[str, Any]) -> str | None:
    """Return the first word of the column of an evaluation; None where it does not say."""
    columns = (*_COLUMNS["test_loss"], *_columns(_TEST, (*_ACCURACY, *ERRORS, *PLAIN)))
    known = (column for column in columns if _number(cells.get(column)) is not None)
    return next((column.partition("_")[0] for column in known), None)


def _column(name: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _number(value: Any) -> float | None:
    """Read a number, or a text that is one; an empty cell is None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _falls(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after < before


def _runs(points: Sequence[HistoryPoint]) -> list[list[HistoryPoint]]:
    """Split where the steps begin again, or else the epochs.

    Where the epochs go on, steps that begin again are counted anew in each epoch: they are left
    out.
    """
    pairs = list(pairwise(points))
    if any(_falls(a.step, b.step) and _falls(b.epoch, a.epoch) for a, b in pairs):
        points = [replace(point, step=None) for point in points]
    name = "step" if any(point.step is not None for point in points) else "epoch"
    runs: list[list[HistoryPoint]] = []
    latest = math.inf
    for point in points:
        place = getattr(point, name)
        if not runs or (place is not None and place < latest and latest != math.inf):
            runs.append([])
        if place is not None:
            latest = place
        runs[-1].append(point)
    return runs
