"""Failure modes: labels and gains by hand on small grids, and the published labels from scratch."""

from __future__ import annotations

import csv
import math

import pytest

from mdtree.exceptions import RowsError
from mdtree.failure_modes import (
    AXES,
    FAILURE_MODES,
    REMEDIES,
    TASKS,
    GridAxis,
    best_gain,
    remedies,
    step_gain,
)
from mdtree.labelling import Label, label_rows, room_for_improvement
from mdtree.rows import Row, rows_from_csv
from tests.support.rows import accuracy_row

# our answer -> the published word; `small` says that the temperature is, so the batch is too LARGE
PUBLISHED_WORDS = {
    "temperature": ("bs_failure", {"temperature_low": "small", "temperature_high": "large"}),
    "width": ("width_vs_batch", {"model_small": "width", "temperature": "batch"}),
    "data": ("data_vs_batch", {"data_small": "data", "temperature": "batch"}),
}
PUBLISHED_ROOM = {
    "raise_temperature": "rfi_inc_temp",
    "lower_temperature": "rfi_dec_temp",
    "enlarge_model": "rfi_width",
    "add_data": "rfi_data",
}


def line(fact, *accuracies, **others):
    """Rows along one axis, at 1, 2, 4, ..."""
    return [accuracy_row(value, **{fact: 2**n}, **others) for n, value in enumerate(accuracies)]


@pytest.fixture(scope="module")
def published(published_table):
    rows = rows_from_csv(published_table, protocol="paper-1").rows
    with published_table.open(newline="") as file:
        return list(csv.DictReader(file)), rows, room_for_improvement(rows)


@pytest.mark.parametrize("task", PUBLISHED_WORDS)
def test_all_published_labels_come_out(published, task):
    table, _, rooms = published
    column, words = PUBLISHED_WORDS[task]
    assert len(table) == 1690
    assert [cells[column] for cells in table] == [
        words.get(TASKS[task].answer(room), "optimal") for room in rooms
    ]


def test_what_lies_beyond_the_end_of_the_grid_is_unknown():
    rows = [accuracy_row(50 + 10 * n, width=2**n, data_amount=8) for n in range(3)]
    rows += [accuracy_row(40 + 10 * n, width=2**n, data_amount=4) for n in range(3)]
    ends = {
        (r.facts["width"], r.facts["data_amount"]): room.unknown
        for r, room in zip(rows, room_for_improvement(rows), strict=True)
    }
    assert ends == {
        (1, 4): set(),
        (2, 4): set(),
        (4, 4): {"enlarge_model"},
        (1, 8): {"add_data"},
        (2, 8): {"add_data"},
        (4, 8): {"add_data", "enlarge_model"},
    }


def test_a_remedy_is_known_where_one_of_its_axes_goes_on():
    """The largest batch at the smallest rate: the noise can only be raised, on either axis."""
    rows = [
        accuracy_row(50, batch_size=batch, learning_rate=rate)
        for batch in (8, 64)
        for rate in (0.1, 1.0)
    ]
    rooms = {
        (r.facts["batch_size"], r.facts["learning_rate"]): room.unknown
        for r, room in zip(rows, room_for_improvement(rows), strict=True)
    }
    assert rooms == {
        (64, 0.1): {"lower_temperature"},
        (8, 1.0): {"raise_temperature"},
        (8, 0.1): set(),
        (64, 1.0): set(),
    }


def test_each_zoo_has_axes_of_its_own():
    """What one zoo does not vary, or does not even know, is an axis of the other all the same."""
    wide = [accuracy_row(80 + 10 * n, zoo="a", width=2**n) for n in range(2)]
    long = [accuracy_row(50 + n, zoo="b", data_amount=2**n, label_noise=0.1) for n in range(2)]
    rooms = room_for_improvement([wide[0], long[0], wide[1], long[1]])
    assert [room.gains for room in rooms] == [
        {"enlarge_model": 10},
        {"add_data": 1},
        {"enlarge_model": 0},
        {"add_data": 0},
    ]
    assert [room.known.gains for room in rooms[2:]] == [{}, {}]


