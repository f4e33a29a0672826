"""Unseen zoos: each method is fitted to other zoos and tested on one, and its answers are scored.

Each zoo of a collection is left out in turn, or methods are tested on zoos that were set aside.
Answers are judged on groups whose label is clear of the noise; what follows an answer, on all whose
gain is known.  Means are over zoos, so that each weighs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mdtree.evaluation.left_out_methods import (
    CLASSES,
    LEFT_OUT_METHODS,
    Answerer,
    Answers,
    Fitted,
    LabelledZoo,
)
from mdtree.evaluation.scores import LEAST, calibration_error
from mdtree.exceptions import RowsError
from mdtree.failure_modes import CONFIDENCE, REMEDIES
from mdtree.labelling import Label
from mdtree.progress import Progress, Silent
from mdtree.rows import Row
from mdtree.runtime.cores import cores
from mdtree.trees.gain_model import answer_set

__all__ = [
    "LeftOutScores",
    "judge_set_aside",
    "leave_one_zoo_out",
    "left_out_scores",
    "mean_scores",
]


@dataclass(frozen=True, kw_only=True)
class LeftOutScores:
    """The scores of one method; NaN if a zoo has no such group."""

    right: float  # percent of groups with a clear label: the likeliest of five answers is right
    temperature: float  # percent right: too high or too low, if the two gains differ
    resources: float  # percent right: data or model, if the two gains differ
    lost: float  # percent of the possible gain that is lost by following the likeliest answer
    right_sure: float  # percent of groups with a clear label: sure enough for a verdict, and right
    wrong_sure: float  # the same, and wrong
    log_loss: float  # nats
    ece: float  # expected calibration error, 0 to 1
    coverage_80: float  # percent of sets that hold the right answer
    size_80: float  # answers in a set
    coverage_90: float
    size_90: float
    outside: float  # percent of groups flagged as unlike those of the zoos that were seen
    # of each group with a clear label: how sure the likeliest answer is, and whether it is right
    confidences: tuple[tuple[float, bool], ...] = field(default=(), repr=False)

    def numbers(self) -> dict[str, float]:
        """Return the scores by name."""
        return {part.name: getattr(self, part.name) for part in _NUMBERS}


_NUMBERS = [part for part in fields(LeftOutScores) if part.name != "confidences"]


def leave_one_zoo_out(
    zoos: Mapping[str, Sequence[Row]],
    *,
    methods: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score every method on every zoo, fitted to the others: method -> zoo -> scores.

    Raises:
        RowsError: If there are fewer than two zoos, or one of them cannot be labelled.

    """
    if len(zoos) < 2:  # noqa: PLR2004 - one to learn from
        names = ", ".join(zoos) or "none"
        raise RowsError(f"leaving one zoo out takes two or more zoos, got {names}")

    known = {name: LabelledZoo(rows=rows) for name, rows in zoos.items()}
    return _all_scores(known, known, methods, progress)


