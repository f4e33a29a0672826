"""Trees that were fitted twice, or on two machines: the same questions, nearly the same numbers."""

from __future__ import annotations

import pytest

from mdtree.trees import Leaf

# Thresholds keep ten digits and gains four decimals, and the last of them may be rounded otherwise.
NEARLY = {"rel": 2e-9, "abs": 2e-4}


def assert_same_tree(one, other):
    """Compare two trees question by question."""
    assert type(one) is type(other)
    if isinstance(one, Leaf):
        assert (one.answer, one.counts, one.gains.keys()) == (
            other.answer,
            other.counts,
            other.gains.keys(),
        )
        assert one.gains == pytest.approx(other.gains, **NEARLY)
        assert one.ways.keys() == other.ways.keys()
        for remedy, way in one.ways.items():
            theirs = other.ways[remedy]
            assert (way.fact, way.factor) == (theirs.fact, theirs.factor)
            assert (way.low, way.high) == pytest.approx((theirs.low, theirs.high), **NEARLY)
        return
    assert (one.feature, one.missing) == (other.feature, other.missing)
    assert one.threshold == pytest.approx(other.threshold, rel=2e-9, abs=1e-11)
    assert_same_tree(one.low, other.low)
    assert_same_tree(one.high, other.high)
