"""Predictions against counts by hand: a network that gives the logits it was handed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.batch import targets
from mdtree.datasets import Data, TensorItems
from mdtree.metrics import METRICS, Workload
from mdtree.metrics.predictions import PREDICTIONS
from mdtree.rows import QUANTITIES, Measured, Missing
from tests.support.cases import NETS, group, subject

HALF = ("ensemble_gain", "disagreement", "overconfidence", "loss_tail")


def cross_entropy(output, batch):
    return F.cross_entropy(output, targets(batch), reduction="none")


class Chosen(nn.Module):
    """A network that gives some of its inputs: those from `first` on are the logits."""

    def __init__(self, first=0):
        super().__init__()
        self.first = nn.Parameter(torch.tensor([float(first)]))

    def forward(self, x):
        first = int(self.first)
        return x[:, first : first + 2] + 0 * self.first


def measure(probabilities, labels, *, train=None, batch_size=3, loss=cross_entropy):
    """Measure members whose probabilities of two classes are given: member -> (n, 2)."""
    x = torch.cat([torch.tensor(p).log() for p in probabilities], dim=1)
    members = [{"first": torch.tensor([2.0 * place])} for place in range(len(probabilities))]
    test = TensorItems((x, torch.tensor(labels)))
    given = subject(Chosen(), members, (x, torch.tensor(labels)), batch_size=batch_size)
    runner = replace(given.runner, loss=loss)
    data = Data(test if train is None else train, test)
    return PREDICTIONS.compute(replace(given, runner=runner, data=data)).values


FIRST = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]]
SECOND = [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.6, 0.4], [0.4, 0.6]]
LABELS = [0, 0, 0, 1, 0]


def test_two_members_by_hand():
    values = measure([FIRST, SECOND], LABELS)

    # wrong: the first at 4; the second at 1, 3, 4; their mean at 4 (1: 0.55, 3: 0.55 for class 1)
    assert values["ensemble_gain"].value == pytest.approx(100 * ((1 + 3) / 2 - 1) / 5)
    assert values["disagreement"].value == pytest.approx(100 * 2 / 5)  # at 1 and 3
    sure = (0.9 + 0.8 + 0.6 + 0.7 + 0.9) / 5, (0.8 + 0.7 + 0.6 + 0.6 + 0.6) / 5
    expected = ((sure[0] - 4 / 5) + (sure[1] - 2 / 5)) / 2
    assert values["overconfidence"].value == pytest.approx(100 * expected, abs=1e-4)


def test_the_errors_are_those_over_items():
    values = measure([FIRST, SECOND], LABELS)
    gains, gaps = np.array([0, 0.5, 0, 0.5, 0]), np.array([0, 1, 0, 1, 0])
    for name, items in (("ensemble_gain", gains), ("disagreement", gaps)):
        expected = 100 * items.std(ddof=1) / math.sqrt(5)
        assert values[name].stderr == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 7, 10, 15, 23])
def test_the_tail_is_the_share_of_the_worst_tenth(count):
    right = torch.linspace(0.1, 0.9, count)
    probabilities = torch.stack([right, 1 - right], dim=1).tolist()
    losses = np.sort(-np.log(right.numpy()))[::-1]
    worst = count * 0.1
    expected = (
        losses[: int(worst)].sum() + losses[int(worst)] * (worst - int(worst))
    ) / losses.sum()
    values = measure([probabilities], [0] * count)
    assert values["loss_tail"].value == pytest.approx(100 * expected, rel=1e-5)


def test_one_member_has_no_pair_and_all_that_it_can_have_alone():
    values = measure([FIRST], LABELS)
    for name in ("ensemble_gain", "disagreement"):
        assert values[name] == Missing(missing="needs 2 checkpoints, found 1")
    assert isinstance(values["overconfidence"], Measured)
    assert isinstance(values["loss_tail"], Measured)


def test_training_items_have_quantities_of_their_own():
    train = TensorItems((torch.tensor([FIRST[0] + SECOND[1]]).log(), torch.tensor([0])))
    values = measure([FIRST, SECOND], LABELS, train=train)
    assert values["train_disagreement"].value == pytest.approx(100)
    assert values["train_disagreement"].stderr is None  # of one item
    assert values["train_ensemble_gain"].value == pytest.approx(50)  # 0.6 for the label together


def test_without_test_items_the_training_items_are_measured():
    given = subject(
        Chosen(), [{"first": torch.tensor([0.0])}], (torch.zeros(3, 2), torch.arange(3) % 2)
    )
    values = PREDICTIONS.compute(given).values
    for name in HALF:
        assert values[name] == Missing(missing="the recipe has no test data")
    assert isinstance(values["train_overconfidence"], Measured)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda output, _: output.sum(), "the loss returns means of batches"),
        (lambda output, _: -output.exp().sum(1), "some are negative"),
        (lambda output, _: 0 * output.sum(1), "all zero"),
    ],
)
def test_a_loss_without_a_tail_is_told(loss, words):
    assert words in measure([FIRST, SECOND], LABELS, loss=loss)["loss_tail"].missing


def test_outputs_that_are_not_finite_are_told():
    values = measure([FIRST, [[math.nan, 0.5]] * 5], LABELS)
    assert {values[name] for name in HALF} == {Missing(missing="outputs are not finite")}


@pytest.mark.parametrize("name", NETS)
def test_any_network_is_measured_or_has_a_reason(name):
    make, data = NETS[name]
    module, members = group(make, 2)
    given = subject(module, members, data)
    result = PREDICTIONS.compute(replace(given, data=Data(given.data.train, given.data.train)))
    assert set(result.values) == set(PREDICTIONS.quantities)
    for quantity, value in result.values.items():
        assert QUANTITIES[quantity].metric == "predictions"
        assert isinstance(value, Missing) or math.isfinite(value.value), quantity


def test_the_same_items_give_the_same_numbers_whatever_the_batches():
    assert measure([FIRST, SECOND], LABELS, batch_size=2) == measure([FIRST, SECOND], LABELS)


def test_the_cost_is_that_of_the_passes():
    work = Workload(
        members=2, train_items=5, test_items=20_000, full_items=5, protocol="standard-1"
    )
    assert PREDICTIONS.cost(work).passes == 2 * (5 + 10_000)
    assert METRICS["predictions"] is PREDICTIONS
