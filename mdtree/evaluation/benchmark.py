"""The benchmark: every method on every transfer case, over several draws of the training rows.

A case says which rows a method may learn from; it is tested on all labelled rows.  Cases 1 to 5 are
those of Zhou et al. (ICML 2024), drawn exactly as published: NumPy's legacy generator, seeded,
chooses from the sorted cells of the grid.  `few` is case 1 with one cell; `data` asks the third
published question on wide networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdtree.evaluation.methods import METHODS, Method
from mdtree.evaluation.scores import MethodScores, scored
from mdtree.exceptions import ProtocolError, TreeError
from mdtree.failure_modes import RoomForImprovement
from mdtree.labelling import number_of
from mdtree.progress import Progress, Silent
from mdtree.rows import Row, one_protocol
from mdtree.trees import feature_matrix
from mdtree.trees.examples import labelled

__all__ = ["CASES", "SEEDS", "Case", "CaseResult", "MethodResult", "allowed", "chosen", "evaluate"]

SEEDS = (42, 90, 38, 18, 72)

Draw = Literal["cells", "least data", "least width", "one data amount", "one width"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way of choosing training rows."""

    name: str
    task: str
    draw: Draw
    cells: int = 0  # (data amount, width) cells drawn
    least_width: int = 0  # rows of narrower networks take no part


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(name="1", task="temperature", draw="cells", cells=8),
        Case(name="2", task="temperature", draw="least data"),
        Case(name="3", task="temperature", draw="least width"),
        Case(name="4", task="width", draw="one data amount"),
        Case(name="5", task="width", draw="least data"),
        Case(name="few", task="temperature", draw="cells", cells=1),
        Case(name="data", task="data", draw="one width", least_width=32),
    )
}


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """The mean scores of a method over seeds, and the spread of its accuracy."""

    scores: MethodScores
    sd: float  # of the accuracy over seeds, in points


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """One case with all its methods; a method that could not run has the reason instead."""

    case: Case
    train_rows: tuple[int, ...]  # for each seed
    test_rows: int
    methods: dict[str, MethodResult | str]


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    rows: list[Row]
    answers: list[str]
    rooms: list[RoomForImprovement]


def evaluate(
    train: Sequence[Row],
    test: Sequence[Row],
    *,
    cases: Iterable[str] = tuple(CASES),
    methods: Iterable[str] = tuple(METHODS),
    progress: Progress | None = None,
    allow_protocol_mismatch: bool = False,
) -> list[CaseResult]:
    """Fit every method to rows drawn from `train` and test it on all labelled rows of `test`.

    Args:
        train: The rows to learn from.
        test: The rows to test on.
        cases: The names of the cases.
        methods: The names of the methods.
        progress: Receives one step for each case and method.
        allow_protocol_mismatch: Accept rows of different protocols.

    Returns:
        One result for each case.

    Raises:
        ProtocolError: If the rows have different protocols, and that is not allowed.
        TreeError: If no row takes part in a case.

    """
    if one_protocol(train) != one_protocol(test) and not allow_protocol_mismatch:
        raise ProtocolError(
            f"the training rows have protocol {train[0].protocol!r} and the test rows have "
            f"{test[0].protocol!r}: numbers of different protocols are not comparable. Measure "
            "again, or add --allow-protocol-mismatch"
        )
    watch = progress or Silent()
    selected_cases = [CASES[name] for name in cases]
    selected_methods = [METHODS[name] for name in methods]
    watch.start(len(selected_cases) * len(selected_methods))
    return [_case(case, train, test, selected_methods, watch) for case in selected_cases]


def possible_cases(train: Sequence[Row], test: Sequence[Row]) -> list[str]:
    """Return the names of the cases in which rows of both sides take part."""
    return [
        name
        for name, case in CASES.items()
        if all(allowed(case, rows).any() for rows in (train, test))
    ]


