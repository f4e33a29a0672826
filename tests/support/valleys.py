"""A valley that is known, small groups and setups: for tests of paths between networks."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn

from mdtree.datasets import Data, TensorItems
from mdtree.landscape import (
    ConvergenceCheck,
    CurveTraining,
    ModelRunner,
    generator,
    straight_line,
    train_curve,
    trainable_parameters,
)
from mdtree.losses import build_loss
from mdtree.metrics import MetricInput
from mdtree.metrics.budgets import ConnectivityBudget, PaperConnectivity, StandardConnectivity
from mdtree.metrics.connectivity import CONNECTIVITY, connectivity_metric
from mdtree.models import Network
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import Measured

CROSS_ENTROPY = build_loss(LossSpec(), Trust())
X = torch.randn(37, 5, generator=torch.Generator().manual_seed(0))
ITEMS = TensorItems((X, torch.arange(37) % 3))


class Ring(nn.Module):
    """Two weights w, which are its output whatever the input is."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.w.expand(len(x), 2)


def ring_loss(output, _batch):
    """(|w|^2 - 1)^2: the valley is the circle around 0."""
    return (output.square().sum(1) - 1).square()


def on_ring(degrees):
    """Give the weights at an angle."""
    angle = math.radians(degrees)
    return {"w": torch.tensor([math.cos(angle), math.sin(angle)])}


# the line between the ends passes 0 at a distance of cos 85 degrees
START, END = on_ring(0), on_ring(170)
ON_THE_LINE = math.sin(math.radians(85)) ** 4


def numbered_items(count, *, dim=1):
    """Give items that are as many numbers, to be predicted by nobody."""
    return TensorItems((torch.arange(float(count * dim)).reshape(count, dim), torch.zeros(count)))


def runner_of(module, loss=CROSS_ENTROPY, *, batch_size=3, dtype=None):
    """Say how a module is run on the CPU."""
    return ModelRunner(
        network=Network(module.eval()),
        loss=loss,
        batch_size=batch_size,
        device=torch.device("cpu"),
        dtype=dtype,
    )


def copy_of(weights):
    """Copy weights, to be compared with what they are later."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def equal_weights(one, other):
    """Compare to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def curve_training(**kwargs):
    """Say how a control point is trained."""
    return CurveTraining(**{"steps": 150, "batch_size": 3, "learning_rate": 0.1, **kwargs})


def convergence_check(items=None, **kwargs):
    """Say how gains are checked."""
    items = numbered_items(6) if items is None else items
    return ConvergenceCheck(**{"items": items, "every": 5, "patience": 2, **kwargs})


def line_of(module, start, end):
    """Join two networks by a line."""
    return straight_line(trainable_parameters(runner_of(module).network), start, end)


def around_the_ring(*, loss=ring_loss, control_point=None, start=START, end=END, items=7, **kwargs):
    """Train a control point between two places on the ring."""
    runner = runner_of(Ring(), loss)
    path = line_of(Ring(), start, end)
    path = (
        path if control_point is None else replace(path, control_point=torch.tensor(control_point))
    )
    return train_curve(
        runner, path, numbered_items(items), curve_training(**kwargs), generator(0)
    ), runner


def ring_loss_at(path, t):
    """Give the loss at one point."""
    return float((path.at(t)["w"].square().sum() - 1).square())


def mean_loss(path):
    """Give what a check sees."""
    return sum(ring_loss_at(path, t) for t in (0.25, 0.5, 0.75)) / 3


def members(make, count=2):
    """Make networks of other seeds, and give their weights."""
    weights = []
    for seed in range(count):
        torch.manual_seed(seed)
        weights.append(copy_of(make().state_dict()))
    return weights


class FailingLoss:
    """A loss that fails once, or from then on, in training steps."""

    def __init__(self, at, *, value=math.nan, until=math.inf):
        self.at, self.value, self.until, self.calls = at, value, until, 0

    def __call__(self, output, batch):
        self.calls += torch.is_grad_enabled()
        loss = ring_loss(output, batch)
        if self.at <= self.calls <= self.until and torch.is_grad_enabled():
            if isinstance(self.value, float):
                return loss * self.value
            raise self.value
        return loss


def subject(module, weights, items=ITEMS, **kwargs):
    """Give a group; items are the training items."""
    runner = {name: kwargs.pop(name) for name in ("loss", "batch_size", "dtype") if name in kwargs}
    return MetricInput(
        runner=runner_of(module, **runner),
        members={f"seed-{place}": each for place, each in enumerate(weights)},
        data=Data(items, None),
        **{"protocol": "standard-1", "seed": 0, **kwargs},
    )


def measure(*args, metric=CONNECTIVITY, **kwargs):
    """Measure the connectivity of a group."""
    return metric.compute(subject(*args, **kwargs))


def mlp():
    """Make a small network with statistics and dropout."""
    return nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3)
    )


def measured_values(result):
    return {
        name: value.value for name, value in result.values.items() if isinstance(value, Measured)
    }


def few_steps(*, steps, epochs):
    """Make the metric with few steps in both protocols, and checks among them."""
    return connectivity_metric(
        ConnectivityBudget(
            standard=StandardConnectivity(steps=steps, check_every=4),
            paper=PaperConnectivity(epochs=epochs),
        )
    )


class InterruptingLoss:
    """A loss, and Ctrl-C in the middle of a curve."""

    def __init__(self, after):
        self.left = after

    def __call__(self, output, batch):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return CROSS_ENTROPY(output, batch)
