"""The methods that answer for zoos that they have not seen. One table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from mdtree.failure_modes import TASKS, RoomForImprovement
from mdtree.labelling import Label, label_rows, room_for_improvement
from mdtree.rows import Row
from mdtree.trees import COMPARABLE, LANDSCAPE, TRAINING, GainRegression, feature_matrix
from mdtree.trees.arrays import Floats
from mdtree.trees.feature_sets import known_from_files, known_from_weights
from mdtree.trees.fit import features_of, relative_gains, relative_margins
from mdtree.trees.gain_model import NOISE, little_known
from mdtree.trees.ood import outside

__all__ = [
    "CLASSES",
    "LEFT_OUT_METHODS",
    "Answerer",
    "Answers",
    "Fitted",
    "LabelledZoo",
    "LeftOutMethod",
]

CLASSES = TASKS["failure"].classes
_TREES = 100
_PARTS = 10  # in which zoos are left out of forests and calibrations
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
    on_request: bool = False  # it runs only if it is asked for by name


def _by_gains(
    features: Sequence[str] | None = None,
    *,
    facts: bool = False,
    unlike: bool = False,
    known: Callable[[str], bool] | None = None,
) -> Callable[[Mapping[str, LabelledZoo]], Fitted]:
    asked = features_of("failure", "gains", features, facts=facts)

    def fit(zoos: Mapping[str, LabelledZoo]) -> Fitted:
        seen = zoos.values()
        matrix = np.concatenate([zoo.features(asked) for zoo in seen])
        zoo_of = np.repeat(list(zoos), [len(zoo.rows) for zoo in seen])
        rows = [row for zoo in seen for row in zoo.rows]
        rooms = [room for zoo in seen for room in zoo.rooms]
        estimator = GainRegression(features=asked)
        problem = estimator.problem(
            matrix,
            gains=relative_gains(rows, rooms),
            margins=relative_margins(rows, rooms),
            zoos=zoo_of.tolist(),
            classes=CLASSES,
        ).prepared()
        part_of = _parts(zoos)
        line_parts = np.array([part_of[name] for name in zoo_of])
        calibration = cache(lambda part: problem.calibration(line_parts == part))

        @cache
        def outside_of(part: int) -> NDArray[np.bool_]:
            """Say of each group of a part whether it is unlike those of the others."""
            return outside(matrix[line_parts != part], matrix[line_parts == part], asked)

        def unlike_seen(left_out: str | None, lines: Floats) -> NDArray[np.bool_]:
            if left_out is None:
                return outside(matrix, lines, asked)
            part = part_of[left_out]
            return np.asarray(outside_of(part)[zoo_of[line_parts == part] == left_out])

        def learnt(left_out: str | None) -> Answerer:
            is_out = zoo_of == left_out
            calibrated = None if left_out is None else calibration(part_of[left_out])
            model = problem.model(is_out, calibrated)

            def answer(zoo: LabelledZoo) -> Answers:
                lines = zoo.features(asked)
                if known is not None:
                    lines = np.where([known(name) for name in asked], lines, np.nan)
                return Answers(
                    probabilities=model.probabilities(lines, asked, CLASSES),
                    levels=model.levels_of(little=bool(little_known(lines, asked).all())),
                    outside=unlike_seen(left_out, lines) if unlike else None,
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
        part_of = _parts(zoos)

        @cache
        def forest(left_out: int | None) -> ExtraTreesClassifier:
            seen = [zoo for name, zoo in zoos.items() if part_of[name] != left_out]
            trees = ExtraTreesClassifier(_TREES, random_state=0)
            return trees.fit(np.concatenate([zoo.features(features) for zoo in seen]), _modes(seen))

        def learnt(left_out: str | None) -> Answerer:
            trees = forest(None if left_out is None else part_of[left_out])

            def answer(zoo: LabelledZoo) -> Answers:
                given = trees.predict_proba(zoo.features(features))
                out = np.zeros((len(given), len(CLASSES)))
                out[:, [CLASSES.index(name) for name in trees.classes_]] = given
                return Answers(probabilities=out)

            return answer

        return learnt

    return fit


def _parts(zoos: Iterable[str]) -> dict[str, int]:
    """Return the part with which each zoo is left out of what takes long to fit."""
    return {name: number % _PARTS for number, name in enumerate(zoos)}


def _modes(zoos: Sequence[LabelledZoo]) -> list[str]:
    return [label.mode for zoo in zoos for label in zoo.labels]


def _most_frequent(seen: Sequence[LabelledZoo], left_out: LabelledZoo) -> Answers:
    modes = _modes(seen)
    shares = np.array([modes.count(name) / len(modes) for name in CLASSES])
    return Answers(probabilities=np.tile(shares, (len(left_out.rows), 1)))


def _drawn(_: Sequence[LabelledZoo], left_out: LabelledZoo) -> Answers:
    rng = np.random.default_rng(0)
    return Answers(probabilities=rng.dirichlet(np.ones(len(CLASSES)), len(left_out.rows)))


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
        LeftOutMethod(
            name="gains_files",
            meaning="the same regression, told only what weights, settings and a log tell",
            fit=_by_gains(facts=True, known=known_from_files),
            on_request=True,
        ),
        LeftOutMethod(
            name="gains_weights",
            meaning="the same regression, told only what weights tell",
            fit=_by_gains(facts=True, known=known_from_weights),
            on_request=True,
        ),
    )
}