def judge_set_aside(
    zoos: Mapping[str, Sequence[Row]],
    set_aside: Mapping[str, Sequence[Row]],
    *,
    methods: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score every method, fitted to all zoos, on those set aside: method -> zoo -> scores.

    Raises:
        RowsError: If a zoo cannot be labelled.

    """
    seen = {name: LabelledZoo(rows=rows) for name, rows in zoos.items()}
    judged = {name: LabelledZoo(rows=rows) for name, rows in set_aside.items()}
    return _all_scores(seen, judged, methods, progress)


def _all_scores(
    seen: Mapping[str, LabelledZoo],
    judged: Mapping[str, LabelledZoo],
    methods: Iterable[str] | None,
    progress: Progress | None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score methods on zoos; if these are the zoos that were seen, each is left out in turn."""
    chosen = [LEFT_OUT_METHODS[name] for name in methods or LEFT_OUT_METHODS]
    watch = progress or Silent()
    watch.start(len(chosen) * len(judged))
    results: dict[str, dict[str, LeftOutScores]] = {}

    def score(name: str, answerer: Callable[[str], Answerer]) -> LeftOutScores:
        try:
            return left_out_scores(answerer(name)(judged[name]), judged[name].labels)
        except ValueError as error:
            raise RowsError(f"zoo {name} cannot be tested: {error}") from error

    for method in chosen:
        try:
            answerer = _answerer(method.fit(seen), left_out=judged is seen)
        except ValueError as error:
            raise RowsError(f"{method.name} cannot learn from these zoos: {error}") from error
        scores = results[method.name] = {}
        # zoos run in parallel, so linear algebra inside each must use a single thread
        with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
            tasks = {name: pool.submit(score, name, answerer) for name in judged}
            try:
                for name, task in tasks.items():
                    scores[name] = task.result()
                    watch.step(f"{name}, {method.name}")
            except BaseException:
                pool.shutdown(cancel_futures=True)  # drop tasks that nobody waits for
                raise
    return results


def _answerer(fitted: Fitted, *, left_out: bool) -> Callable[[str], Answerer]:
    """Return what answers for a zoo: a model fitted without it, or one fitted once to all."""
    if left_out:
        return fitted
    whole = fitted(None)
    return lambda _: whole


def mean_scores(by_zoo: Mapping[str, LeftOutScores]) -> LeftOutScores:
    """Return the means over zoos, leaving out NaN.

    The calibration error is that of all groups together: a zoo has too few for ten bins.
    """
    means = {}
    for column in _NUMBERS:
        values = np.array([getattr(scores, column.name) for scores in by_zoo.values()])
        known = values[~np.isnan(values)]
        means[column.name] = float(known.mean()) if len(known) else float("nan")
    confidences = tuple(pair for scores in by_zoo.values() for pair in scores.confidences)
    if confidences:
        sure, right = np.array(confidences).T
        means["ece"] = calibration_error(sure, right.astype(bool))
    return LeftOutScores(**means, confidences=confidences)


def left_out_scores(answers: Answers, labels: Sequence[Label]) -> LeftOutScores:
    """Score the answers of a method for one zoo."""
    given = [CLASSES[number] for number in answers.probabilities.argmax(axis=1)]
    clear = np.array([label.is_clear for label in labels])
    right = np.array([label.mode == mode for label, mode in zip(labels, given, strict=True)])
    sure = answers.probabilities.max(axis=1)
    places = [CLASSES.index(label.mode) for label in labels]
    true = answers.probabilities[np.arange(len(labels)), places]
    sets = {
        coverage: [
            answer_set(dict(zip(CLASSES, map(float, line), strict=True)), level)
            for line in answers.probabilities
        ]
        for coverage, level in answers.levels.items()
    }
    held = {
        coverage: np.array([label.mode in names for label, names in zip(labels, each, strict=True)])
        for coverage, each in sets.items()
    }
    sizes = {coverage: np.array([len(names) for names in each]) for coverage, each in sets.items()}
    nothing = np.full(len(labels), np.nan)
    return LeftOutScores(
        right=_percent(right, clear),
        temperature=_between(answers, labels, "lower_temperature", "raise_temperature"),
        resources=_between(answers, labels, "add_data", "enlarge_model"),
        lost=_lost(given, labels),
        right_sure=_percent(right & (sure >= CONFIDENCE), clear),
        wrong_sure=_percent(~right & (sure >= CONFIDENCE), clear),
        log_loss=_mean(-np.log(true.clip(LEAST, 1)), clear),
        ece=calibration_error(sure[clear], right[clear]) if clear.any() else float("nan"),
        coverage_80=100 * _mean(held.get("0.8", nothing), clear),
        size_80=_mean(sizes.get("0.8", nothing), clear),
        coverage_90=100 * _mean(held.get("0.9", nothing), clear),
        size_90=_mean(sizes.get("0.9", nothing), clear),
        outside=float("nan") if answers.outside is None else 100 * float(answers.outside.mean()),
        confidences=tuple(zip(sure[clear].tolist(), right[clear].tolist(), strict=True)),
    )


def _between(answers: Answers, labels: Sequence[Label], one: str, other: str) -> float:
    """Return how often the better of two remedies is chosen, if both are known and differ."""
    sides = [CLASSES.index(REMEDIES[remedy]) for remedy in (one, other)]
    first = answers.probabilities[:, sides[0]] > answers.probabilities[:, sides[1]]
    right = [
        bool(first[number]) is (label.gains[one] > label.gains[other])
        for number, label in enumerate(labels)
        if {one, other} <= label.known.keys()
        and abs(label.gains[one] - label.gains[other]) > label.margin
    ]
    return 100 * float(np.mean(right)) if right else float("nan")


def _lost(given: Sequence[str], labels: Sequence[Label]) -> float:
    """Return the percentage of the possible gain that is lost by following the answers."""
    possible = reached = 0.0
    for mode, label in zip(given, labels, strict=True):
        known = {REMEDIES[remedy]: gain for remedy, gain in label.known.items()}
        if mode == "none" or mode in known:
            possible += max(known.values(), default=0.0)
            reached += known.get(mode, 0.0)
    return 100 * (possible - reached) / possible if possible else float("nan")


def _percent(values: NDArray[np.bool_], counted: NDArray[np.bool_]) -> float:
    return 100 * _mean(values.astype(float), counted)


def _mean(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> float:
    return float(values[counted].mean()) if counted.any() else float("nan")
