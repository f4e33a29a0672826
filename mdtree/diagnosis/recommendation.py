"""Recommendation: what each single change would gain, learnt from the training groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mdtree.diagnosis.missing import FACTS, NOT_MEASURED, NOT_POSITIVE, PAIRS, facts_of
from mdtree.diagnosis.verdict_record import Gain, MissingMeasurement, NextStep, Target
from mdtree.exceptions import RowsError
from mdtree.failure_modes import AXES, REMEDIES, TASKS, GridAxis
from mdtree.labelling import accuracy_of, number_of
from mdtree.rows import Row
from mdtree.trees import Leaf
from mdtree.trees.gain_model import GainModel

__all__ = [
    "change_of",
    "change_step",
    "deciding_step",
    "gains",
    "measured_accuracy",
    "regression_gains",
    "resources",
    "usual_changes",
]

_NONE = "none"
_NOTHING = 0.05  # points; less is not worth a line
_FARTHEST = 8.0  # the largest factor by which a fact is changed
_USUAL = 4.0
_LARGEST = 1e15  # no fact is larger
_MIDDLE = {"batch_size": 64.0, "learning_rate": 0.01}  # of the values in use
_UNUSUAL = 8.0  # times further from the middle: that fact is changed, whatever groups needed

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
    model: GainModel, shares: Mapping[str, float], leaf: Leaf, row: Row, likely: str
) -> tuple[Gain, ...]:
    """Return the changes that a regression expects to gain something, the likely answer's first.

    It nearly always has the largest gain; if two gains are close, the chances of the answers
    decide.  The others follow, the best first.  `shares` are relative to the test error of the
    group: if that is not known, there are none.
    """
    accuracy = measured_accuracy(row)
    if accuracy is None:
        return ()
    error = 100 - accuracy
    expected = []
    for remedy, share in shares.items():
        mean, spread = float(model.within(remedy, share)), model.range_of(remedy, share)
        fact, factor = change_of(remedy, leaf, row)
        known = None if fact is None else number_of(row, fact)
        old, new = _change(known, factor or 1.0, is_integer=fact != "learning_rate")
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
                factor=factor,
            )
        )
    return tuple(sorted(_best_first(expected), key=lambda gain: gain.mode != likely))


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


def change_of(remedy: str, leaf: Leaf, row: Row) -> tuple[str, float] | tuple[None, None]:
    """Choose a known fact to change, by as much as groups like this one needed.

    Of batch size and learning rate, one that is far from the values in use comes first.
    """
    unusual = _unusual(remedy, row)
    way = leaf.ways.get(remedy)
    if unusual is not None and (way is None or way.fact != unusual.fact):
        return unusual.fact, _FARTHEST if unusual.up == remedy else 1 / _FARTHEST
    if (
        way is not None
        and way.fact is not None
        and way.factor is not None
        and number_of(row, way.fact) is not None
    ):
        return way.fact, min(max(way.factor, 1 / _FARTHEST), _FARTHEST)
    return next(iter(_usual_changes(remedy, row)), (None, None))


def usual_changes(remedy: str, row: Row) -> list[tuple[str, float, float]]:
    """Return the known facts that can be changed for a remedy, with old and new values."""
    found = []
    for fact, factor in _usual_changes(remedy, row):
        old, new = _change(number_of(row, fact), factor, is_integer=fact != "learning_rate")
        if old is not None and new is not None:
            found.append((fact, old, new))
    return found


def _usual_changes(remedy: str, row: Row) -> Iterator[tuple[str, float]]:
    for axis in AXES:
        if remedy in (axis.up, axis.down) and number_of(row, axis.fact) is not None:
            yield axis.fact, _USUAL if axis.up == remedy else 1 / _USUAL


def _unusual(remedy: str, row: Row) -> GridAxis | None:
    """Return the temperature's knob that is much further from its usual values than the other."""
    excess: dict[GridAxis, float] = {}  # how far it would have to be turned, as a logarithm
    for axis in AXES:
        value = number_of(row, axis.fact)
        if axis.fact in _MIDDLE and remedy in (axis.up, axis.down) and value and value > 0:
            factor = math.log(_MIDDLE[axis.fact] / value)
            excess[axis] = factor if axis.up == remedy else -factor
    if len(excess) < len(_MIDDLE):
        return None  # there is nothing to choose
    second, first = sorted(excess, key=excess.__getitem__)
    lead = excess[first] - max(excess[second], 0.0)
    return first if lead >= math.log(_UNUSUAL) else None


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
        bound, spread = gain.range_words
        whole = (
            "points of test accuracy" if gap is None else f"of the {gap:.1f} points to the target"
        )
        amount = f"{bound} {gain.mean:.1f}".lstrip()
        says += f"{step}; groups like this one gained {amount} {whole}"
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
    missing: Sequence[MissingMeasurement], row: Row, likely: str, expected_gains: Sequence[Gain]
) -> NextStep:
    """Return what would decide between the answers."""
    obtainable = [measurement for measurement in missing if _is_obtainable(measurement, row)]
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
        f"mdtree measure --metrics {missing.metric} --dry-run)",
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
    old, new = _change(number_of(row, way.fact), way.factor, is_integer=way.fact != "learning_rate")
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


def _change(
    old: float | None, factor: float, *, is_integer: bool
) -> tuple[float, float] | tuple[None, None]:
    """Return the old and the new value of a fact if both are known and differ."""
    if old is None or not 1 / _LARGEST < old * factor < _LARGEST:
        return None, None
    new = _round_to_two_digits(old * factor, is_integer=is_integer)
    return (old, new) if new != old else (None, None)


def _round_to_two_digits(value: float, *, is_integer: bool) -> float:
    """Round to two digits: a recommendation is not a measurement.

    Counts stay whole, at least 1, and become a power of two if that is nearer.
    """
    rounded = round(value, 1 - math.floor(math.log10(value)))
    if not is_integer:
        return rounded
    power = 2.0 ** round(math.log2(value))
    return max(min(float(round(rounded)), power, key=lambda candidate: abs(candidate - value)), 1.0)