def test_wrong_labels_tell_groups_apart_and_mend_nothing():
    rows = [
        accuracy_row(accuracy, label_noise=noise, width=width)
        for noise, width, accuracy in ((0.0, 1, 80), (0.0, 2, 90), (0.3, 1, 60), (0.3, 2, 65))
    ]
    assert [label.gains for label in label_rows(rows)] == [
        {"enlarge_model": gain} for gain in (10.0, 0.0, 5.0, 0.0)
    ]
    with pytest.raises(RowsError, match="none of batch_size, learning_rate, width, data_amount is"):
        label_rows([accuracy_row(80, label_noise=0.0), accuracy_row(60, label_noise=0.3)])


@pytest.mark.parametrize("remedy", PUBLISHED_ROOM)
def test_all_published_rooms_for_improvement_come_out(published, remedy):
    table, _, rooms = published
    expected = [float(cells[PUBLISHED_ROOM[remedy]]) for cells in table]
    assert expected == pytest.approx([room.gains[remedy] for room in rooms], abs=1e-9)


def test_the_largest_batch_is_never_too_small_and_the_widest_network_never_too_narrow(published):
    _, rows, _ = published
    for group, label in zip(rows, label_rows(rows), strict=True):
        assert not (group.facts["batch_size"] == 1024 and label.mode == "temperature_high")
        assert not (group.facts["batch_size"] == 16 and label.mode == "temperature_low")
        assert not (group.facts["width"] == 128 and label.mode == "model_small")
        assert not (group.facts["data_amount"] == 50000 and label.mode == "data_small")


def test_a_small_batch_is_a_high_temperature():
    labels = label_rows(line("batch_size", 80, 90, 85))
    assert [label.mode for label in labels] == ["temperature_high", "none", "temperature_low"]
    assert [label.severity for label in labels] == [10, 0, 5]


def test_a_small_learning_rate_is_a_low_temperature():
    labels = label_rows(line("learning_rate", 80, 90, 85))
    assert [label.mode for label in labels] == ["temperature_low", "none", "temperature_high"]


@pytest.mark.parametrize(
    ("fact", "mode"), [("width", "model_small"), ("data_amount", "data_small")]
)
def test_size_and_data_are_too_small_where_more_helps_and_never_too_large(fact, mode):
    labels = label_rows(line(fact, 80, 90, 85))
    assert [mode, "none", "none"] == [label.mode for label in labels]


def test_gains_and_steps_by_hand_on_two_axes():
    grid = {(1, 1): 70, (2, 1): 75, (4, 1): 72, (1, 2): 71, (2, 2): 74, (4, 2): 80}
    rows = [accuracy_row(a, batch_size=b, width=w) for (b, w), a in grid.items()]
    rooms = dict(zip(grid, room_for_improvement(rows), strict=True))
    assert rooms[1, 1].gains == {
        "lower_temperature": 5,
        "raise_temperature": 0,
        "enlarge_model": 1,
    }
    assert rooms[4, 1].gains == {
        "lower_temperature": 0,
        "raise_temperature": 3,
        "enlarge_model": 8,
    }
    assert rooms[2, 1].step == {
        "lower_temperature": -3,
        "raise_temperature": -5,
        "enlarge_model": -1,
    }
    assert rooms[4, 2].step == {
        "lower_temperature": 0,  # the grid ends here
        "raise_temperature": -6,
        "enlarge_model": 0,
    }


def test_moves_lead_to_the_nearest_of_the_best_groups():
    rooms = room_for_improvement(line("batch_size", 93.0, 95.0, 95.0, 90.0, 94.0))
    ways = [{remedy: (m.fact, m.factor) for remedy, m in room.moves.items()} for room in rooms]
    assert ways == [
        {"lower_temperature": ("batch_size", 2.0)},
        {},
        {},
        {"raise_temperature": ("batch_size", 0.5), "lower_temperature": ("batch_size", 2.0)},
        {"raise_temperature": ("batch_size", 0.25)},
    ]


def test_a_move_is_along_the_axis_that_serves_its_remedy_best():
    rows = [
        accuracy_row(90.0, batch_size=64, learning_rate=0.1),
        accuracy_row(92.0, batch_size=32, learning_rate=0.1),
        accuracy_row(95.0, batch_size=64, learning_rate=0.4),
        accuracy_row(80.0, batch_size=32, learning_rate=0.4),
    ]
    move = room_for_improvement(rows)[0].moves["raise_temperature"]
    assert (move.fact, move.factor) == ("learning_rate", pytest.approx(4.0))


