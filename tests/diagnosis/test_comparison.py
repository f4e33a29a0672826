"""Groups before and after a change: what was promised, and what came of it."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from mdtree.diagnosis import (
    Diagnoser,
    compare_groups,
    comparison_schema,
    comparisons_to_plain_data,
    diagnoser_for,
)
from mdtree.diagnosis.comparison import compare_pair
from mdtree.diagnosis.fact_changes import fact_changes
from mdtree.diagnosis.promise import promise_of
from mdtree.exceptions import MdtreeError, ProtocolError, RowsError
from mdtree.progress import Silent
from mdtree.rows import GroupFailure, Measured, Missing, Provenance, Row
from mdtree.trees.gain_model import GainRange
from tests.support.rows import row
from tests.support.small_gain_models import constant, gain_tree

DIVERGED = GroupFailure(kind="DivergedError", reason="the weights are NaN")
FAILED = GroupFailure(kind="UnreadableError", reason="no weights")


def judge(**gains):
    """A diagnoser that expects these shares of the test error of everybody."""
    part = GainRange(expected=1.0, low=0.125, high=0.375)
    saved = gain_tree(
        {remedy: constant(gain) for remedy, gain in gains.items()},
        spread=dict.fromkeys(gains, (part,)),
    )
    return Diagnoser(saved, name="t", confidence=0.0)


def side(error=40.0, facts=None, group="net", **more):
    return row(group, facts, test_error=Measured(value=error, stderr=1.5), cka=0.5, **more)


def pair(before=40.0, after=30.0, *, old=0.001, new=0.01, **gains):
    gains = gains or {"raise_temperature": 0.25, "add_data": 0.125}
    rows = [side(error, {"learning_rate": rate}) for error, rate in ((before, old), (after, new))]
    return compare_pair(*rows, judge(**gains))


def test_the_promise_is_the_gain_that_the_diagnosis_before_expects_from_the_change():
    found = pair()
    assert found.verdict_before.mode == "temperature_low"
    assert found.promise.remedy == "raise_temperature"
    assert found.promise.gain == next(
        gain for gain in found.verdict_before.gains if gain.remedy == "raise_temperature"
    )
    assert found.promise.gain.mean == pytest.approx(0.25 * 40.0)
    assert found.real.points == pytest.approx(10.0)
    assert found.real.stderr == pytest.approx(1.5 * 2**0.5)
    assert found.real.p == next(d.p for d in found.differences if d.quantity == "test_error")
    assert found.real.source == "test_error"


def test_the_real_gain_lies_inside_below_or_above_the_range():
    """An eighth to three eighths of a test error of 40 %."""
    inside = pair()
    low, high = 5.0, 15.0
    assert (inside.promise.gain.low, inside.promise.gain.high) == (low, high)
    assert (inside.promise.place, inside.promise.is_near) == ("inside", None)
    noise = 2 * 1.5 * 2**0.5
    for after, place, near in (
        (40 - low + 0.5, "below", True),
        (40 - low + noise + 0.1, "below", False),
        (40 - high - 0.5, "above", True),
        (40 - high - noise - 0.1, "above", False),
    ):
        found = pair(after=after)
        assert (found.promise.place, found.promise.is_near) == (place, near)


def test_a_change_that_the_diagnosis_expects_nothing_from():
    found = pair(old=0.01, new=0.001)
    assert found.promise.remedy == "lower_temperature"
    assert found.promise.gain is None
    assert found.promise.reason == "the diagnosis expects no gain from lower_temperature"
    assert found.real.points == pytest.approx(10.0)


def test_several_changes_name_the_gains_of_each_and_compare_none():
    before = side(40, {"learning_rate": 0.001, "data_amount": 100})
    after = side(30, {"learning_rate": 0.01, "data_amount": 200})
    promise = compare_pair(before, after, judge(raise_temperature=0.25, add_data=0.125)).promise
    assert (promise.remedy, promise.gain, promise.place) == (None, None, None)
    assert [gain.remedy for gain in promise.candidates] == ["raise_temperature", "add_data"]
    assert promise.reason.startswith("several changes at once")


def test_a_logged_accuracy_is_a_gain_without_an_error():
    before, after = (
        row("net", {"test_accuracy": accuracy}, cka=0.5 + accuracy / 1000)
        for accuracy in (60.0, 75.0)
    )
    real = compare_pair(before, after, "no tree").real
    assert (real.points, real.stderr, real.p, real.source) == (15.0, None, None, "test_accuracy")
    assert real.reason == "the fact test_accuracy has no standard error"


@pytest.mark.parametrize(
    ("before", "after", "sides"),
    [
        ({"cka": 0.5}, {"cka": 0.6, "test_error": 3.0}, "before"),
        ({"cka": 0.5, "test_error": 3.0}, {"cka": 0.6}, "after"),
        ({"cka": 0.5}, {"cka": 0.6}, "before and after"),
    ],
)
def test_a_gain_that_was_not_measured_is_said_to_be_unknown(before, after, sides):
    real = compare_pair(row(**before), row(**after), judge(add_data=0.1)).real
    assert (real.points, real.p) == (None, None)
    assert real.reason == f"test_error was not measured {sides}"


def test_a_diverged_group_is_compared_by_its_verdict():
    before = row("net", {"learning_rate": 10.0}, failure=DIVERGED)
    found = compare_pair(before, side(30, {"learning_rate": 0.1}), judge(add_data=0.1))
    assert found.verdict_before.mode == "temperature_high"
    assert found.differences == ()
    assert found.promise.remedy == "lower_temperature"
    assert found.promise.reason == "the diagnosis names no gain in points for any change"
    assert found.real.reason == "test_error was not measured before"
    assert "training before diverged, so nothing was measured of it" in found.notes
    assert {lost.quantity for lost in found.missing} == {"test_error", "cka"}


@pytest.mark.parametrize(
    ("before", "after", "error", "words"),
    [
        (side(), side(group="b", protocol="paper-1"), ProtocolError, "not comparable"),
        (side(), side(), RowsError, "the same row"),
        (row("x", failure=FAILED), side(), MdtreeError, "before: group 'x' was not measured: no w"),
        (side(), row("y", cka=Missing(missing="?")), MdtreeError, "after: group 'y' was not meas"),
        (row(alpha=2.0), row(cka=0.5), RowsError, "share no measured quantity: before has alpha;"),
    ],
)
def test_what_cannot_be_compared_is_refused(before, after, error, words):
    with pytest.raises(error) as stop:
        compare_groups([(before, after)])
    assert words in str(stop.value)


def test_one_pair_that_fails_does_not_stop_the_others():
    lost, same = row("lost", failure=FAILED), side(group="same")
    pairs = [(lost, side(group="lost")), (same, same), (side(40), side(30))]
    compared = compare_groups(pairs)
    assert [each.before for each in compared.comparisons] == ["net"]
    assert compared.failures == {"lost": "before: group 'lost' was not measured: no weights"}
    assert compared.unchanged == ("same",)


def test_the_tree_is_the_one_that_diagnose_takes():
    before, after = side(40), side(30)
    (found,) = compare_groups([(before, after)]).comparisons
    diagnoser = diagnoser_for([before])
    assert found.verdict_before == diagnoser(before)
    assert found.verdict_after == diagnoser(after)


class Counted(Silent):
    """Progress that remembers what it was told."""

    def __init__(self):
        self.steps = []

    def start(self, total):
        self.steps.append(total)

    def step(self, done):
        self.steps.append(done)


def test_many_groups_have_the_verdicts_that_each_has_alone():
    """In more than one block, with groups that need no tree between them."""
    rows = [
        row(f"n{n}", failure=DIVERGED) if n % 7 == 3 else side(20.0 + n, group=f"n{n}")
        for n in range(40)
    ]
    shared = side(10.0, group="after")
    progress = Counted()
    compared = compare_groups([(each, shared) for each in rows], progress=progress)
    diagnoser = diagnoser_for(rows)
    assert [each.verdict_before for each in compared.comparisons] == [*map(diagnoser, rows)]
    assert {id(each.verdict_after) for each in compared.comparisons} == {
        id(compared.comparisons[0].verdict_after)
    }
    assert progress.steps == [40, *(each.group for each in rows)]


def test_a_protocol_without_a_tree_still_has_differences():
    before, after = (side(error, protocol="mine") for error in (40, 30))
    (found,) = compare_groups([(before, after)]).comparisons
    assert found.verdict_before is None
    assert found.differences[0].difference == pytest.approx(-10)
    assert "no tree for protocol mine" in found.promise.reason
    with pytest.raises(ProtocolError):
        compare_groups([(before, after)], tree="digits-standard-1")


def measured(error, weights, data=None):
    known = side(error)
    provenance = Provenance(
        weights=weights,
        recipe="r",
        metrics=("error_rate",),
        seed=0,
        device="cpu",
        seconds=1.0,
        versions={},
        data=data,
    )
    return Row(
        format=1,
        group="net",
        protocol="standard-1",
        facts={},
        quantities=known.quantities,
        provenance=provenance,
    )


def test_notes_tell_of_the_same_files_other_data_and_single_checkpoints():
    before = measured(40, {"a": "1", "b": "2"}, data="x")
    after = measured(30, {"a": "1"}, data="y")
    notes = compare_pair(before, after, "none").notes
    assert any(note.startswith("a single checkpoint after:") for note in notes)
    assert "1 checkpoint of before and after: the same file" in notes
    assert any(note.startswith("the data files are not the same") for note in notes)
    assert any(note.startswith("two checkpoints before:") for note in notes)
    three = [measured(error, dict.fromkeys("abc", str(error)), data="x") for error in (40, 30)]
    assert compare_pair(*three, "none").notes == ()


def test_json_fulfils_its_schema():
    pairs = [
        (side(40, {"learning_rate": 0.1, "zoo": "a"}), side(30, {"learning_rate": 0.2, "n": True})),
        (row("lost", failure=FAILED), side(group="lost")),
        (row("hot", failure=DIVERGED), side(group="hot")),
    ]
    content = json.loads(json.dumps(comparisons_to_plain_data(compare_groups(pairs))))
    jsonschema.validate(content, comparison_schema())
    first, second = content["comparisons"]
    assert first["verdict_before"]["mode"]
    assert "target" not in first["verdict_before"]
    assert second["verdict_before"]["mode"] == "temperature_high"
    assert content["failures"].keys() == {"lost"}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({"learning_rate": 0.001}, {"learning_rate": 0.008}, None),
        ({"learning_rate": 0.001}, {"learning_rate": 0.02}, None),  # 20 / 8 is below 3
        ({"learning_rate": 0.001}, {"learning_rate": 0.1}, "larger"),  # 100 / 8
        ({"learning_rate": 0.001}, {"learning_rate": 0.00102}, "smaller"),
        ({"batch_size": 800}, {"batch_size": 100}, None),
        ({"batch_size": 800}, {"batch_size": 8}, "larger"),
        # twice the rate with a quarter of the batch is eight times the temperature
        ({"learning_rate": 0.1, "batch_size": 40}, {"learning_rate": 0.2, "batch_size": 10}, None),
    ],
)
def test_a_promise_holds_for_a_change_of_its_size(before, after, why):
    """Promised is an eighth of the batch: eight times the temperature."""
    known = pair()
    gain = replace(known.promise.gain, fact="batch_size", old=96.0, new=12.0)
    verdict = replace(known.verdict_before, gains=(gain,))
    promise = promise_of(verdict, fact_changes(before, after), known.real, None)
    if why is None:
        assert (promise.place, promise.reason) == ("inside", None)
    else:
        assert promise.place is None
        assert f"{why} than the promised one" in promise.reason
        assert promise.reason.endswith("and not of 8")


def test_what_only_one_side_knows_may_have_changed_too():
    rows = [side(40.0, {"learning_rate": 0.001}), side(30.0, {"optimizer": "sgd"})]
    found = compare_pair(*rows, judge(raise_temperature=0.25))
    note = "known on one side only, so it may have changed, too: learning_rate, optimizer"
    assert note in found.notes
    assert not any("one side only" in each for each in pair().notes)
