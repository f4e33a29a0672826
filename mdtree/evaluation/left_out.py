"""Unseen zoos: each method is fitted to other zoos and tested on one.

Each zoo of a collection is left out in turn, or methods are tested on zoos that were set aside.

Scores are means over zoos, so that a large zoo has no more weight than a small one.  Answers are
tested on groups whose label is clear of the noise, and their gains on all groups with known gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import cache, cached_property, partial

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from threadpoolctl import threadpool_limits

from mdtree.evaluation.scores import LEAST, calibration_error
from mdtree.exceptions import RowsError
from mdtree.failure_modes import CONFIDENCE, REMEDIES, TASKS, RoomForImprovement
from mdtree.labelling import Label, label_rows, room_for_improvement
from mdtree.progress import Progress, Silent
from mdtree.rows import Row
from mdtree.runtime.cores import cores
from mdtree.trees import COMPARABLE, LANDSCAPE, TRAINING, GainRegression, feature_matrix
from mdtree.trees.fit import features_of, relative_gains
from mdtree.trees.gain_model import NOISE, answer_set
from mdtree.trees.ood import outside

__all__ = [
    "LEFT_OUT_METHODS",
    "Answers",
    "LeftOutMethod",
    "LeftOutScores",
    "judge_set_aside",
    "leave_one_zoo_out",
    "mean_scores",
]

Floats = NDArray[np.float64]

_CLASSES = TASKS["failure"].classes
_TREES = 100
_PARTS = 10  # in which zoos are left out of a forest
_FEATURES = tuple(dict.fromkeys((*LANDSCAPE, *COMPARABLE, *TRAINING, NOISE)))  # of all methods
_VALIDATION = (
    "train_error_share",
    "test_error_share",
    "error_gap",
    "log_train_loss_share",
    "log_test_loss_share",
    "log_loss_gap",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The predictions of a method for the groups of a zoo."""

    probabilities: Floats  # (groups, failure modes)
    levels: Mapping[str, float] = field(default_factory=dict)  # coverage -> least probability
    outside: NDArray[np.bool_] | None = None  # groups flagged as unlike those seen


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledZoo:
    """The groups of a zoo; labels and features are computed only once."""

    rows: Sequence[Row]

    @cached_property
    def labels(self) -> list[Label]:
        """The labels of the groups by their grid."""
        return label_rows(self.rows)

    @cached_property
    def rooms(self) -> list[RoomForImprovement]:
        """What each single change would gain."""
        return room_for_improvement(self.rows)

    @cached_property
    def _matrix(self) -> Floats:
        return feature_matrix(self.rows, _FEATURES)

    def features(self, names: Sequence[str]) -> Floats:
        """Return the features, one line for each group."""
        return self._matrix[:, [_FEATURES.index(name) for name in names]]


Answerer = Callable[[LabelledZoo], Answers]
Fitted = Callable[[str | None], Answerer]  # the zoo that is left out -> fitted to the others


@dataclass(frozen=True, kw_only=True)
class LeftOutMethod:
    """A method that predicts the answers for groups of an unseen zoo."""

    name: str
    meaning: str
    fit: Callable[[Mapping[str, LabelledZoo]], Fitted]


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
            return _scored(answerer(name)(judged[name]), judged[name].labels)
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