def test_the_best_gain_may_lie_behind_a_loss():
    room = room_for_improvement(line("batch_size", 70, 65, 90))[0]
    assert (best_gain(room, "temperature_high"), step_gain(room, "temperature_high")) == (20, -5)


def test_two_axes_that_serve_one_remedy_give_the_better_one_with_its_own_step():
    # (batch size, learning rate): a larger batch and a smaller rate both lower the temperature
    grid = {(1, 1): 72, (2, 1): 70, (1, 2): 70, (2, 2): 73}
    rows = [accuracy_row(a, batch_size=b, learning_rate=lr) for (b, lr), a in grid.items()]
    room = room_for_improvement(rows)[2]
    assert (room.gains["lower_temperature"], room.step["lower_temperature"]) == (3, 3)
    rows[3] = accuracy_row(71, batch_size=2, learning_rate=2)
    room = room_for_improvement(rows)[2]
    assert (room.gains["lower_temperature"], room.step["lower_temperature"]) == (2, 2)


def test_an_axis_on_which_rows_do_not_differ_or_that_some_lack_is_left_out():
    rows = line("batch_size", 80, 90, width=4)
    assert {"lower_temperature", "raise_temperature"} == set(room_for_improvement(rows)[0].gains)
    mixed = [accuracy_row(80, batch_size=1, width=1), accuracy_row(90, batch_size=2)]
    assert room_for_improvement(rows) == room_for_improvement(mixed)


@pytest.mark.parametrize("value", ["wide", True, 10**400], ids=["text", "yes", "too large"])
def test_an_axis_with_a_value_that_is_no_number_is_left_out(value):
    rows = [accuracy_row(80, batch_size=1, width=value), accuracy_row(90, batch_size=2, width=3)]
    assert set(room_for_improvement(rows)[0].gains) == {"lower_temperature", "raise_temperature"}


def test_axes_can_be_given():
    rows = [accuracy_row(80, dropout=0.1), accuracy_row(83, dropout=0.5)]
    room = room_for_improvement(rows, axes=[GridAxis(fact="dropout", up="add_dropout")])[0]
    assert room.gains == {"add_dropout": 3}


def test_the_order_of_rows_does_not_matter():
    rows = line("batch_size", 80, 90, 85, width=1) + line("batch_size", 81, 70, 99, width=2)
    forward, back = room_for_improvement(rows), room_for_improvement(rows[::-1])
    assert forward == back[::-1]


@pytest.mark.parametrize(
    "rows", [[], [accuracy_row(80)], [accuracy_row(80, width=1)], line("epochs", 80, 90)]
)
def test_without_a_grid_there_are_no_labels(rows):
    with pytest.raises(RowsError, match="labels need a grid: none of batch_size, learning_rate"):
        label_rows(rows)


def test_two_rows_at_one_point_of_the_grid_are_refused_with_both_names():
    rows = [
        *line("batch_size", 80, 90, width=4),
        accuracy_row(70, batch_size=2, width=4.0, group="again"),
    ]
    with pytest.raises(RowsError, match=r"'batch_size=2,width=4' and 'again'.*\(batch_size 2\)"):
        label_rows(rows)


def test_rows_that_differ_in_a_fact_which_is_no_axis_are_at_one_point():
    rows = [
        accuracy_row(80, batch_size=1, epochs=1),
        accuracy_row(90, batch_size=2),
        accuracy_row(85, batch_size=2, epochs=2),
    ]
    with pytest.raises(RowsError, match="add the fact in which they differ to every row"):
        label_rows(rows)


def test_a_row_without_test_accuracy_is_named():
    bare = Row(format=1, group="b", protocol="p", facts={"width": 2}, quantities={})
    with pytest.raises(RowsError, match="group 'b' has no test accuracy"):
        label_rows([accuracy_row(80, width=1), bare])


def test_the_fact_test_accuracy_goes_before_the_measured_test_error():
    rows = [
        accuracy_row(10, width=1, test_accuracy=80),
        accuracy_row(20, width=2, test_accuracy=85.5),
    ]
    assert room_for_improvement(rows)[0].gains["enlarge_model"] == 5.5


