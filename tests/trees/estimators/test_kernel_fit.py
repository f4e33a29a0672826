"""Fits of a kernel regression: with parts of the lines left out."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.trees.kernel_regression import kernel
from tests.support.kernel_fits import fit, stated, told


def test_a_line_of_weight_two_is_two_lines_of_weight_one():
    """Relative to the mean weight: the ridge is 30/31 and 1 of the sums of 30 and 31 squares."""
    rng = np.random.default_rng(1)
    lines, gains = rng.normal(size=(30, 3)), rng.random(30)
    twice = np.append(np.arange(30), 0)
    weights = np.ones(30)
    weights[0] = 2.0
    one = fit(lines, gains, weights, ridge=0.5 * 30 / 31)
    other = fit(lines[twice], gains[twice], centres=lines)
    assert one.means["add_data"] == pytest.approx((gains.sum() + gains[0]) / 31)
    assert told(one, lines) == pytest.approx(told(other, lines), abs=1e-5)
    assert np.abs(told(fit(lines, gains), lines) - told(other, lines)).max() > 1e-3


def test_lines_whose_gain_is_unknown_teach_nothing():
    rng = np.random.default_rng(2)
    lines, gains = rng.normal(size=(40, 3)), rng.random(40)
    known = np.arange(40) % 3 > 0
    holes = fit(lines, np.where(known, gains, np.nan), centres=lines[:9])
    alone = fit(lines[known], gains[known], centres=lines[:9])
    assert told(holes, lines) == pytest.approx(told(alone, lines), abs=1e-9)


def test_centres_that_lie_together_are_fitted_all_the_same():
    rng = np.random.default_rng(3)
    lines, gains = np.repeat(rng.normal(size=(8, 3)), 5, axis=0), rng.random(40)
    together, apart = fit(lines, gains), fit(lines, gains, centres=lines[::5])
    assert told(together, lines) == pytest.approx(told(apart, lines), abs=1e-3)


def test_a_strong_ridge_leaves_the_mean_and_a_weak_one_follows_the_gains():
    rng = np.random.default_rng(4)
    lines, gains = 3 * rng.normal(size=(20, 3)), rng.random(20)
    assert told(fit(lines, gains, ridge=1e9), lines) == pytest.approx(
        np.full(20, gains.mean()), abs=1e-6
    )
    assert told(fit(lines, gains, ridge=1e-9), lines) == pytest.approx(gains, abs=1e-3)


def several(seed=5, count=60):
    """Three targets: one that is always known, and two of which lines with holes differ."""
    rng = np.random.default_rng(seed)
    lines = np.where(rng.random((count, 4)) < 0.2, np.nan, rng.normal(size=(count, 4)))
    targets = {name: rng.random(count) for name in ("add_data", "enlarge_model", "none")}
    targets["add_data"][::3] = np.nan
    targets["none"][::4] = np.nan
    return lines, targets, rng.uniform(0.5, 2.0, count)


def same(one, other, lines, within):
    assert one.weights.keys() == other.weights.keys()
    for name in one.weights:
        assert one.means[name] == pytest.approx(other.means[name], abs=1e-8)
        near = [kernel(lines, each.centres, 0.3) @ each.weights[name] for each in (one, other)]
        assert near[0] == pytest.approx(near[1], abs=within)


@pytest.mark.parametrize("size", [1, 7, 40])
def test_to_subtract_the_sums_of_some_lines_is_to_fit_the_others(size):
    """Their centres are left out as well: nothing of them is left."""
    lines, targets, weights = several()
    centres = np.nan_to_num(lines[10:40])
    whole = stated(targets, lines, weights, centres)
    out = np.arange(len(lines)) < size + 5
    out[:5] = False
    kept = ~out[10:40]
    fitted = whole.solved(whole.sums() - whole.sums(out), kept)
    rest = {name: values[~out] for name, values in targets.items()}
    anew = stated(rest, lines[~out], weights[~out], centres[kept])
    same(fitted, anew.solved(anew.sums()), lines, 1e-6)


def test_sums_of_parts_add_up():
    lines, targets, weights = several(6)
    problem = stated(targets, lines, weights, np.nan_to_num(lines[:20]))
    part = np.arange(len(lines)) % 7 < 3
    same(
        problem.solved(problem.sums(part) + problem.sums(~part)),
        problem.solved(problem.sums()),
        lines,
        1e-6,
    )


def test_targets_are_fitted_side_by_side_as_each_alone():
    lines, targets, weights = several(7)
    centres = np.nan_to_num(lines[:15])
    problem = stated(targets, lines, weights, centres)
    together = problem.solved(problem.sums())
    for name, values in targets.items():
        alone = stated({name: values}, lines, weights, centres)
        given = alone.solved(alone.sums())
        assert given.weights[name] == pytest.approx(together.weights[name], abs=1e-6)


def test_a_target_of_which_nothing_is_left_is_left_out():
    lines, targets, weights = several(8)
    targets["none"][:30] = np.nan
    problem = stated(targets, lines, weights, np.nan_to_num(lines[:15]))
    late = np.arange(len(lines)) >= 30
    assert set(problem.solved(problem.sums(~late)).weights) == {"add_data", "enlarge_model"}
    assert set(problem.solved(problem.sums(late)).weights) == set(targets)
