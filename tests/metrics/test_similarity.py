from __future__ import annotations

import itertools
import math
import statistics

import pytest
import torch
from torch import nn

from mdtree.metrics.similarity import SIMILARITY
from mdtree.rows import Missing
from tests.support.cases import NETS, X, Y, group, subject
from tests.support.exact import double
from tests.support.similarity import written_out

PROTOCOLS = pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])


def measure(*args, **kwargs):
    return SIMILARITY.compute(subject(*args, **kwargs))


def linear(*weights):
    """Give a linear network of five inputs, and members with these weights."""
    return nn.Linear(5, len(weights[0]), bias=False), [{"weight": weight} for weight in weights]


class Recorded(nn.Linear):
    """A linear network that remembers what it was asked."""

    def __init__(self, inputs=5):
        super().__init__(inputs, 4, bias=False)
        self.asked = []

    def forward(self, x):
        self.asked.append(x)
        return super().forward(x)


def biased_cka(x, y):
    x, y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    top = (x.T @ y).norm() ** 2
    return float(top / ((x.T @ x).norm() * (y.T @ y).norm()))


def test_standard_1_asks_all_members_the_same_items_and_compares_softmax_debiased():
    weights = torch.randn(3, 4, 5)
    module, x = Recorded(), torch.randn(1500, 5)

    result = measure(
        module, [{"weight": w} for w in weights], (x, torch.zeros(1500).long()), batch_size=600
    )

    sizes = [len(part) for part in module.asked]
    assert sizes == [600, 424] * 3
    said = [torch.cat(module.asked[2 * place : 2 * place + 2]) for place in range(3)]
    assert torch.equal(said[0], said[1])
    assert torch.equal(said[0], said[2])
    assert (said[0][:, None, 0] == x[:, 0]).sum() < 10  # that were mixed with themselves
    asked = said[0].double()
    logits = [asked @ w.double().T for w in weights]
    pairs = [
        written_out(a.softmax(1), b.softmax(1), debiased=True)
        for a, b in itertools.combinations(logits, 2)
    ]
    agreed = [
        100 * float((a.argmax(1) == b.argmax(1)).double().mean())
        for a, b in itertools.combinations(logits, 2)
    ]
    for name, values in (("cka", pairs), ("agreement", agreed)):
        value = result.values[name]
        assert statistics.fmean(values) == pytest.approx(value.value, rel=1e-5)
        assert statistics.stdev(values) / math.sqrt(3) == pytest.approx(value.stderr, rel=1e-4)
        assert values == pytest.approx(result.details["pairs"].columns[name], rel=1e-5)


def test_paper_1_asks_each_ordered_pair_other_items_and_compares_softmax_biased():
    weights = torch.randn(3, 4, 5)
    module, x = Recorded(), torch.randn(1500, 5)

    result = measure(
        module, [{"weight": w} for w in weights], (x, torch.zeros(1500).long()), "paper-1",
        batch_size=768,
    )  # fmt: skip

    sizes = [len(asked) for asked in module.asked]
    assert sizes == [768] * 12
    first, second = module.asked[::2], module.asked[1::2]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(first))
    order = list(itertools.permutations(range(3), 2))
    pairs = [
        biased_cka((asked @ weights[a].T).softmax(1), (asked @ weights[b].T).softmax(1))
        for (a, b), asked in zip(order, first, strict=True)
    ]
    columns = result.details["pairs"].columns
    assert pairs == pytest.approx(columns["cka"], rel=1e-5)
    assert statistics.fmean(pairs) == pytest.approx(result.values["cka"].value, rel=1e-5)
    names = [(f"seed-{a}", f"seed-{b}") for a, b in order]
    assert names == list(zip(columns["a"], columns["b"], strict=True))


@pytest.mark.parametrize(
    ("protocol", "items", "batches"), [("standard-1", 900, [900]), ("paper-1", 768, [128] * 6)]
)
def test_lambdas_belong_to_items_or_to_batches_of_128(protocol, items, batches):
    module = Recorded(900)  # one-hot items show in which shares they were mixed
    members = [{"weight": torch.randn(4, 900)} for _ in range(2)]

    measure(module, members, (torch.eye(900), torch.zeros(900).long()), protocol, batch_size=900)

    asked = module.asked[0]
    assert len(asked) == items
    larger = asked.amax(1)  # of the two shares; 1 where an item met itself
    different = [len(set(part[part < 1].tolist())) for part in torch.split(larger, batches)]
    if protocol == "paper-1":
        assert different == [1] * 6
    else:
        assert different[0] > 850


