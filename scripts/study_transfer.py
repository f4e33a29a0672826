"""Which tree carries to networks that it has not seen? Shifts made inside one table.

    python scripts/study_transfer.py TABLE.csv [--seeds 40] [--json]

Every method learns from few or special cells of the grid and is tested on all the others: on random
cells, on one data amount or width, on little or much data, on narrow or wide networks.  The shapes
and weights of `trees.template.FAMILIES` were chosen by this study, and what was tried and did
not help is in it too.  Its table is in docs/transfer.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from mdtree.evaluation import calibration_error
from mdtree.rows import rows_from_csv
from mdtree.trees import (
    FACT_FEATURES,
    FAMILIES,
    LANDSCAPE,
    PUBLISHED,
    CartTree,
    PosteriorTree,
    PublishedTree,
    feature_matrix,
)
from mdtree.trees.bundled import PUBLISHED_TABLE
from mdtree.trees.examples import labelled
from mdtree.trees.posterior import posterior
from mdtree.trees.template import Family, questions_of

FEATURES = (*LANDSCAPE, *FACT_FEATURES)
RAW = 7  # the first columns: what is measured, without ratios and facts

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A way to split a table: (learn from, test on), perhaps many times."""

    name: str
    splits: Callable[[NDArray[np.float64]], Iterator[tuple[Mask, Mask]]]


def main() -> None:
    """Run all methods on all shifts of all tasks, and print one table for each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?", default=PUBLISHED_TABLE)
    parser.add_argument("--seeds", type=int, default=40, help="random draws of cells")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = rows_from_csv(options.table, protocol="paper-1").rows
    results: dict[str, Any] = {}
    for task, shifts in _shifts(options.seeds).items():
        chosen, answers, _ = labelled(rows, task)
        grid = np.array([[r.facts["data_amount"], r.facts["width"]] for r in chosen], dtype=float)
        matrix, labels = feature_matrix(chosen, FEATURES), np.array(answers)
        results[task] = {
            shift.name: {
                name: _scores(make, matrix, labels, list(shift.splits(grid)))
                for name, make in _methods(task).items()
            }
            for shift in shifts
        }
    print(json.dumps(results) if options.json else _tables(results))


def _scores(
    make: Callable[[], Any],
    matrix: NDArray[np.float64],
    labels: NDArray[np.str_],
    splits: list[tuple[Mask, Mask]],
) -> dict[str, float]:
    accuracy, ece = [], []
    for learn, test in splits:
        estimator = make().fit(matrix[learn], labels[learn])
        right = estimator.predict(matrix[test]) == labels[test]
        accuracy.append(right.mean())
        ece.append(calibration_error(estimator.predict_proba(matrix[test]).max(axis=1), right))
    return {
        "accuracy": 100 * float(np.mean(accuracy)),
        "worst": 100 * float(np.min(accuracy)),
        "ece": float(np.mean(ece)),
    }


class _Raw:
    """A method that sees the measured columns only."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def fit(self, X: NDArray[np.float64], y: NDArray[np.str_]) -> _Raw:
        self._estimator.fit(X[:, :RAW], y)
        return self

    def predict(self, X: NDArray[np.float64]) -> Any:
        return self._estimator.predict(X[:, :RAW])

    def predict_proba(self, X: NDArray[np.float64]) -> Any:
        return self._estimator.predict_proba(X[:, :RAW])


class _ByEvidence:
    """Our shapes, weighted by the evidence of the training rows instead of fixed weights."""

    def __init__(self, task: str) -> None:
        shapes = FAMILIES[task].shapes
        self._parts = [
            PosteriorTree(task=task, features=FEATURES, family=Family(shapes=((1.0, shape),)))
            for _, shape in shapes
        ]

    def fit(self, X: NDArray[np.float64], y: NDArray[np.str_]) -> _ByEvidence:
        logs = [posterior(part.fit(X, y).components_[0][1]).log_evidence for part in self._parts]
        weights = np.exp(np.array(logs) - max(logs))
        self._weights = weights / weights.sum()
        self.classes_ = self._parts[0].classes_
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> Any:
        parts = zip(self._weights, self._parts, strict=True)
        return sum(weight * part.predict_proba(X) for weight, part in parts)

    def predict(self, X: NDArray[np.float64]) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _methods(task: str) -> dict[str, Callable[[], Any]]:
    def ours(family: Family | None = None, *, facts: bool = False) -> Callable[[], Any]:
        return lambda: PosteriorTree(task=task, features=FEATURES, family=family, facts=facts)

    def alone(number: int) -> Callable[[], Any]:
        return ours(Family(shapes=(FAMILIES[task].shapes[number],)))

    methods: dict[str, Callable[[], Any]] = {
        "cart, landscape": lambda: _Raw(CartTree()),
        "forest, landscape": lambda: _Raw(RandomForestClassifier(200, random_state=0)),
    }
    if task in PUBLISHED:
        shape = PUBLISHED[task]
        methods |= {
            "published search": lambda: PublishedTree(shape=task, features=FEATURES),
            "published start": lambda: PublishedTree(shape=task, features=FEATURES, search="none"),
            "posterior of the published shape": ours(Family(shapes=((1.0, shape),))),
        }
    if task == "temperature":
        cka = PUBLISHED["temperature-cka"]
        methods["posterior of the published shape with CKA"] = ours(Family(shapes=((1.0, cka),)))
        weak = FAMILIES[task].shapes[:1]
        methods["our shape, leaves less sure of their class"] = ours(
            Family(shapes=weak, hit=3.0, miss=1.0)
        )
        methods["our shape, alone"] = alone(0)
    elif len(FAMILIES[task].shapes) > 1:
        for number, (_, shape) in enumerate(FAMILIES[task].shapes):
            asked = " / ".join(dict.fromkeys(ask.feature for ask in questions_of(shape)))
            methods[f"one shape: {asked}"] = alone(number)
    if len(FAMILIES[task].shapes) > 1:
        methods["our shapes, weighted by evidence"] = lambda: _ByEvidence(task)
    methods["posterior"] = ours()
    if f"{task}+facts" in FAMILIES:
        methods["posterior, with facts"] = ours(facts=True)
    return methods