def test_the_margin_is_two_standard_errors_of_a_difference_and_at_least_what_is_usual():
    stderrs = [0.4, None, 0.0, 0.1, 0.9]  # the median of those that are known is 0.4
    rows = [accuracy_row(80 + n, width=n, stderr=stderr) for n, stderr in enumerate(stderrs, 1)]
    margins = [room.margin for room in room_for_improvement(rows)]
    both = [2 * math.sqrt(stderr**2 + stderr**2) for stderr in (0.4, 0.9)]
    assert margins == pytest.approx([*[both[0]] * 4, both[1]])


def test_what_is_usual_is_that_of_the_own_zoo_and_half_a_point_where_nothing_is_known():
    rows = [
        accuracy_row(80 + n, width=n, stderr=stderr, zoo=zoo)
        for n, (zoo, stderr) in enumerate([("a", 0.4), ("a", None), ("b", 0.0), ("b", None)], 1)
    ]
    margins = [room.margin for room in room_for_improvement(rows)]
    assert margins == pytest.approx([2 * math.sqrt(0.4**2 + 0.4**2)] * 2 + [0.5] * 2)
    assert [room.margin for room in room_for_improvement(rows, margin=3)] == [3] * 4


@pytest.mark.parametrize(
    ("stderr", "mode", "severity", "lead"),
    [(0.3, "model_small", 1, 1), (0.4, "none", 0, 0.8 * math.sqrt(2) - 1)],
)
def test_a_gain_within_the_noise_between_seeds_is_no_failure(stderr, mode, severity, lead):
    rows = [accuracy_row(80, width=1, stderr=stderr), accuracy_row(81, width=2, stderr=stderr)]
    label = label_rows(rows)[0]
    assert (mode, severity) == (label.mode, label.severity)
    assert (label.margin, label.lead) == pytest.approx((2 * stderr * math.sqrt(2), lead))


def test_a_gain_of_exactly_the_margin_is_noise():
    assert label_rows(line("width", 80, 81), margin=1)[0].mode == "none"
    assert label_rows(line("width", 80, 81), margin=0.999)[0].mode == "model_small"


def test_a_label_holds_what_it_is_made_from():
    # (batch size, width) -> test accuracy
    grid = {(1, 1): 70, (2, 1): 75, (4, 1): 72, (1, 2): 71, (2, 2): 74, (4, 2): 80}
    rows = [accuracy_row(a, batch_size=b, width=w) for (b, w), a in grid.items()]
    labels = dict(zip(grid, label_rows(rows, margin=3), strict=True))
    gains = {"lower_temperature": 5, "raise_temperature": 0, "enlarge_model": 1}
    assert labels[1, 1] == Label(
        mode="temperature_high",
        accuracy=70,
        gains=gains,
        severity=5,
        margin=3,
        lead=4,
        unknown=("raise_temperature",),
        by_factor={"lower_temperature": {2: 5, 4: 2}, "enlarge_model": {2: 1}},
    )
    gains = {"lower_temperature": 0, "raise_temperature": 3, "enlarge_model": 8}
    assert labels[4, 1] == Label(
        mode="model_small",
        accuracy=72,
        gains=gains,
        severity=8,
        margin=3,
        lead=5,
        unknown=("lower_temperature",),
        by_factor={"raise_temperature": {2: 3, 4: -2}, "enlarge_model": {2: 8}},
    )
    gains = dict.fromkeys(gains, 0)
    assert labels[4, 2] == Label(
        mode="none",
        accuracy=80,
        gains=gains,
        severity=0,
        margin=3,
        lead=3,
        unknown=("enlarge_model", "lower_temperature"),
        by_factor={"raise_temperature": {2: -6, 4: -9}},
    )
    assert not any(label.in_noise for label in labels.values())
    assert labels[1, 1].is_clear
    assert not labels[4, 2].is_clear  # nobody knows what a wider network would do


