"""Pictures of training: measured points with error bars, the log beside them, bounded in size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import trajectories
from mdtree.render.page import report_page
from mdtree.render.training_pictures import training_pictures
from mdtree.rows import Detail, Measured
from tests.support.reports import HOSTILE
from tests.support.steps import epochs


def drawn(rows):
    (trajectory,) = trajectories(rows)
    return {each.title: each.figure for each in training_pictures(trajectory, rows)}


def logged(rows, **columns):
    """The rows, the last of them with a history."""
    count = len(next(iter(columns.values())))
    table = Detail(columns={"run": (0.0,) * count, **columns})
    return [*rows[:-1], replace(rows[-1], details={**rows[-1].details, "history": table})]


def test_each_step_is_a_dot_with_its_error_bar_and_the_one_to_keep_has_a_ring():
    picture = drawn(epochs(30, 20, 10))["Error"].drawing
    assert picture.count('class="at test"') == 3
    assert picture.count('class="error test"') == 3
    assert picture.count('class="kept"') == 1
    assert "to keep: epoch-3: test error 10.0 ± 1.0 %" in picture


def test_what_was_not_measured_is_no_curve():
    picture = drawn(epochs(30, 20))["Error"].drawing
    assert picture.count('class="measured') == 1
    assert 'd="M"' not in picture


def test_a_quantity_without_errors_has_no_bars_and_one_that_is_known_once_no_picture():
    rows = epochs(30, 20, stderr=None)
    rows = [
        replace(each, quantities={**each.quantities, "hessian_top": Measured(value=number)})
        for number, each in enumerate(rows, start=1)
    ]
    rows[0] = replace(
        rows[0], quantities={**rows[0].quantities, "hessian_trace": Measured(value=1.0)}
    )
    assert drawn(rows).keys() == {"Error", "Hessian top"}
    assert "error test" not in drawn(rows)["Error"].drawing


def test_what_was_logged_is_drawn_as_errors_and_gaps_are_left_out():
    rows = logged(epochs(30, 20), epoch=(1.0, 2.0, 2.0, None), test_accuracy=(60.0, None, 75.0, 9))
    picture = drawn(rows)["Error"].drawing
    assert picture.count('class="logged test"') == 1
    assert ">40<" in picture  # the axis reaches 100 - 60


@pytest.mark.parametrize(
    "columns",
    [
        {"step": (1.0, 2.0), "test_accuracy": (60.0, 70.0)},  # the names count epochs
        {"epoch": (1.0,), "test_accuracy": (60.0,)},
        {"epoch": ("a", "b"), "test_accuracy": ("c", 1e300)},
    ],
)
def test_a_log_that_has_no_place_on_the_axis_is_not_drawn(columns):
    assert "logged" not in drawn(logged(epochs(30, 20), **columns))["Error"].drawing


def test_many_steps_make_a_bounded_picture_that_says_so():
    rows = epochs(*(50 + n % 7 for n in range(10_000)))
    figure = drawn(rows)["Error"]
    assert len(figure.drawing) < 200_000
    assert figure.note == "202 of 10,000 steps are drawn."


def test_values_that_are_far_apart_have_a_logarithmic_axis_and_huge_ones_are_left_out():
    rows = epochs(30, 20, 10)
    values = (1.0, 5000.0, 1e200)
    rows = [
        replace(each, quantities={"hessian_top": Measured(value=value)})
        for value, each in zip(values, rows, strict=True)
    ]
    picture = drawn(rows)["Hessian top"].drawing
    assert "10\N{SUPERSCRIPT FOUR}" in picture
    assert picture.count('class="at test"') == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_escaped_on_the_page(name):
    page = report_page([], epochs(30, 20, run=name), {})
    assert "<script" not in page
    assert "<img" not in page
    assert "2 checkpoints" in page


def test_a_page_without_steps_has_no_such_part():
    assert "rajectory of" not in report_page([], epochs(30), {})
