"""Evidence: cuts and beliefs by hand, and what must not depend on units."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import t as student

from mdtree.trees.binning import BinnedCounts, belief, cells_of, collect
from mdtree.trees.posterior import posterior
from mdtree.trees.template import Question, TemplateLeaf

CLASSES = ("a", "b")
QUANTILES = [0.03 + 0.94 * n / 8 for n in range(9)]


def ask(*, start=0.0, bounds=(-10.0, 10.0), spread=1.0, scale="linear"):
    low, high = TemplateLeaf("a"), TemplateLeaf("b")
    return Question(
        feature="x", start=start, bounds=bounds, spread=spread, scale=scale, low=low, high=high
    )


def gathered(question, values, *, most=24, labels=None):
    empty = BinnedCounts(shape=question, classes=CLASSES, hit=5.0, miss=1.0)
    matrix = np.array(values, dtype=float).reshape(-1, 1)
    codes = np.arange(len(matrix)) % 2 if labels is None else np.array(labels)
    return collect(empty, matrix, {"x": 0}, codes, most)


def test_cuts_are_the_middles_of_the_values_and_the_quantiles_of_the_belief():
    (cuts,) = gathered(ask(start=1, spread=0.5), [3, 1, 7, 3]).cuts
    expected = {2.0, 5.0, 1.0, *(1 + 0.5 * student.ppf(q, 4) for q in QUANTILES if q != 0.5)}
    assert cuts.tolist() == pytest.approx(sorted(expected), abs=1e-9)


def test_no_cut_lies_outside_the_bounds():
    (cuts,) = gathered(ask(start=0.5, bounds=(0, 1)), [-50, -3, 0.2, 0.4, 60, 70]).cuts
    assert cuts.min() > 0
    assert cuts.max() < 1
    assert 0.3 in cuts.round(12)


@pytest.mark.parametrize("most", [1, 2, 5, 24])
def test_many_values_give_at_most_so_many_cuts_spread_over_all_of_them(most):
    values = np.linspace(-9, 9, 200)
    (cuts,) = gathered(ask(spread=0.01), values, most=most).cuts
    own = cuts[np.abs(cuts) > 0.05]  # the belief keeps to the middle
    assert len(own) <= most
    assert cuts.min() == pytest.approx((values[0] + values[1]) / 2)
    if most > 1:
        assert cuts.max() == pytest.approx((values[-1] + values[-2]) / 2)


def test_a_value_at_a_cut_lies_below_it():
    binned = gathered(ask(), [0.0, 2.0])
    cut = list(binned.cuts[0]).index(1.0)
    asked = np.array([[1.0], [math.nextafter(1, 2)], [-math.inf], [math.inf]])
    cells, whole = cells_of(binned, asked, {"x": 0})
    assert cells[:, 0].tolist() == [cut, cut + 1, 0, len(binned.cuts[0])]
    assert whole.all()


def test_a_belief_is_the_mass_between_the_middles_of_its_cuts_within_the_bounds():
    question, cuts = ask(start=2, bounds=(-1, 5), spread=0.7), np.array([0.0, 1.5, 2.0, 4.0])
    edges = [-1, 0.75, 1.75, 3, 5]
    mass = [
        student.cdf((b - 2) / 0.7, 4) - student.cdf((a - 2) / 0.7, 4) for a, b in pairwise(edges)
    ]
    assert belief(question, cuts).tolist() == pytest.approx([m / sum(mass) for m in mass])


def test_a_belief_on_a_scale_is_the_belief_in_the_scaled_number():
    logs = np.array([-1.0, 0.2, 2.0])
    there = belief(ask(start=math.e, bounds=(0.01, 100), spread=2, scale="log"), logs)
    here = belief(ask(start=1, bounds=(math.log(0.01), math.log(100)), spread=2), logs)
    assert there.tolist() == pytest.approx(here.tolist(), abs=1e-12)


@pytest.mark.parametrize("factor", [1000, 1 / 256, 3.7])
def test_another_unit_changes_no_probability_where_the_belief_changes_with_it(factor):
    rng = np.random.default_rng(3)
    values, labels = rng.normal(size=31), rng.integers(0, 2, 31)
    ours = posterior(gathered(ask(start=0.3, spread=0.8), values, labels=labels))
    other = ask(
        start=0.3 * factor + 5, spread=0.8 * factor, bounds=(-10 * factor + 5, 10 * factor + 5)
    )
    theirs = posterior(gathered(other, values * factor + 5, labels=labels))
    asked = np.linspace(-3, 3, 50)[:, None] + 1e-4
    np.testing.assert_allclose(
        ours.predict_proba(asked, {"x": 0}),
        theirs.predict_proba(asked * factor + 5, {"x": 0}),
        atol=1e-9,  # quantiles of a belief are rounded to twelve decimals, on either scale
    )
    assert ours.log_evidence == pytest.approx(theirs.log_evidence, abs=1e-9)
    assert theirs.tree.threshold == pytest.approx(ours.tree.threshold * factor + 5)


@pytest.mark.parametrize(("scale", "back"), [("log", np.exp), ("arcsinh", np.sinh)])
def test_a_scaled_question_is_the_plain_question_of_the_scaled_feature(scale, back):
    rng = np.random.default_rng(4)
    values, labels = rng.normal(size=23), rng.integers(0, 2, 23)
    plain = posterior(gathered(ask(start=0.5, bounds=(-4, 4)), values, labels=labels))
    question = ask(start=back(0.5), bounds=(back(-4), back(4)), scale=scale)
    scaled = posterior(gathered(question, back(values), labels=labels))
    asked = np.linspace(-3, 3, 40)[:, None] + 1e-4
    np.testing.assert_allclose(
        plain.predict_proba(asked, {"x": 0}),
        scaled.predict_proba(back(asked), {"x": 0}),
        atol=1e-10,
    )
    assert scaled.tree.threshold == pytest.approx(back(plain.tree.threshold))


@pytest.mark.parametrize(
    "values",
    [[], [2.0], [2.0] * 7, [1.7e308, 1.6e308, -1.7e308], [math.inf, -math.inf, 0.0], [5e-324, 0]],
    ids=["none", "one", "equal", "huge", "infinite", "tiny"],
)
@pytest.mark.parametrize("scale", ["linear", "log", "arcsinh"])
def test_poor_values_still_give_rising_cuts_and_whole_probabilities(values, scale):
    question = ask(start=1.0, bounds=(0.01, 1e300), scale=scale)
    binned = gathered(question, values)
    (cuts,) = binned.cuts
    assert (cuts[1:] > cuts[:-1]).all()
    assert np.isfinite(cuts).all()
    chances = posterior(binned).predict_proba(np.array([[0.5], [1e308]]), {"x": 0})
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert math.isfinite(posterior(binned).tree.threshold)


def test_an_answer_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="a shape answers 'b', which is not among the classes a"):
        BinnedCounts(shape=ask(), classes=("a",), hit=1, miss=1)