@pytest.mark.parametrize(
    ("margin", "mode", "lead", "in_noise"),
    [
        (1.5, "temperature_high", 2, False),
        (2, "temperature_high", 2, True),  # as with gains, exactly the margin is noise
        (2.5, "temperature_high", 2, True),
        (5, "none", 0, False),
        (7, "none", 2, False),
    ],
)
def test_a_label_is_in_the_noise_unless_its_remedy_leads_by_more_than_the_margin(
    margin, mode, lead, in_noise
):
    # a larger batch gains 5 points, a wider network 3
    rows = [accuracy_row(80, batch_size=1, width=1), accuracy_row(85, batch_size=2, width=1)]
    label = label_rows([*rows, accuracy_row(83, batch_size=1, width=2)], margin=margin)[0]
    assert (mode, lead, in_noise) == (label.mode, label.lead, label.in_noise)


def test_two_remedies_that_gain_the_same_are_in_the_noise_whatever_the_margin():
    rows = [accuracy_row(80, batch_size=1, width=1), accuracy_row(85, batch_size=2, width=1)]
    label = label_rows([*rows, accuracy_row(85, batch_size=1, width=2)], margin=0)[0]
    assert (label.severity, label.lead, label.in_noise) == (5, 0, True)


def test_the_only_remedy_leads_by_all_that_it_gains():
    label = label_rows(line("width", 80, 83), margin=2.5)[0]
    assert (label.lead, label.in_noise) == (3, False)


def test_two_axes_of_one_mode_do_not_rival_each_other():
    # a larger batch and a smaller rate both lower the temperature: 5 and 4 points
    rows = [
        accuracy_row(80, batch_size=1, learning_rate=2),
        accuracy_row(85, batch_size=2, learning_rate=2),
    ]
    label = label_rows([*rows, accuracy_row(84, batch_size=1, learning_rate=1)], margin=3)[0]
    assert (label.mode, label.lead, label.in_noise) == ("temperature_high", 5, False)


def test_a_group_without_neighbours_has_nothing_to_gain():
    """A grid with holes: what is alone on all its lines is compared with itself."""
    rows = [*line("batch_size", 80, 90, width=1), accuracy_row(50, batch_size=4, width=2)]
    label = label_rows(rows)[2]
    assert (label.mode, {*label.gains.values()}) == ("none", {0})


def test_a_hole_in_a_line_is_stepped_over():
    rows = [accuracy_row(80, width=1), accuracy_row(90, width=4), accuracy_row(88, width=16)]
    room = room_for_improvement(rows)[0]
    assert (room.gains["enlarge_model"], room.step["enlarge_model"]) == (10, 10)


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf, -math.inf])
def test_a_margin_that_is_no_number_of_points_is_refused(margin):
    with pytest.raises(RowsError, match="the margin must be a number of points, at least 0; got"):
        label_rows(line("width", 80, 81), margin=margin)


@pytest.mark.parametrize("accuracy", [-0.5, 100.5, -1e308])
def test_a_test_accuracy_that_is_no_percentage_is_refused(accuracy):
    rows = [accuracy_row(80, width=1), accuracy_row(accuracy, width=2)]
    with pytest.raises(
        RowsError, match=r"'width=2' has a test accuracy of .*from 0 to 100: correct"
    ):
        label_rows(rows)


def test_equal_sides_have_no_answer():
    rooms = room_for_improvement(line("batch_size", 90, 80, 90))
    assert [TASKS["temperature"].answer(room) for room in rooms] == [None, None, None]
    best = rooms[0]  # nothing to gain, neither by width nor by temperature
    assert [TASKS[t].answer(best) for t in ("width", "data", "failure")] == [None, None, "none"]


def test_temperature_as_an_answer_means_the_better_of_its_directions():
    room = room_for_improvement(line("batch_size", 85, 80, 90))[1]
    assert (best_gain(room, "temperature"), step_gain(room, "temperature")) == (10, 10)
    assert (best_gain(room, "temperature_low"), step_gain(room, "temperature_low")) == (5, 5)
    assert (best_gain(room, "none"), step_gain(room, "none")) == (0, 0)
    assert (best_gain(room, "data_small"), step_gain(room, "data_small")) == (0, 0)


def test_every_remedy_mends_a_known_mode_and_every_mode_but_none_has_one():
    assert {*FAILURE_MODES} - {"none"} == {*REMEDIES.values()}
    assert {*REMEDIES} == {r for axis in AXES for r in (axis.up, axis.down) if r}
    assert remedies("model_small") == ("enlarge_model",)
    assert remedies("none") == ()
    assert {"raise_temperature", "lower_temperature"} == {*remedies("temperature")}


