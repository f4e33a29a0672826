"""The target: the test accuracy that is achievable, if the user knows it (fact target_accuracy)."""

from __future__ import annotations

from collections.abc import Iterable

from mdtree.diagnosis.verdict_record import (
    Basis,
    DecisionStep,
    Gain,
    NextStep,
    Target,
    Verdict,
    certain_verdict,
)
from mdtree.exceptions import RowsError
from mdtree.labelling import accuracy_of, number_of
from mdtree.rows import TARGET, Measured, Missing, Row, target_fault

__all__ = ["bounded", "reached_verdict", "target_of"]

_ERRORS = 2.0  # standard errors of the measured accuracy that count as noise
_LITTLE = 1.0  # points; seeds that differ by far more do not reach a target that is far away
_WHOLE = 100.0
_MODE = "none"


def target_of(row: Row) -> Target | None:
    """Compare the test accuracy of a row with its target; None without a target."""
    if TARGET not in row.facts:
        return None
    aim = number_of(row, TARGET)
    if fault := target_fault(row.facts[TARGET]):  # in rows of elsewhere; the user's are checked
        return Target(accuracy=aim, missing=f"{TARGET} {fault}")
    assert aim is not None  # a percentage is a number
    measured = _measured(row)
    if isinstance(measured, str):
        return Target(accuracy=aim, missing=measured)
    accuracy, stderr = measured
    noise = _ERRORS * stderr
    gap = max(aim - accuracy, 0.0)
    return Target(
        accuracy=aim,
        measured=accuracy,
        gap=gap,
        noise=noise,
        is_reached=gap <= min(noise, _LITTLE),
    )


def bounded(gains: Iterable[Gain], target: Target | None) -> tuple[Gain, ...]:
    """Return gains that lead no further than the target."""
    if target is None or target.gap is None:
        return tuple(gains)
    return tuple(gain.at_most(target.gap) for gain in gains)


def reached_verdict(row: Row, target: Target, basis: Basis, confidence: float) -> Verdict:
    """Return the verdict `none`: the target is reached, whatever a tree says."""
    assert target.measured is not None  # a target that is reached has been compared
    assert target.accuracy is not None
    within = ", within the noise" if target.measured < target.accuracy else ""
    says = f"test accuracy {target.measured:.1f} %, target {target.accuracy:.10g} %{within}"
    return certain_verdict(
        row.group,
        _MODE,
        DecisionStep(
            feature="test_accuracy",
            value=target.measured,
            stderr=None,
            threshold=target.accuracy,
            went="high",
            says=says,
            flips_at=None,
        ),
        next_step=NextStep(
            kind="keep",
            says="leave training as it is: the target is reached; to go on, name a higher target",
        ),
        basis=basis,
        confidence=confidence,
        target=target,
    )


def _measured(row: Row) -> tuple[float, float] | str:
    """Return the test accuracy with its standard error, or why it is not known."""
    error = row.quantities.get("test_error")
    try:
        accuracy = min(max(accuracy_of(row), 0.0), _WHOLE)
    except RowsError:
        if isinstance(error, Missing):
            return error.missing
        return "the test accuracy was not measured"
    if isinstance(error, Measured) and number_of(row, "test_accuracy") is None:
        return accuracy, error.stderr or 0.0
    return accuracy, 0.0  # a fact has no error
