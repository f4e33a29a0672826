from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets import TensorItems
from mdtree.landscape import ComputeCost, Point, Profile, Score, profile, reestimate
from tests.support.valleys import (
    CROSS_ENTROPY,
    END,
    ON_THE_LINE,
    START,
    Ring,
    copy_of,
    equal_weights,
    line_of,
    members,
    numbered_items,
    ring_loss,
    runner_of,
)

READINGS = ("connectivity", "peak", "barrier", "loss_barrier")
# errors by hand: ends 25 and 50, so e = 37.5; inside 0, 75 and 50
WRONG = ([1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0])
LOSSES = ([1, 2, 3, 4.0], [9, 0, 0, 0.0], [0, 4, 8, 8.0], [3, 3, 3, 3.0], [2, 2, 5, 7.0])


def made_up(wrong=WRONG, losses=LOSSES, *, each=True):
    """Give the profile with these items wrong, with these losses, at even distances."""
    wrong = [None] * len(losses) if wrong is None else [torch.tensor(w).float() for w in wrong]
    scores = [
        Score(wrong=w, losses=torch.tensor(loss, dtype=torch.float64), each=each)
        for w, loss in zip(wrong, losses, strict=True)
    ]
    last = len(scores) - 1
    return Profile(points=tuple(Point(t=n / last, score=s) for n, s in enumerate(scores)))


def of_errors(*errors, losses=None):
    """Give the profile with these errors, in percent of ten items."""
    wrong = [[1] * (error // 10) + [0] * (10 - error // 10) for error in errors]
    losses = [0] * len(errors) if losses is None else losses
    return made_up(wrong, [[float(loss)] * 10 for loss in losses])


def test_everything_is_read_off_as_by_hand():
    curve = made_up()
    assert (curve.points[0].error, curve.points[2].loss) == (25, 5)
    assert curve.worst().t == 0.5 == 0.25 + 0.25  # 75 and 0 are equally far, 75 has more loss
    values = {name: getattr(curve, name)().value for name in READINGS}
    assert values == {
        "connectivity": 37.5 - 75,
        "peak": -75,
        "barrier": 75 - 50,
        "loss_barrier": 5 - 4,
    }


def test_standard_errors_are_those_of_paired_differences():
    curve = made_up()
    wrong, losses = np.array(WRONG, dtype=float), np.array(LOSSES)
    expected = {
        "connectivity": 100 * ((wrong[0] + wrong[4]) / 2 - wrong[2]),
        "peak": -100 * wrong[2],
        "barrier": 100 * (wrong[2] - wrong[4]),
        "loss_barrier": losses[2] - losses[4],
    }
    for name, differences in expected.items():
        assert np.std(differences, ddof=1) / 2 == pytest.approx(getattr(curve, name)().stderr)


@pytest.mark.parametrize(
    ("errors", "connectivity", "peak", "barrier"),
    [
        ((0, 0, 0, 0, 0), 0, 0, 0),  # connected
        ((0, 10, 40, 20, 0), -40, -40, 40),  # a barrier
        ((30, 20, 10, 20, 30), 20, -20, -10),  # better than its ends
        ((10, 20, 30, 20, 50), 10, -30, -20),  # the farthest of (20, 30, 20) from 30 is 20
        ((0, 30, 10, 60, 40), -40, -60, 20),  # the published number sees the mean of the ends
        ((20, 10, 90, 0, 20), -70, -90, 70),
    ],
)
def test_signs(errors, connectivity, peak, barrier):
    curve = of_errors(*errors)
    values = curve.connectivity().value, curve.peak().value, curve.barrier().value
    assert values == pytest.approx((connectivity, peak, barrier))
    assert math.copysign(1, curve.peak().value) == (1 if peak == 0 else -1)  # no -0.0


def test_of_equally_far_errors_the_one_with_the_farther_loss_is_the_worst():
    errors = 20, 10, 30, 20, 20
    assert of_errors(*errors, losses=(0, 1, 2, 9, 0)).worst().t == 0.5
    assert of_errors(*errors, losses=(0, 3, 2, 9, 0)).worst().t == 0.25
    assert of_errors(20, 20, 20, 20, 20, losses=(5, 4, 6, 2, 5)).worst().t == 0.75


def test_without_classes_the_loss_decides_and_is_all_there_is():
    curve = made_up(wrong=None)
    assert not curve.has_errors
    assert [point.error for point in curve.points] == [None] * 5
    assert (curve.worst().t, curve.loss_barrier().value) == (0.5, 1)


def test_one_item_and_means_of_batches_have_no_standard_error():
    single = made_up([[1], [0], [1]], [[1.0], [2.0], [3.0]])
    assert [getattr(single, name)().stderr for name in READINGS] == [None] * 4
    means = made_up(each=False)
    assert (means.loss_barrier().value, means.loss_barrier().stderr) == (1, None)
    assert means.barrier().stderr is not None


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_anywhere_is_not_passed_over(place, value):
    losses = [list(each) for each in LOSSES]
    losses[place][1] = value
    assert not math.isfinite(made_up(losses=losses).loss_barrier().value)
    if math.isnan(value):
        wrong = [list(each) for each in WRONG]
        wrong[place][1] = value
        curve = made_up(wrong)
        assert math.isnan(curve.connectivity().value)
        assert math.isnan(curve.peak().value) is (place in (1, 2, 3))
        assert math.isnan(curve.barrier().value)
        assert curve.barrier().stderr is None


def on_the_ring(path, *, inner=(0.25, 0.5, 0.75), **kwargs):
    runner = runner_of(Ring(), ring_loss)
    return profile(
        runner, path, numbered_items(7), numbered_items(4), inner=inner, **kwargs
    ), runner


def ts(curve):
    return [point.t for point in curve.points]


def test_the_line_across_a_ring_has_the_barrier_that_is_known():
    line = line_of(Ring(), START, END)
    curve, runner = on_the_ring(line)
    assert pytest.approx(curve.loss_barrier().value, rel=1e-5) == ON_THE_LINE
    assert ComputeCost(forward=5 * 7) == runner.meter.total


def test_a_path_between_equal_ends_is_flat():
    curve, _ = on_the_ring(line_of(Ring(), START, START), refined=3)
    assert {point.loss for point in curve.points} == {0.0}
    assert curve.loss_barrier().value == 0


def test_refining_closes_in_on_the_worst_from_both_sides():
    line = line_of(Ring(), START, END)
    assert ts(on_the_ring(line)[0]) == [0, 0.25, 0.5, 0.75, 1]
    assert ts(on_the_ring(line, refined=1)[0]) == [0, 0.25, 0.375, 0.5, 0.625, 0.75, 1]
    # a control point that leaves the ring near the end; the worst point is sought there
    far = replace(line, control_point=torch.tensor([-3.0, 0.1]))
    curve, runner = on_the_ring(far, refined=4, inner=[0.5])
    assert len(ts(curve)) == 2 + 1 + 2 * 4
    assert ComputeCost(forward=7 * len(ts(curve))) == runner.meter.total
    dense, _ = on_the_ring(far, inner=[n / 200 for n in range(1, 200)])
    assert curve.worst().loss == pytest.approx(dense.worst().loss, rel=0.02)
    assert abs(curve.worst().t - dense.worst().t) < 0.05


@pytest.mark.parametrize("refined", [0, 1, 12])
def test_no_point_is_measured_twice(refined):
    curve, _ = on_the_ring(line_of(Ring(), START, END), refined=refined)
    assert all(one < other for one, other in itertools.pairwise(ts(curve)))
    assert len(ts(curve)) == 5 + 2 * refined


def test_ends_that_are_known_are_not_measured_again():
    line = line_of(Ring(), START, END)
    first, _ = on_the_ring(line)
    again, runner = on_the_ring(line, known=first.ends)
    assert again.points[0] is first.points[0]
    assert again.points[-1] is first.points[-1]
    assert ComputeCost(forward=3 * 7) == runner.meter.total


def classifier():
    return nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 3)
    )


