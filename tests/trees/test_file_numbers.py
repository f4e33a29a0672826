"""Packed tables come back as they were, in as few bytes as hold them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mdtree.trees.file_numbers import packed, unpacked

SHAPES = st.tuples(st.integers(0, 5), st.integers(0, 4))


@given(arrays(np.float64, SHAPES, elements=st.floats(allow_nan=False)))
def test_numbers_come_back_as_they_were(numbers):
    assert np.array_equal(unpacked(packed(numbers), numbers.shape), numbers)


@given(arrays(np.int16, SHAPES, elements=st.integers(-32_000, 32_000)))
def test_thousandths_come_back_as_they_were(thousandths):
    numbers = thousandths / 1000
    assert packed(numbers).startswith("m2:")
    assert np.array_equal(unpacked(packed(numbers), numbers.shape), numbers)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(0.125, "m2"), (32.0, "m2"), (32.001, "f8"), (0.5**12, "f4"), (33.0, "f4"), (1e300, "f8")],
)
def test_the_shortest_kind_that_holds_a_number_is_taken(number, kind):
    assert packed(np.array([[number]])).startswith(f"{kind}:")


@pytest.mark.parametrize("shape", [(2, 2), (6, 2), (3, 3), (0, 0)])
def test_another_number_of_numbers_is_refused(shape):
    with pytest.raises(ValueError, match="must be"):
        unpacked(packed(np.ones((3, 2))), shape)


def test_what_unpacks_to_far_more_is_refused_before_it_fills_the_memory():
    with pytest.raises(ValueError, match="must be 2 x 2"):
        unpacked(packed(np.zeros((1 << 12, 1 << 10))), (2, 2))
