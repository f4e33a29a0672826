"""Study what carries from one zoo to another, and from one end of a zoo to the other.

    python scripts/study_zoos.py [--published TABLE.csv]

Reads the rows of the reference zoos that come with mdtree.  Three kinds of tables, for
docs/zoos.md: reliability of each tree over cells that it has not seen; accuracy of all methods of
`mdtree evaluate` from zoo to zoo and along the grid of each; and what is lost without a part of
the measurements (a random forest, which takes any features).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reliability import judged, table
from sklearn.ensemble import RandomForestClassifier

import mdtree
from mdtree.evaluation import METHODS
from mdtree.failure_modes import TASKS
from mdtree.labelling import label_rows, number_of
from mdtree.rows import Row, read_rows, rows_from_csv
from mdtree.trees import FACT_FEATURES, LANDSCAPE, SPECTRUM, feature_matrix
from mdtree.trees.examples import labelled

FOLDER = Path(mdtree.__file__).parent / "data" / "zoos"
HESSIAN = ("log_hessian_top", "log_hessian_trace", "log_hessian_share")
CURVE = ("connectivity", "connectivity_peak", "log_peak_ratio")
ONE = ("train_error", "train_loss", "log_hessian_top", "log_hessian_trace", "log_hessian_share")
SEEDS = range(5)

ABLATIONS: dict[str, tuple[str, ...]] = {
    "all of the landscape": LANDSCAPE,
    "without connectivity": tuple(f for f in LANDSCAPE if f not in CURVE),
    "without Hessian": tuple(f for f in LANDSCAPE if f not in HESSIAN),
    "without CKA": tuple(f for f in LANDSCAPE if f != "cka"),
    "errors and losses alone": ("train_error", "train_loss", "test_error", "test_loss"),
    "one checkpoint only": ONE,
    "one checkpoint and its spectrum": (*ONE, *SPECTRUM),
    "spectrum only": SPECTRUM,
    "landscape and spectrum": (*LANDSCAPE, *SPECTRUM),
    "facts only": FACT_FEATURES,
    "landscape and facts": (*LANDSCAPE, *FACT_FEATURES),
}

Keep = Callable[[Row], bool]


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Rows to learn from, and rows to be tested on."""

    name: str
    learn: Sequence[Row]
    test: Sequence[Row]
    learn_from: Keep = lambda _: True
    test_on: Keep = lambda _: True
    grid: Sequence[Row] | None = None  # that labels the tested rows, where they are a part of it


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, help="the published clean table, of paper-1")
    options = parser.parse_args()
    zoos = {path.stem: read_rows(path) for path in sorted(FOLDER.glob("*.jsonl"))}
    standard = {name: rows for name, rows in zoos.items() if name.endswith("standard-1")}
    for name, rows in standard.items():
        labels = label_rows(rows)
        modes = [label.mode for label in labels]
        counts = ", ".join(f"{modes.count(mode)} {mode}" for mode in dict.fromkeys(modes))
        noisy = sum(label.in_noise for label in labels)
        print(f"\n{name}: {len(rows)} groups: {counts}; {noisy} labels inside the noise")
    pooled = {**standard, "both": [row for rows in standard.values() for row in rows]}
    for name, rows in pooled.items():
        for task in ("failure", "temperature"):
            chosen, answers, _ = labelled(rows, task)
            print(f"\n#### {name}, {task}\n\n{table(judged(chosen, answers, task))}")
    shifts = [*_between(standard), *(s for n, rows in standard.items() for s in _inside(n, rows))]
    for task in TASKS:
        print(f"\n### {task}\n\n{_methods(task, shifts)}")
    print(f"\n### without a part\n\n{_ablations(shifts)}")
    if options.published is not None:
        published = rows_from_csv(options.published, protocol="paper-1").rows
        for name, rows in zoos.items():
            if name.endswith("paper-1"):
                grid = zoos[name.replace("paper-1", "standard-1")]
                there = Shift(name=f"published to {name}", learn=published, test=rows, grid=grid)
                for task in TASKS:
                    print(f"\n### published table to {name}, {task}\n\n{_methods(task, [there])}")


def _between(zoos: dict[str, list[Row]]) -> Iterator[Shift]:
    for one, rows in zoos.items():
        for other, others in zoos.items():
            if one != other:
                name = f"{one.split('-')[0]} to {other.split('-')[0]}"
                yield Shift(name=name, learn=rows, test=others)


def _inside(zoo: str, rows: list[Row]) -> Iterator[Shift]:
    name = zoo.split("-", maxsplit=1)[0]
    for fact, direction in (("width", "narrow to wide"), ("data_amount", "little data to much")):
        values = sorted({number_of(row, fact) or 0 for row in rows})
        middle = values[(len(values) - 1) // 2]

        def low(row: Row, fact: str = fact, middle: float = middle) -> bool:
            return (number_of(row, fact) or 0) <= middle

        def high(row: Row, fact: str = fact, middle: float = middle) -> bool:
            return (number_of(row, fact) or 0) > middle

        yield Shift(
            name=f"{name}: {direction}", learn=rows, test=rows, learn_from=low, test_on=high
        )


def _split(
    shift: Shift, task: str, features: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.float64], NDArray[np.str_]]:
    """Label whole zoos, then choose: the best change may lie on the other side."""
    parts: list[NDArray[np.float64] | NDArray[np.str_]] = []
    for rows, keep, grid in (
        (shift.learn, shift.learn_from, shift.learn),
        (shift.test, shift.test_on, shift.grid or shift.test),
    ):
        labels = dict(zip(*_answered(grid, task), strict=True))
        chosen = [row for row in rows if row.group in labels]
        answers = [labels[row.group] for row in chosen]
        mask = np.array([keep(row) for row in chosen])
        parts += [feature_matrix(chosen, features)[mask], np.array(answers)[mask]]
    return tuple(parts)  # type: ignore[return-value]


def _answered(rows: Sequence[Row], task: str) -> tuple[list[str], list[str]]:
    chosen, answers, _ = labelled(rows, task)
    return [row.group for row in chosen], answers


def _methods(task: str, shifts: Sequence[Shift]) -> str:
    lines = [_header("method", shifts)]
    for method in METHODS.values():
        cells = []
        for shift in shifts:
            try:
                known, labels, asked, truth = _split(shift, task, method.features(task))
                runs = []
                for seed in SEEDS if "forest" in method.name or method.name == "random" else (42,):
                    estimator = method.make(task, seed)
                    estimator.fit(known, labels)
                    runs.append(100 * (estimator.predict(asked) == truth).mean())
                cells.append(f"{np.mean(runs):.0f}")
            except (ValueError, KeyError):
                cells.append("")
        if any(cells):
            lines.append(f"| {method.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ablations(shifts: Sequence[Shift]) -> str:
    lines = []
    for task in ("failure", "temperature"):
        lines.append(_header(f"{task}: a forest of", shifts))
        for name, features in ABLATIONS.items():
            cells = []
            for shift in shifts:
                known, labels, asked, truth = _split(shift, task, features)
                runs = [
                    100
                    * (
                        RandomForestClassifier(200, random_state=seed).fit(known, labels)
                        .predict(asked) == truth
                    ).mean()
                    for seed in SEEDS
                ]  # fmt: skip
                cells.append(f"{np.mean(runs):.0f}")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _header(first: str, shifts: Sequence[Shift]) -> str:
    names = " | ".join(shift.name for shift in shifts)
    return f"| {first} | {names} |\n| --- |" + " --- |" * len(shifts)


if __name__ == "__main__":
    main()