def _case(
    case: Case, train: Sequence[Row], test: Sequence[Row], methods: list[Method], watch: Progress
) -> CaseResult:
    train_set, test_set = _labelled(train, case), _labelled(test, case)
    masks = [chosen(case, train_set.rows, seed) for seed in SEEDS]
    results: dict[str, MethodResult | str] = {}
    for method in methods:
        try:
            results[method.name] = _method(method, case, train_set, test_set, masks)
        except ValueError as error:
            results[method.name] = str(error).splitlines()[0]
        watch.step(f"case {case.name}, {method.name}")
    return CaseResult(
        case=case,
        train_rows=tuple(int(mask.sum()) for mask in masks),
        test_rows=len(test_set.rows),
        methods=results,
    )


def _labelled(rows: Sequence[Row], case: Case) -> _Labelled:
    """Label all rows of the grid, then keep those that take part in the case."""
    columns = labelled(rows, case.task)
    takes_part = allowed(case, columns[0])
    examples = [
        example
        for example, keep in zip(zip(*columns, strict=True), takes_part, strict=True)
        if keep
    ]
    if not examples:
        raise TreeError(f"case {case.name!r}: no labelled row takes part")
    return _Labelled(
        rows=[row for row, _, _ in examples],
        answers=[answer for _, answer, _ in examples],
        rooms=[room for _, _, room in examples],
    )


def _method(
    method: Method,
    case: Case,
    train_set: _Labelled,
    test_set: _Labelled,
    masks: Sequence[np.ndarray],
) -> MethodResult:
    features = method.features(case.task)
    train_matrix = feature_matrix(train_set.rows, features)
    test_matrix = feature_matrix(test_set.rows, features)
    labels = np.array(train_set.answers)
    runs = []
    for seed, mask in zip(SEEDS, masks, strict=True):
        estimator = method.make(case.task, seed)
        estimator.fit(train_matrix[mask], labels[mask])
        probabilities = estimator.predict_proba(test_matrix)
        classes = [str(name) for name in estimator.classes_]
        predictions = [str(answer) for answer in estimator.predict(test_matrix)]
        runs.append(
            scored(
                predictions, probabilities, classes, answers=test_set.answers, rooms=test_set.rooms
            )
        )
    mean = MethodScores(
        **{
            field.name: float(np.mean([getattr(run, field.name) for run in runs]))
            for field in fields(MethodScores)
        }
    )
    return MethodResult(scores=mean, sd=float(np.std([run.accuracy for run in runs])))


def allowed(case: Case, rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Return which rows take part in a case, for training or for testing."""
    widths = np.array([_fact(row, "width") for row in rows])
    return np.asarray(widths >= case.least_width)


def chosen(case: Case, rows: Sequence[Row], seed: int) -> NDArray[np.bool_]:
    """Return which of the rows that take part a method may learn from."""
    takes_part = allowed(case, rows)
    if not takes_part.any():
        raise TreeError(f"case {case.name!r} needs networks of width {case.least_width} or more")
    cells = np.array([[_fact(row, "data_amount"), _fact(row, "width")] for row in rows])
    legacy = np.random.RandomState(seed)  # the generator of the published tables
    if case.draw == "cells":
        distinct = np.unique(cells[takes_part], axis=0)
        drawn_cells = distinct[
            legacy.choice(len(distinct), min(case.cells, len(distinct)), replace=False)
        ]
        mask = (cells[:, None, :] == drawn_cells[None]).all(axis=2).any(axis=1)
    elif case.draw in ("one data amount", "one width"):
        column = cells[:, 0 if case.draw == "one data amount" else 1]
        distinct = np.unique(column[takes_part])
        mask = column == distinct[legacy.choice(len(distinct), 1, replace=False)[0]]
    else:
        column = cells[:, 0 if case.draw == "least data" else 1]
        mask = column == column[takes_part].min()
    return np.asarray(mask & takes_part)


def _fact(row: Row, name: str) -> float:
    value = number_of(row, name)
    if value is None:
        raise TreeError(
            f"group {row.group!r} has no fact {name!r}: "
            "the cases are drawn by width and data_amount"
        )
    return value