@PROTOCOLS
@pytest.mark.parametrize("name", NETS)
def test_any_network_is_itself(name, protocol):
    make, data = NETS[name]
    module, (weights,) = group(make, 1)

    values = measure(module, [weights, dict(weights)], data, protocol).values

    if protocol == "paper-1" and name in ("bert", "words"):
        words = {"bert": "named inputs", "words": "integer inputs"}[name]
        missing = f"paper-1 mixes training items: {words} cannot be mixed"
        assert Missing(missing=missing) == values["cka"] == values["agreement"]
    else:
        assert pytest.approx(1, abs=1e-9) == values["cka"].value
        if data[1].is_floating_point() if isinstance(data, tuple) else False:
            words = "needs class numbers as targets, and one output per class"
            assert Missing(missing=words) == values["agreement"]
        else:
            assert values["agreement"].value == 100
    assert values["weight_distance"].value == 0


@pytest.mark.parametrize("name", NETS)
def test_any_batches_give_one_value_and_one_seed_gives_the_same_numbers(name):
    """In float64: some of these networks say nearly the same of all items.

    What is left when the mean is taken off may be 1e-4 of it, and 1e-4 of the digits are lost.
    """
    make, data = NETS[name]
    module, members = group(make, 3)
    module, members, data = module.double(), [double(each) for each in members], double(data)

    first = measure(module, members, data, batch_size=3).values
    again = measure(module, members, data, batch_size=3).values
    assert first == again
    for batch_size in (4, 100):
        other = measure(module, members, data, batch_size=batch_size).values
        # of a number whose largest is 1: some roundings of float64, times 1e4
        assert first["cka"].value == pytest.approx(other["cka"].value, abs=1e-10)
        assert first["weight_distance"] == other["weight_distance"]
        assert getattr(first["agreement"], "value", 0) == getattr(other["agreement"], "value", 0)


@PROTOCOLS
def test_another_seed_draws_other_items(protocol):
    args = (*group(NETS["mlp"][0], 2), (X, Y), protocol)
    one, other = (measure(*args, seed=seed).values for seed in (0, 1))
    assert one["cka"] != other["cka"]
    assert one["weight_distance"] == other["weight_distance"]


def test_rotated_outputs_of_a_regression_are_alike_and_their_weights_are_not():
    weight = torch.randn(4, 5)
    rotation = torch.linalg.qr(torch.randn(4, 4))[0]

    values = measure(*linear(weight, rotation @ weight), (X, torch.rand(37, 4))).values

    assert pytest.approx(1, abs=1e-6) == values["cka"].value
    assert float((weight - rotation @ weight).norm()) == pytest.approx(
        values["weight_distance"].value, rel=1e-6
    )


def test_networks_that_call_classes_otherwise_are_alike_and_do_not_agree():
    weight = torch.randn(3, 5)
    values = measure(*linear(weight, weight.roll(1, 0)), (X, Y)).values
    assert pytest.approx(1, abs=1e-6) == values["cka"].value
    assert values["agreement"].value == 0


def test_one_pair_has_the_standard_errors_of_its_items():
    weights = torch.randn(2, 4, 5)
    module = Recorded()
    values = measure(
        module, [{"weight": w} for w in weights], (X, Y), batch_size=100
    ).values  # fmt: skip

    kept = [torch.arange(37)[torch.arange(37) % 8 != block] for block in range(8)]
    said = [(module.asked[0] @ w.T).double().softmax(1) for w in weights]
    left = [written_out(said[0][rows], said[1][rows], debiased=True) for rows in kept]
    assert math.sqrt(7 * statistics.pvariance(left)) == pytest.approx(
        values["cka"].stderr, rel=1e-4
    )
    p = values["agreement"].value / 100
    assert 100 * math.sqrt(p * (1 - p) / 37) == pytest.approx(values["agreement"].stderr)
    assert None is values["weight_distance"].stderr