@pytest.mark.parametrize("batch_size", [3, 4, 7])
def test_points_have_the_errors_and_losses_of_the_weights_there_with_statistics_of_their_own(
    batch_size,
):
    weights, module = members(classifier), classifier()
    x, y, other = torch.randn(7, 5), torch.arange(7) % 3, torch.randn(8, 5) * 3
    before = [copy_of(each) for each in weights]
    runner, path = runner_of(module, batch_size=batch_size), line_of(module, *weights)
    statistics = TensorItems((other, torch.zeros(8).long()))
    curve = profile(runner, path, TensorItems((x, y)), statistics, inner=(0.3, 0.5))

    assert ts(curve) == [0, 0.3, 0.5, 1]
    for point in curve.points:  # the ends included
        state = path.at(point.t)
        runner.network.with_weights(state, lambda run: reestimate(runner, statistics, run))
        assert not torch.equal(state["1.running_mean"], torch.zeros(8))
        rival = classifier().eval()
        rival.load_state_dict(state)
        output = rival(x)
        assert point.error == 100 * float((output.argmax(1) != y).double().mean())
        assert point.loss == pytest.approx(float(F.cross_entropy(output, y).detach()), rel=1e-5)
    assert all(map(equal_weights, before, weights))


def test_a_network_that_says_nan_halfway_gives_nan_there():
    class Fragile(nn.Linear):
        def forward(self, x):
            output = super().forward(x)
            return output / (self.weight.norm() > 1)

    weight = torch.tensor([[2.0, 0], [0, 2.0]])
    path = line_of(nn.Linear(2, 2, bias=False), {"weight": weight}, {"weight": -weight})
    x = torch.zeros(4, 2)  # 0 / 0 in the middle
    items = TensorItems((x, torch.zeros(4).long()))
    runner = runner_of(Fragile(2, 2, bias=False), CROSS_ENTROPY)
    curve = profile(runner, path, items, items, inner=(0.25, 0.5, 0.75), refined=2)
    assert [math.isnan(point.loss) for point in curve.points].count(True) >= 3
    assert not any(math.isfinite(getattr(curve, name)().value) for name in READINGS)
