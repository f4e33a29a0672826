"""Details come from files: what is no number is no number, and a missing column is no crash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.render.table import lines, numeric
from tests.support.reports import detail, grid

ROW = replace(grid()[0], details={"pairs": detail("a", "cka", lines=[("x", 0.5), ("y", None)])})


def test_lines_are_read_in_the_order_of_the_columns_asked_for():
    assert lines(ROW, "pairs", "cka", "a") == [(0.5, "x"), (None, "y")]


@pytest.mark.parametrize(
    ("row", "name", "column"),
    [(ROW, "pairs", "b"), (ROW, "curve", "a"), (grid()[0], "pairs", "a")],
)
def test_what_is_not_there_has_no_lines(row, name, column):
    assert lines(row, name, "a", column) == []


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        ((1, 2.5), (1.0, 2.5)),
        ((), ()),
        ((1, None), None),
        (("1",), None),
        ((float("nan"),), None),
        ((float("inf"),), None),
        ((10**400,), None),
        ((1e200,), None),
    ],
)
def test_only_numbers_that_a_picture_can_hold_are_numbers(cells, numbers):
    assert numbers == numeric(*cells)
