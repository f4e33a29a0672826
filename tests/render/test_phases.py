"""Phase diagrams: where each group of a grid stands, by hand."""

from __future__ import annotations

import pytest

from mdtree.failure_modes import AXES
from mdtree.labelling import label_rows
from mdtree.render.phases import labels_text, phases
from tests.support.rows import accuracy_row


def diagrams(*rows):
    return phases(rows, label_rows(rows))


def accuracies(phase):
    return {place: cell.label.accuracy for place, cell in phase.cells.items()}


def test_the_batch_size_goes_across_and_the_width_down_each_with_its_label():
    (phase,) = diagrams(
        accuracy_row(70, width=2, batch_size=32),
        accuracy_row(75, width=2, batch_size=8),
        accuracy_row(80, width=4, batch_size=8),
        accuracy_row(74, width=4, batch_size=32),
    )
    assert (phase.across, phase.down, dict(phase.shared)) == ("batch_size", "width", {})
    assert (phase.columns, phase.lines) == ((8, 32), (2, 4))
    assert accuracies(phase) == {(2, 8): 75, (2, 32): 70, (4, 8): 80, (4, 32): 74}
    cell = phase.cells[2, 32]  # both remedies are at hand: 5 points by the batch, 4 by the width
    assert (cell.group, cell.label.mode) == ("width=2,batch_size=32", "temperature_low")
    assert (cell.label.severity, cell.label.lead) == (5, 1)


@pytest.mark.parametrize("fact", [axis.fact for axis in AXES if axis.up or axis.down])
def test_one_axis_alone_is_a_strip(fact):
    (phase,) = diagrams(
        accuracy_row(80, **{fact: 4}), accuracy_row(85, **{fact: 1}), accuracy_row(82, **{fact: 2})
    )
    assert (fact, None) == (phase.across, phase.down)
    assert (phase.columns, phase.lines) == ((1, 2, 4), (0,))
    assert accuracies(phase) == {(0, 1): 85, (0, 2): 82, (0, 4): 80}


def test_each_value_of_a_third_axis_has_a_diagram_in_the_same_frame():
    """Also where groups are missing: at 600 items there is one group alone."""
    large, small = 600, 300
    pictures = diagrams(
        accuracy_row(80, batch_size=8, width=2, data_amount=large),
        accuracy_row(70, batch_size=8, width=2, data_amount=small),
        accuracy_row(71, batch_size=64, width=2, data_amount=small),
        accuracy_row(72, batch_size=8, width=16, data_amount=small),
    )
    assert [{"data_amount": small}, {"data_amount": large}] == [dict(p.shared) for p in pictures]
    assert {((8, 64), (2, 16))} == {(phase.columns, phase.lines) for phase in pictures}
    assert list(map(accuracies, pictures)) == [{(2, 8): 70, (2, 64): 71, (16, 8): 72}, {(2, 8): 80}]


def test_groups_of_two_zoos_stand_in_diagrams_of_their_own():
    """They may be at the same points; each zoo has its own frame."""
    pictures = diagrams(
        accuracy_row(80, batch_size=8, width=2, zoo="b"),
        accuracy_row(81, batch_size=8, width=4, zoo="b"),
        accuracy_row(70, batch_size=8, width=2, zoo="a"),
        accuracy_row(71, batch_size=16, width=2, zoo="a"),
        accuracy_row(60, batch_size=8, width=2),
    )
    assert [phase.zoo for phase in pictures] == ["", "a", "b"]
    assert list(map(accuracies, pictures)) == [
        {(2, 8): 60},
        {(2, 8): 70, (2, 16): 71},
        {(2, 8): 80, (4, 8): 81},
    ]
    frames = [((8,), (2,)), ((8, 16), (2,)), ((8,), (2, 4))]
    assert [(phase.columns, phase.lines) for phase in pictures] == frames


def test_four_axes_have_a_diagram_for_each_pair_of_the_others_in_order():
    rows = [
        accuracy_row(
            50 + w + b + 10 * lr + d, width=w, batch_size=b, learning_rate=lr, data_amount=d
        )
        for w in (1, 2)
        for b in (1, 2)
        for lr in (0.5, 0.25)
        for d in (3, 1)
    ]
    pictures = diagrams(*rows)
    assert [tuple(p.shared.values()) for p in pictures] == [
        (0.25, 1),
        (0.25, 3),
        (0.5, 1),
        (0.5, 3),
    ]
    for phase in pictures:
        assert (phase.across, phase.down) == ("batch_size", "width")
        base = 50 + 10 * phase.shared["learning_rate"] + phase.shared["data_amount"]
        assert {(w, b): base + w + b for w in (1, 2) for b in (1, 2)} == accuracies(phase)


def test_without_a_batch_size_the_width_goes_across():
    (phase,) = diagrams(
        accuracy_row(80, width=2, data_amount=10),
        accuracy_row(85, width=4, data_amount=10),
        accuracy_row(82, width=2, data_amount=20),
    )
    assert (phase.across, phase.down) == ("width", "data_amount")


@pytest.mark.parametrize("width", [{}, {"width": "wide"}, {"width": True}])
def test_a_fact_that_is_no_number_in_some_row_is_no_axis(width):
    (phase,) = diagrams(
        accuracy_row(80, batch_size=1, **width),
        accuracy_row(85, batch_size=2, width=7),
        accuracy_row(83, batch_size=4, width=9),
    )
    assert (phase.across, phase.down) == ("batch_size", None)
    assert accuracies(phase) == {(0, 1): 80, (0, 2): 85, (0, 4): 83}


def test_a_fact_that_does_not_vary_is_no_axis():
    (phase,) = diagrams(
        accuracy_row(80, batch_size=1, width=7), accuracy_row(85, batch_size=2, width=7)
    )
    assert (phase.across, phase.down) == ("batch_size", None)


def test_the_order_of_rows_does_not_matter():
    rows = [accuracy_row(70 + b + w, batch_size=b, width=w) for b in (1, 2, 4) for w in (1, 2)]
    assert diagrams(*rows) == diagrams(*rows[::-1])


def test_groups_that_differ_in_no_axis_have_no_diagram():
    rows = [accuracy_row(80, width=1), accuracy_row(85, width=2)]
    assert phases(rows[:1], label_rows(rows)[:1]) == []
    assert phases([], []) == []


def test_none_at_the_end_of_a_grid_names_what_was_not_tried():
    rows = [accuracy_row(70, width=2), accuracy_row(80, width=4), accuracy_row(80, width=8)]
    text = labels_text([row.group for row in rows], label_rows(rows))
    (doubted,) = (line for line in text.splitlines() if "as far as the grid goes" in line)
    assert doubted.split()[0] == "width=8"
    assert doubted.endswith("nothing tells what it gains to enlarge model")
