"""The diagnoser: rows and one tree become verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mdtree.diagnosis.checking import checks_of
from mdtree.diagnosis.diverged import diverged_verdict, partly_diverged
from mdtree.diagnosis.ensemble import TreeEnsemble, split_features
from mdtree.diagnosis.explanation import decision_steps
from mdtree.diagnosis.missing import FACTS, facts_of, is_final, is_from_files, most_changes
from mdtree.diagnosis.prediction import Prediction, predictions
from mdtree.diagnosis.recommendation import (
    change_step,
    deciding_step,
    gain_doubt,
    gains,
    measured_accuracy,
    regression_gains,
    resources,
    without_opposite,
)
from mdtree.diagnosis.remarks import Remark, disagreement, ended_early, remarks_on, roughness
from mdtree.diagnosis.resampling import standard_errors
from mdtree.diagnosis.target import bounded, reached_verdict, target_of
from mdtree.diagnosis.verdict_record import (
    UNSURE,
    Basis,
    MissingMeasurement,
    Verdict,
    check_confidence,
)
from mdtree.exceptions import TreeError
from mdtree.failure_modes import CONFIDENCE, FAILURE_MODES, TASKS
from mdtree.messages import chance, percent, percent_below
from mdtree.rows import Fact, Row, remaining, with_chance
from mdtree.trees import SavedTree
from mdtree.trees.arrays import Floats, first_best
from mdtree.trees.gain_model import answer_set
from mdtree.version import __version__

__all__ = ["Diagnoser", "with_facts"]

_DECISIVE = 0.5  # above this probability that a missing metric changes the answer, it is `unsure`
_TIE = 1e-9  # of a probability
_OUTSIDE = 0.5  # share of the usual level that is enough to be among the answers


class Diagnoser:
    """A tree that is ready to diagnose rows; call it with a row to get a verdict.

    Args:
        saved: The tree.
        name: The name of the tree in verdicts.
        chosen: Why this tree was chosen.
        confidence: The probability below which a verdict is `unsure`.
        seed: The seed of resampling.
        allow_protocol_mismatch: Diagnose rows of another protocol as well, with a warning.

    Raises:
        TreeError: If the confidence is not a probability, or the tree answers with something that
            is not a failure mode.

    """

    def __init__(
        self,
        saved: SavedTree,
        *,
        name: str,
        chosen: str = "it was requested",
        confidence: float = CONFIDENCE,
        seed: int = 0,
        allow_protocol_mismatch: bool = False,
    ) -> None:
        check_confidence(confidence)
        modes = {name for task in TASKS.values() for name in task.classes}
        for answer in saved.classes:
            if answer not in modes:
                raise TreeError(f"the tree answers {answer!r}, which is not a failure mode")
        self.saved = saved
        self.ensemble: TreeEnsemble = TreeEnsemble(saved)
        self.name: str = name
        self._asked = tuple(dict.fromkeys(split_features(saved.tree)))
        self._chosen = chosen
        self._confidence, self._seed = confidence, seed
        self._allow_protocol_mismatch = allow_protocol_mismatch

    def __call__(self, row: Row) -> Verdict:
        """Return the verdict on a group."""
        return next(self.verdicts([row]))

    def verdicts(self, rows: Sequence[Row]) -> Iterator[Verdict]:
        """Yield the verdict on each group, in order; many at once take a fraction of the time."""
        certain = [self._certain(row) for row in rows]
        asked = [row for row, known in zip(rows, certain, strict=True) if known is None]
        predicted = predictions(
            self.ensemble,
            asked,
            seed=self._seed,
            allow_protocol_mismatch=self._allow_protocol_mismatch,
        )
        for row, known in zip(rows, certain, strict=True):
            verdict, remarks = self._judged(next(predicted)) if known is None else known
            yield replace(verdict, checks=checks_of(verdict, row, remarks))

    def _certain(self, row: Row) -> tuple[Verdict, Sequence[Remark]] | None:
        """Return the verdict that needs no tree, and the remarks on it."""
        if row.is_diverged:
            remarks = tuple(filter(None, [partly_diverged(row)]))
            return diverged_verdict(row, self._basis(row, remarks), self._confidence), remarks
        target = target_of(row)
        if target is None or not target.is_reached:
            return None
        remarks = remarks_on(self.saved, row, partly_diverged(row), ended_early(row, "none"))
        return reached_verdict(row, target, self._basis(row, remarks), self._confidence), remarks

    def _judged(self, found: Prediction) -> tuple[Verdict, Sequence[Remark]]:
        """Return the verdict without its checks, and the remarks on it."""
        row, line, outlier, stability = found.row, found.line, found.outlier, found.stability
        target = target_of(row)
        likely = self.saved.classes[found.place]
        probabilities = dict(zip(self.saved.classes, map(float, found.shares), strict=True))
        probability = probabilities[likely]
        steps, leaf = decision_steps(
            self.saved,
            self._by_feature(line),
            standard_errors(self._asked, row, self.saved, found.draws),
            likely,
        )
        model = self.saved.gain_model
        whole_gains = (
            gains(leaf, row) if model is None else regression_gains(model, found, leaf, likely)
        )
        expected_gains = bounded(whole_gains, target)
        missing_features = {name for measurement in found.missing for name in measurement.features}
        blind = bool(missing_features) and missing_features == set(self.ensemble.features)
        # what cannot be measured leaves no doubt: the regression has learnt to do without it
        open_questions = [each for each in found.missing if not is_final(each, row)]
        doubts = self._doubts(row, likely, probability, open_questions, blind=blind)
        if model is not None:  # trees of earlier versions keep what they say
            doubts += tuple(filter(None, [gain_doubt(likely, whole_gains, row)]))
            if not doubts:
                expected_gains = without_opposite(likely, expected_gains)
        undecided = bool(doubts) and (likely in FAILURE_MODES or not self._is_sure(probability))
        remarks = remarks_on(
            self.saved,
            row,
            partly_diverged(row),
            disagreement(self.saved, leaf, likely),
            roughness(self.ensemble.features, row, stability),
            ended_early(row, likely),
        )
        verdict = Verdict(
            group=row.group,
            mode=UNSURE if doubts else likely,
            likely=likely,
            probability=probability,
            probabilities=probabilities,
            confidence=self._confidence,
            why_unsure=doubts,
            clues=steps,
            agreement=found.agreement,
            stability=stability,
            gains=expected_gains,
            next_step=deciding_step(found.missing, row, likely, expected_gains, stability)
            if undecided
            else change_step(likely, expected_gains, regressed=model is not None, target=target),
            outlier=outlier,
            missed=found.missing,
            basis=self._basis(row, remarks, little=found.little),
            answers=self._answers(probabilities, found),
            resources=None if model is None else resources(whole_gains),
            coarse=tuple(remaining(row)),
            target=target,
            test_accuracy=measured_accuracy(row),
        )
        return verdict, remarks

    def _answers(
        self, probabilities: Mapping[str, float], found: Prediction
    ) -> dict[str, tuple[str, ...]]:
        """Return the prediction set for each coverage.

        It is larger for a group unlike the training groups: half the usual probability is enough.
        """
        model = self.saved.gain_model
        if model is None:
            return {}
        share = _OUTSIDE if found.outlier is not None and found.outlier.outside else 1.0
        return {
            coverage: answer_set(probabilities, share * level)
            for coverage, level in model.levels_of(little=found.little).items()
        }

    def mode(self, shares: Floats) -> str:
        """Return the verdict for given class probabilities."""
        return self.modes(shares[None])[0]

    def modes(self, matrix: Floats) -> list[str]:
        """Return the verdicts for many lines of class probabilities."""
        likely = [self.saved.classes[place] for place in np.atleast_1d(first_best(matrix))]
        sure = self._is_sure(matrix.max(axis=1))
        return [
            name if is_sure and name in FAILURE_MODES else UNSURE
            for name, is_sure in zip(likely, sure.tolist(), strict=True)
        ]

    def _is_sure(self, probability: float | Floats) -> Any:
        """Return whether a probability is enough for a verdict; its last bits decide nothing."""
        return probability >= self._confidence - _TIE  # NaN is not

    def most_changes(self, shares: Floats) -> float:
        """Return the largest chance that what is measured next takes a verdict away."""
        if self.saved.gain_model is None or self.mode(shares) == UNSURE:
            return 1.0
        return most_changes(float(shares.max()), at_most=self._confidence)

    def line(self, row: Row) -> Floats:
        """Return the features of a row."""
        matrix = self.saved.matrix([row], allow_protocol_mismatch=self._allow_protocol_mismatch)
        features: Floats = matrix[0]
        return features

    def _by_feature(self, line: Floats) -> dict[str, float]:
        return dict(zip(self.saved.features, map(float, line), strict=True))

    def _doubts(
        self,
        row: Row,
        likely: str,
        probability: float,
        missing: Sequence[MissingMeasurement],
        *,
        blind: bool,
    ) -> tuple[str, ...]:
        doubts = []
        if not self._is_sure(probability):
            share = percent_below(probability, self._confidence)
            doubts.append(
                f"{likely} is the most probable answer ({share}), but a verdict needs "
                f"{percent(self._confidence)}"
            )
        if likely not in FAILURE_MODES:
            doubts.append(
                "a change of temperature gains most, but this tree does not say in which direction"
            )
        if blind:
            doubts.append("nothing that the tree asks for was measured")
        doubts.extend(
            f"{_not_known(measurement, row)}, with a {chance(measurement.flips)} chance of "
            "changing the answer"
            for measurement in missing[:1]
            if not blind and self.saved.gain_model and measurement.flips > _DECISIVE
        )
        return tuple(doubts)

    def _accuracy(self, row: Row) -> str:
        """Return how often the tree is right; of a row that was not measured, from files alone."""
        known = self.saved.provenance
        is_measured = row.provenance is not None or not is_from_files(row)
        name = "accuracy" if is_measured else "accuracy_from_files"
        return known.get(name, known.get("accuracy", ""))

    def _basis(self, row: Row, remarks: Sequence[Remark], *, little: bool = False) -> Basis:
        saved = self.saved
        versions = dict(row.provenance.versions) if row.provenance is not None else {}
        return Basis(
            tree=self.name,
            chosen=self._chosen,
            task=saved.task,
            method=saved.method,
            protocol=row.protocol,
            groups=saved.groups,
            data=saved.provenance.get("data", ""),
            accuracy="" if little else self._accuracy(row),
            versions={**versions, "mdtree": __version__},
            warnings=tuple(remark.text for remark in remarks),
        )


def with_facts(row: Row, facts: Mapping[str, Fact]) -> Row:
    """Return the row with facts from the user, which replace those of the same name."""
    return with_chance(replace(row, facts={**row.facts, **facts})) if facts else row


def _not_known(measurement: MissingMeasurement, row: Row) -> str:
    if measurement.metric != FACTS:
        return f"{measurement.metric} is not known"
    facts = facts_of(measurement, row)
    return f"{' and '.join(facts)} {'is' if len(facts) == 1 else 'are'} not known"
