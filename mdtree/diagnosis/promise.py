"""The promise of a verdict, and what following it has really gained.

The promise is the gain that the diagnosis of BEFORE expects from the change that was made, with the
range in which four in five similar groups gained.  The real gain is the test error before minus the
test error after.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mdtree.diagnosis.differences import PRIMARY, Difference, confidence_interval
from mdtree.diagnosis.fact_changes import FactChange, attribution
from mdtree.diagnosis.verdict_record import Gain, Verdict
from mdtree.exceptions import RowsError
from mdtree.labelling import accuracy_of
from mdtree.rows import Row

__all__ = ["Promise", "RealGain", "promise_of", "real_gain"]

_ACCURACY = "test_accuracy"
_NEAR = 2.0  # standard errors
_ANOTHER = 3.0  # a change this many times larger or smaller is another one
_TEMPERATURE = {"learning_rate": 1.0, "batch_size": -1.0}  # how its logarithm counts these


@dataclass(frozen=True, kw_only=True)
class RealGain:
    """How many points of test accuracy were gained."""

    points: float | None = None  # None: not known
    stderr: float | None = None
    low: float | None = None  # of the 95 % confidence interval; known where p is
    high: float | None = None
    test: str | None = None  # welch | moderated | normal: where p comes from
    p: float | None = None  # two-sided, if nothing were gained; not adjusted: it is one question
    is_clear: bool | None = None  # p is below 0.05; None: seeds were not compared
    source: str | None = None  # test_error, or test_accuracy: what trainers logged
    reason: str | None = None  # why the gain, its error or p is not known


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the diagnosis of BEFORE expected from the change that was made."""

    remedy: str | None = None  # that the changed facts are; None: they are not a single one
    gain: Gain | None = None  # expected from it
    candidates: tuple[Gain, ...] = ()  # expected gains of all remedies among the changes
    place: str | None = None  # of the real gain: inside, below or above the range
    is_near: bool | None = None  # outside, but by less than two standard errors
    reason: str | None = None  # why nothing is compared


def real_gain(before: Row, after: Row, found: Sequence[Difference]) -> RealGain:
    """Return the gain in points of test accuracy: measured, or what trainers logged."""
    error = next((each for each in found if each.is_primary), None)
    if error is not None:
        low, high = confidence_interval(error) or (None, None)
        return RealGain(
            points=-error.difference,
            stderr=error.stderr,
            low=None if high is None else -high,
            high=None if low is None else -low,
            test=error.test,
            p=error.p,
            is_clear=error.is_clear,
            source=PRIMARY,
            reason=error.reason,
        )
    known = {"before": _accuracy(before), "after": _accuracy(after)}
    missing = [side for side, accuracy in known.items() if accuracy is None]
    if missing:
        return RealGain(reason=f"{PRIMARY} was not measured {' and '.join(missing)}")
    return RealGain(
        points=(known["after"] or 0.0) - (known["before"] or 0.0),
        source=_ACCURACY,
        reason=f"the fact {_ACCURACY} has no standard error",
    )


def promise_of(
    verdict: Verdict | None, changes: Sequence[FactChange], real: RealGain, why: str | None
) -> Promise:
    """Compare the real gain with the one that a verdict expects from the changes.

    Without a verdict, `why` says the reason.
    """
    made = attribution(changes)
    if verdict is None:
        return Promise(remedy=made.remedy, reason=f"there is no verdict on it: {why}")
    candidates = tuple(gain for gain in verdict.gains if gain.remedy in made.candidates)
    gain = next((gain for gain in candidates if gain.remedy == made.remedy), None)
    reason = made.reason
    if reason is None and gain is None:
        reason = (
            f"the diagnosis expects no gain from {made.remedy}"
            if verdict.gains
            else "the diagnosis names no gain in points for any change"
        )
    if reason is None and gain is not None:
        reason = _another_size(gain, changes)
    is_held = gain is not None and reason is None
    place, is_near = _place(gain, real) if is_held and gain is not None else (None, None)
    return Promise(
        remedy=made.remedy,
        gain=gain,
        candidates=candidates,
        place=place,
        is_near=is_near,
        reason=reason,
    )


def _another_size(gain: Gain, changes: Sequence[FactChange]) -> str | None:
    """Say that the change that was made is far smaller or larger than the promised one."""
    if gain.fact is None or not gain.old or not gain.new:
        return None
    signs = _TEMPERATURE if gain.fact in _TEMPERATURE else {gain.fact: 1.0}
    if any(change.fact in signs and change.after == 0 for change in changes):
        return "the change that was made goes to 0, and the promised one does not"
    ratios = [
        (signs[change.fact], float(change.after) / float(change.before))
        for change in changes
        if change.fact in signs and not change.follows
        if isinstance(change.before, int | float) and isinstance(change.after, int | float)
        if change.before > 0 and change.after > 0
    ]
    if not ratios:
        return None  # the weights have changed, and the promise is for the width
    made = sum(sign * math.log(ratio) for sign, ratio in ratios)
    expected = signs[gain.fact] * math.log(gain.new / gain.old)
    if abs(made - expected) <= math.log(_ANOTHER):
        return None
    size = "smaller" if abs(made) < abs(expected) else "larger"
    return (
        f"the change that was made is {size} than the promised one: by a factor of "
        f"{math.exp(abs(made)):.3g}, and not of {math.exp(abs(expected)):.3g}"
    )


def _place(gain: Gain, real: RealGain) -> tuple[str | None, bool | None]:
    """Return where the real gain lies, and whether noise may have put it outside the range."""
    if real.points is None or gain.low is None or gain.high is None:
        return None, None
    excess = max(gain.low - real.points, real.points - gain.high)
    if excess <= 0:
        return "inside", None
    near = None if real.stderr is None else excess < _NEAR * real.stderr
    return ("below" if real.points < gain.low else "above"), near


def _accuracy(row: Row) -> float | None:
    try:
        return accuracy_of(row)
    except RowsError:
        return None