def test_the_words_leave_no_doubt_about_low_and_high():
    assert "batch too LARGE" in FAILURE_MODES["temperature_low"]
    assert "batch too small" in FAILURE_MODES["temperature_high"]
    assert REMEDIES["raise_temperature"] == "temperature_low"


def test_nothing_to_gain_is_not_clear_where_seeds_differ_far_more_than_is_usual():
    """The third group has four times the usual noise, and what it could gain may hide in that."""
    rows = [
        accuracy_row(accuracy, stderr=stderr, width=2**n, batch_size=size)
        for n, (accuracy, stderr) in enumerate([(80, 0.5), (80, 0.5), (80, 2.0), (80, 0.5)])
        for size in (1, 2, 4)
    ]
    inner = {
        label_of.facts["width"]: label
        for label_of, label in zip(rows, label_rows(rows), strict=True)
        if label_of.facts["batch_size"] == 2
    }
    assert {label.mode for label in inner.values()} == {"none"}
    assert [label.in_noise for label in inner.values()] == [False, False, True, False]


@pytest.mark.parametrize(
    ("accuracy", "stderr", "in_noise"),
    [
        (60, 15.0, True),  # a margin of 42 points, as of 20 test items: half of the error is 20
        (60, 5.0, False),  # 14 points
        (99.9, 0.3, False),  # more than the error, and less than a point
    ],
)
def test_nothing_to_gain_is_not_clear_where_half_of_the_error_is_noise(accuracy, stderr, in_noise):
    rows = [accuracy_row(accuracy, stderr=stderr, width=2**n) for n in range(3)]
    labels = label_rows(rows)
    assert [label.mode for label in labels] == ["none"] * 3
    assert [label.in_noise for label in labels] == [in_noise] * 3


def test_what_a_change_by_two_or_four_gains_is_told_where_there_is_such_a_group():
    first, second, third = room_for_improvement(line("data_amount", 60, 58, 71))
    assert first.by_factor == {"add_data": {2: -2, 4: 11}}
    assert second.by_factor == {"add_data": {2: 13}}
    assert third.by_factor == {}


def test_a_larger_batch_is_a_lower_temperature_by_the_same_factor():
    first, last = room_for_improvement(
        [accuracy_row(60, batch_size=16), accuracy_row(63, batch_size=64)]
    )
    assert first.by_factor == {"lower_temperature": {4: 3}}
    assert last.by_factor == {"raise_temperature": {4: -3}}


def test_of_two_axes_that_serve_one_remedy_the_better_change_counts():
    rows = [
        accuracy_row(60, batch_size=16, learning_rate=0.1),
        accuracy_row(65, batch_size=32, learning_rate=0.1),
        accuracy_row(62, batch_size=16, learning_rate=0.05),
        accuracy_row(66, batch_size=32, learning_rate=0.05),
    ]
    assert room_for_improvement(rows)[0].by_factor == {"lower_temperature": {2: 5}}


def test_a_change_by_three_is_neither():
    rows = [accuracy_row(60, width=2), accuracy_row(65, width=6), accuracy_row(70, width=20)]
    assert all(room.by_factor == {} for room in room_for_improvement(rows))


def test_in_the_noise_several_modes_are_plausible_the_likeliest_first():
    rows = [
        accuracy_row(60, width=1, data_amount=1),
        accuracy_row(69, width=2, data_amount=1),
        accuracy_row(68, width=1, data_amount=2),
        accuracy_row(75, width=2, data_amount=2),
    ]
    first, *_ = label_rows(rows, margin=2.0)
    assert first.plausible == ("model_small", "data_small")
    first, *_ = label_rows(rows, margin=0.5)
    assert first.plausible == ("model_small",)


def test_nothing_to_gain_may_be_any_change_where_seeds_differ_much():
    quiet = [accuracy_row(90 + n % 2, width=2**n, stderr=0.1) for n in range(8)]
    loud = accuracy_row(80, width=2**9, stderr=9)
    labels = label_rows([*quiet, loud, accuracy_row(81, width=2**10, stderr=0.1)])
    assert labels[-2].mode == "none"
    assert labels[-2].plausible == ("none", "model_small")
    assert label_rows([accuracy_row(90, width=1), accuracy_row(90, width=2)])[0].plausible == (
        "none",
    )