def _shifts(seeds: int) -> dict[str, list[Shift]]:
    data, width = 0, 1
    return {
        "temperature": [
            Shift(name="8 random cells", splits=_cells(8, seeds)),
            Shift(name="1 random cell", splits=_cells(1, seeds)),
            Shift(name="data <= 5,000", splits=_edge(data, 5_000)),
            Shift(name="data <= 10,000", splits=_edge(data, 10_000)),
            Shift(name="data >= 45,000", splits=_edge(data, -45_000)),
            Shift(name="width <= 2", splits=_edge(width, 2)),
            Shift(name="width <= 4", splits=_edge(width, 4)),
            Shift(name="width >= 64", splits=_edge(width, -64)),
            Shift(name="width >= 23", splits=_edge(width, -23)),
        ],
        "width": [
            Shift(name="one data amount", splits=_each(data, 0)),
            Shift(name="data <= 5,000", splits=_edge(data, 5_000)),
            Shift(name="data <= 15,000", splits=_edge(data, 15_000)),
            Shift(name="data >= 50,000", splits=_edge(data, -50_000)),
        ],
        "data": [
            Shift(name="one width of 32 or more", splits=_each(width, 32)),
            Shift(name="width 32 to 45, to wider ones", splits=_between(width, 32, 45)),
        ],
        "failure": [
            Shift(name="8 random cells", splits=_cells(8, seeds)),
            Shift(name="data <= 15,000", splits=_edge(data, 15_000)),
            Shift(name="width <= 8", splits=_edge(width, 8)),
        ],
    }


Splits = Callable[[NDArray[np.float64]], Iterator[tuple[Mask, Mask]]]


def _cells(count: int, seeds: int) -> Splits:
    """Learn from random cells, test on all others."""

    def splits(grid: NDArray[np.float64]) -> Iterator[tuple[Mask, Mask]]:
        known = np.unique(grid, axis=0)
        rng = np.random.default_rng(0)
        for _ in range(seeds):
            drawn = known[rng.choice(len(known), count, replace=False)]
            learn = (grid[:, None, :] == drawn[None]).all(axis=2).any(axis=1)
            yield learn, ~learn

    return splits


def _edge(axis: int, limit: float) -> Splits:
    """Learn from one edge of the grid (a negative limit: the upper one), test on the rest."""

    def splits(grid: NDArray[np.float64]) -> Iterator[tuple[Mask, Mask]]:
        learn = grid[:, axis] <= limit if limit > 0 else grid[:, axis] >= -limit
        yield learn, ~learn

    return splits


def _each(axis: int, least: float) -> Splits:
    """Learn from each single value of an axis in turn, test on all other values."""

    def splits(grid: NDArray[np.float64]) -> Iterator[tuple[Mask, Mask]]:
        part = grid[:, 1] >= least
        for value in np.unique(grid[part, axis]):
            learn = grid[:, axis] == value
            yield learn & part, ~learn & part

    return splits


def _between(axis: int, low: float, high: float) -> Splits:
    """Learn from a range of an axis, test on all above it."""

    def splits(grid: NDArray[np.float64]) -> Iterator[tuple[Mask, Mask]]:
        learn = (grid[:, axis] >= low) & (grid[:, axis] <= high)
        yield learn, grid[:, axis] > high

    return splits


def _tables(results: dict[str, Any]) -> str:
    parts = []
    for task, shifts in results.items():
        methods = list(next(iter(shifts.values())))
        parts.append(f"\n### {task}\n")
        parts.append("| method | " + " | ".join(shifts) + " |")
        parts.append("| --- |" + " --- |" * len(shifts))
        for method in methods:
            cells = (
                f"{s[method]['accuracy']:.1f} ({s[method]['worst']:.1f}; {s[method]['ece']:.3f})"
                for s in shifts.values()
            )
            parts.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
