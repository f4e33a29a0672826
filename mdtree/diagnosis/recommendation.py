"""Recommendation: what each single change would gain, learnt from the training groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mdtree.diagnosis.change_size import change_of, changed
from mdtree.diagnosis.missing import FACTS, NOT_MEASURED, NOT_POSITIVE, PAIRS, facts_of
from mdtree.diagnosis.prediction import Prediction
from mdtree.diagnosis.remarks import is_stable
from mdtree.diagnosis.verdict_record import Gain, MissingMeasurement, NextStep, Target
from mdtree.exceptions import RowsError
from mdtree.failure_modes import REMEDIES, TASKS, remedies
from mdtree.labelling import accuracy_of, number_of
from mdtree.rows import Row
from mdtree.trees import Leaf
from mdtree.trees.gain_model import GainModel

__all__ = [
    "change_step",
    "deciding_step",
    "gains",
    "measured_accuracy",
    "regression_gains",
    "resources",
]

_NONE = "none"
_NOTHING = 0.05  # points; less is not worth a line
_FAR_LESS = 2.0  # times

# remedy -> what to do
_DO = {
    "raise_temperature": "train with a smaller batch or a larger learning rate",
    "lower_temperature": "train with a larger batch or a smaller learning rate",
    "enlarge_model": "use a larger network",
    "add_data": "get more training data",
}


def gains(leaf: Leaf, row: Row) -> tuple[Gain, ...]:
    """Return the changes that gained something in the groups of a leaf, the best first."""
    error = 100 - (measured_accuracy(row) or 0.0)  # no group can gain more
    return _best_first(_gain(*each, leaf, row).at_most(error) for each in leaf.gains.items())


def regression_gains(
    model: GainModel, found: Prediction, leaf: Leaf, likely: str
) -> tuple[Gain, ...]:
    """Return the changes that a regression expects to gain something, the likely answer's first.

    It nearly always has the largest gain; if two gains are close, the chances of the answers
    decide.  The others follow, the best first.  What is expected is relative to the test error of
    the group: if that is not known, there are none.
    """
    row = found.row
    accuracy = measured_accuracy(row)
    if accuracy is None:
        return ()
    error = 100 - accuracy
    expected = []
    for remedy, share in found.gains.items():
        mean, spread = float(model.within(remedy, share)), model.range_of(remedy, share)
        fact, factor = change_of(remedy, leaf, row, found.doublings.get(remedy))
        known = None if fact is None else number_of(row, fact)
        old, new = changed(known, factor or 1.0, is_integer=fact != "learning_rate")
        expected.append(
            Gain(
                remedy=remedy,
                mode=REMEDIES[remedy],
                mean=mean * error,
                low=None if spread is None else spread.low * error,
                high=None if spread is None else spread.high * error,
                fact=fact,
                old=old,
                new=new,
                factor=new / old if old and new else factor,
            )
        )
    return tuple(sorted(_best_first(expected), key=lambda gain: gain.mode != likely))


def gain_doubt(likely: str, expected_gains: Sequence[Gain], row: Row) -> str | None:
    """Doubt an answer whose remedy is expected to gain far less than another change, or nothing."""
    if likely == _NONE or measured_accuracy(row) is None:
        return None
    own = max((each.mean for each in expected_gains if each.remedy in remedies(likely)), default=0)
    best = max(expected_gains, key=lambda gain: gain.mean, default=None)
    if best is None or own < _NOTHING:
        return f"its change is expected to gain less than {_NOTHING:g} points"
    if best.mean <= max(_FAR_LESS * own, own + 1):
        return None
    return (
        f"its change is expected to gain {own:.1f} points, and another one more: {best.remedy} "
        f"{best.mean:.1f}"
    )


def without_opposite(likely: str, expected_gains: Sequence[Gain]) -> tuple[Gain, ...]:
    """Leave out a change in the direction in which an answer finds too much already."""
    pair = TASKS["temperature"].classes
    opposite = {name for name in pair if likely in pair and name != likely}
    return tuple(gain for gain in expected_gains if gain.mode not in opposite)


def resources(expected_gains: Iterable[Gain]) -> str | None:
    """Return which gains more, data or a larger network; None if neither gains anything."""
    modes = TASKS["resources"].classes
    means = {gain.mode: gain.mean for gain in expected_gains if gain.mode in modes}
    return max(modes, key=lambda mode: means.get(mode, 0.0)) if means else None


def _best_first(expected: Iterable[Gain]) -> tuple[Gain, ...]:
    worthwhile = [gain for gain in expected if gain.mean >= _NOTHING]
    return tuple(sorted(worthwhile, key=lambda gain: -gain.mean))


def measured_accuracy(row: Row) -> float | None:
    """Return the test accuracy of a row in percent, if it is known."""
    try:
        return min(max(accuracy_of(row), 0.0), 100.0)
    except RowsError:
        return None


def change_step(
    mode: str,
    expected_gains: Sequence[Gain],
    *,
    regressed: bool = False,
    target: Target | None = None,
) -> NextStep:
    """Return the next step for a failure mode: the change that mends it, or to change nothing.

    If gains are `regressed`, the one for `none` says that the largest of them is within the noise.
    With a target, gains are measured against the gap to it.
    """
    if mode == _NONE:
        return NextStep(kind="keep", says=_keep(expected_gains, regressed=regressed, target=target))
    remedy = next((name for name, mended_mode in REMEDIES.items() if mended_mode == mode), None)
    if remedy is None:
        return NextStep(
            kind="change",
            says="try both a smaller and a larger batch: a change of temperature gains most",
        )
    says = _DO[remedy]
    gain = next((gain for gain in expected_gains if gain.remedy == remedy), None)
    if gain is not None:
        gap = None if target is None else target.gap
        step = "" if gain.old is None else f": {_changed(gain)}"
        _, spread = gain.range_words
        whole = (
            "points of test accuracy" if gap is None else f"of the {gap:.1f} points to the target"
        )
        says += f"{step}; groups like this one gained {gain.mean:.1f} {whole}"
        says += f" ({spread})" if spread else ""
    return NextStep(kind="change", names=(remedy,), says=says)


def _keep(expected_gains: Sequence[Gain], *, regressed: bool, target: Target | None) -> str:
    best = max((gain.mean for gain in expected_gains), default=0.0)
    limit = f"more than {best:.1f} points, which is within the noise"
    amount = limit if regressed and best >= _NOTHING else "much"
    if target is None or target.gap is None:
        return f"leave training as it is: in groups like this one, no single change gained {amount}"
    return (
        f"nothing here closes the gap of {target.gap:.1f} points to the target of "
        f"{target.accuracy:.10g} %: in groups like this one, no single change gained {amount}; "
        "look beyond these changes, at the kind of network, the data and their labels"
    )


def deciding_step(
    missing: Sequence[MissingMeasurement],
    row: Row,
    likely: str,
    expected_gains: Sequence[Gain],
    stability: float | None = None,
) -> NextStep:
    """Return what would decide between the answers, or the change to try where nothing would."""
    obtainable = [measurement for measurement in missing if _is_obtainable(measurement, row)]
    is_open = stability is None or not is_stable(stability)
    if not obtainable and not is_open and likely != _NONE and expected_gains:
        step = change_step(likely, expected_gains)
        why = f"neither more seeds nor anything else would tell {likely} from the next answer"
        return replace(step, says=f"{why}, so try the change itself: {step.says}")
    if not obtainable:
        tried = (
            ": try the first two changes in the list of gains" if len(expected_gains) > 1 else ""
        )
        return NextStep(
            kind="add_seeds",
            says="add seeds to make the error bars smaller; nothing else that mdtree measures can "
            f"tell {likely} from the next answer{tried}",
        )
    first = obtainable[0]
    step = _obtaining(first, row)
    flips = f"{100 * first.flips:.0f}"
    how_much = (
        "does not change the answer, only how sure it is"
        if flips == "0"
        else f"has a {flips} % chance of changing the answer"
    )
    return replace(step, says=f"{step.says}: this {how_much}")


def _obtaining(missing: MissingMeasurement, row: Row) -> NextStep:
    """Return how to get what is missing."""
    if missing.reason.startswith(PAIRS):
        return NextStep(kind="add_seed", says="add a checkpoint of a second seed")
    if missing.metric == FACTS:
        facts = facts_of(missing, row)
        return NextStep(kind="tell_facts", names=facts, says=f"give {', '.join(facts)} with --fact")
    return NextStep(
        kind="measure",
        names=(missing.metric,),
        says=f"measure {missing.metric} ({', '.join(missing.features)}; to see its cost: "
        f"mdtree measure DIRECTORY --metrics {missing.metric} --dry-run)",
    )


def _is_obtainable(measurement: MissingMeasurement, row: Row) -> bool:
    """Return whether something can be done about it: what was measured in vain stays missing."""
    if measurement.metric == FACTS or measurement.reason.startswith(PAIRS):
        return True
    if NOT_POSITIVE in measurement.reason:
        return False
    if row.provenance is not None:
        return measurement.metric not in row.provenance.metrics
    return measurement.reason.endswith(NOT_MEASURED)


def _changed(gain: Gain) -> str:
    return f"{(gain.fact or '').replace('_', ' ')} {gain.old:.10g} -> {gain.new:.10g}"


def _gain(remedy: str, mean: float, leaf: Leaf, row: Row) -> Gain:
    way = leaf.ways.get(remedy)
    if way is None or way.fact is None or way.factor is None:
        low, high = (None, None) if way is None else (way.low, way.high)
        return Gain(remedy=remedy, mode=REMEDIES[remedy], mean=mean, low=low, high=high)
    old, new = changed(number_of(row, way.fact), way.factor, is_integer=way.fact != "learning_rate")
    return Gain(
        remedy=remedy,
        mode=REMEDIES[remedy],
        mean=mean,
        low=way.low,
        high=way.high,
        fact=way.fact,
        old=old,
        new=new,
        factor=way.factor,
    )