def _scored(answers: Answers, labels: Sequence[Label]) -> LeftOutScores:
    given = [_CLASSES[number] for number in answers.probabilities.argmax(axis=1)]
    clear = np.array([label.is_clear for label in labels])
    right = np.array([label.mode == mode for label, mode in zip(labels, given, strict=True)])
    sure = answers.probabilities.max(axis=1)
    places = [_CLASSES.index(label.mode) for label in labels]
    true = answers.probabilities[np.arange(len(labels)), places]
    sets = {
        coverage: [
            answer_set(dict(zip(_CLASSES, map(float, line), strict=True)), level)
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
    sides = [_CLASSES.index(REMEDIES[remedy]) for remedy in (one, other)]
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


def _by_gains(
    features: Sequence[str] | None = None, *, facts: bool = False, unlike: bool = False
) -> Callable[[Mapping[str, LabelledZoo]], Fitted]:
    asked = features_of("failure", "gains", features, facts=facts)

    def fit(zoos: Mapping[str, LabelledZoo]) -> Fitted:
        seen = zoos.values()
        matrix = np.concatenate([zoo.features(asked) for zoo in seen])
        zoo_of = np.repeat(list(zoos), [len(zoo.rows) for zoo in seen])
        estimator = GainRegression(features=asked)
        problem = estimator.problem(
            matrix,
            gains=relative_gains(
                [row for zoo in seen for row in zoo.rows],
                [room for zoo in seen for room in zoo.rooms],
            ),
            zoos=zoo_of.tolist(),
            classes=_CLASSES,
        ).prepared()

        def learnt(left_out: str | None) -> Answerer:
            is_out = zoo_of == left_out
            model = problem.model(is_out)

            def answer(zoo: LabelledZoo) -> Answers:
                lines = zoo.features(asked)
                return Answers(
                    probabilities=model.probabilities(lines, asked, _CLASSES),
                    levels=model.levels,
                    outside=outside(matrix[~is_out], lines, asked) if unlike else None,
                )

            return answer

        return learnt

    return fit


def _anew(
    answer: Callable[[Sequence[LabelledZoo], LabelledZoo], Answers],
) -> Callable[[Mapping[str, LabelledZoo]], Fitted]:
    """Fit a method again for each zoo that is left out."""

    def fit(zoos: Mapping[str, LabelledZoo]) -> Fitted:
        def learnt(left_out: str | None) -> Answerer:
            return partial(answer, [zoo for name, zoo in zoos.items() if name != left_out])

        return learnt

    return fit


def _by_labels(features: Sequence[str]) -> Callable[[Mapping[str, LabelledZoo]], Fitted]:
    """Fit a forest to labels; zoos are left out in parts, with one forest for each part."""

    def fit(zoos: Mapping[str, LabelledZoo]) -> Fitted:
        part_of = {name: number % _PARTS for number, name in enumerate(zoos)}

        @cache
        def forest(left_out: int | None) -> ExtraTreesClassifier:
            seen = [zoo for name, zoo in zoos.items() if part_of[name] != left_out]
            trees = ExtraTreesClassifier(_TREES, random_state=0)
            return trees.fit(np.concatenate([zoo.features(features) for zoo in seen]), _modes(seen))

        def learnt(left_out: str | None) -> Answerer:
            trees = forest(None if left_out is None else part_of[left_out])

            def answer(zoo: LabelledZoo) -> Answers:
                given = trees.predict_proba(zoo.features(features))
                out = np.zeros((len(given), len(_CLASSES)))
                out[:, [_CLASSES.index(name) for name in trees.classes_]] = given
                return Answers(probabilities=out)

            return answer

        return learnt

    return fit


def _modes(zoos: Sequence[LabelledZoo]) -> list[str]:
    return [label.mode for zoo in zoos for label in zoo.labels]


def _most_frequent(seen: Sequence[LabelledZoo], left_out: LabelledZoo) -> Answers:
    modes = _modes(seen)
    shares = np.array([modes.count(name) / len(modes) for name in _CLASSES])
    return Answers(probabilities=np.tile(shares, (len(left_out.rows), 1)))


def _drawn(_: Sequence[LabelledZoo], left_out: LabelledZoo) -> Answers:
    rng = np.random.default_rng(0)
    return Answers(probabilities=rng.dirichlet(np.ones(len(_CLASSES)), len(left_out.rows)))


LEFT_OUT_METHODS: dict[str, LeftOutMethod] = {
    method.name: method
    for method in (
        LeftOutMethod(name="random", meaning="a random answer", fit=_anew(_drawn)),
        LeftOutMethod(
            name="majority",
            meaning="the most frequent label of the zoos that were seen",
            fit=_anew(_most_frequent),
        ),
        LeftOutMethod(
            name="labels_landscape",
            meaning="extremely randomised trees learn the label from the published features",
            fit=_by_labels(LANDSCAPE),
        ),
        LeftOutMethod(
            name="labels_comparable",
            meaning="the same, from features that are comparable between tasks",
            fit=_by_labels(COMPARABLE),
        ),
        LeftOutMethod(
            name="gains_validation",
            meaning="ours, from errors and losses alone",
            fit=_by_gains(_VALIDATION),
        ),
        LeftOutMethod(
            name="gains",
            meaning="ours: learns gains, from comparable features",
            fit=_by_gains(),
        ),
        LeftOutMethod(
            name="gains_facts",
            meaning="the same, and from the training facts of the recipe",
            fit=_by_gains(facts=True, unlike=True),
        ),
    )
}
