from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mdtree.exceptions import DataError
from mdtree.landscape import ComputeCost
from mdtree.metrics import METRICS, Workload
from mdtree.metrics.similarity import SIMILARITY
from mdtree.rows import QUANTITIES, Measured, Missing
from tests.support.cases import NETS, WORDS, X, Y, group, subject

PROTOCOLS = pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
MLP, DATA = NETS["mlp"]


def measure(*args, **kwargs):
    return SIMILARITY.compute(subject(*args, **kwargs))


def why(value):
    assert isinstance(value, Missing)
    return value.missing


def test_it_gives_the_quantities_that_it_announces():
    assert METRICS["similarity"] is SIMILARITY
    assert set(SIMILARITY.quantities) <= QUANTITIES.keys()
    assert all(QUANTITIES[name].metric == "similarity" for name in SIMILARITY.quantities)
    for count in (1, 2):
        result = measure(*group(MLP, count), DATA)
        assert tuple(result.values) == SIMILARITY.quantities


@PROTOCOLS
def test_one_member_cannot_be_compared_and_costs_nothing(protocol):
    alone = subject(*group(MLP, 1), DATA, protocol)

    result = SIMILARITY.compute(alone)

    assert {why(value) for value in result.values.values()} == {"needs 2 checkpoints, found 1"}
    assert alone.runner.meter.total == ComputeCost()


@PROTOCOLS
@pytest.mark.parametrize("members", [1, 2, 4])
@pytest.mark.parametrize("items", [5, 800, 1500])
def test_the_cost_is_what_the_meter_counts(items, members, protocol):
    data = torch.randn(items, 5), torch.zeros(items).long()
    measured = subject(*group(MLP, members), data, protocol, batch_size=400)
    work = Workload(
        members=members, train_items=items, test_items=99, full_items=items, protocol=protocol
    )

    SIMILARITY.compute(measured)

    assert SIMILARITY.cost(work) == measured.runner.meter.total


@PROTOCOLS
def test_a_dead_member_is_named_where_it_leaves_nothing_to_compare(protocol):
    module, members = group(MLP, 3)
    members[1]["2.weight"] = torch.zeros(3, 8)

    result = measure(module, members, DATA, protocol)

    assert why(result.values["cka"]) == "the outputs of seed-1 are all equal"
    assert isinstance(result.values["agreement"], Measured)
    columns = result.details["pairs"].columns
    alive = [value is not None for value in columns["cka"]]
    assert alive == ["seed-1" not in pair for pair in zip(columns["a"], columns["b"], strict=True)]
    assert None not in columns["agreement"]


@PROTOCOLS
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_outputs_that_are_not_finite_are_missing_with_the_name_of_the_member(broken, protocol):
    module, members = group(MLP, 3)
    members[2]["2.bias"][1] = broken

    result = measure(module, members, DATA, protocol)

    for name in ("cka", "agreement"):
        assert why(result.values[name]) == "the outputs of seed-2 are not finite"
    words = "the distance between seed-0 and seed-2 is not finite"
    assert why(result.values["weight_distance"]) == words
    assert sum(value is not None for value in result.details["pairs"].columns["cka"]) in (1, 2)


@pytest.mark.parametrize("items", [1, 2, 3])
def test_fewer_than_four_items_are_too_few_for_the_debiased_cka_alone(items):
    args = (*group(MLP, 2), (X[:items], Y[:items]))

    values = measure(*args).values

    assert why(values["cka"]) == f"needs 4 training items, found {items}"
    assert isinstance(values["agreement"], Measured)
    paper = measure(*args, "paper-1").values["cka"]
    if items == 1:
        assert why(paper) == "needs 2 training items, found 1"
    else:
        assert 0 < paper.value <= 1 + 1e-9


def test_outputs_without_anything_in_common_are_told():
    x = torch.zeros(9, 5)
    x[4] = 1  # one item differs; mixed with another one, two may
    weights = [{"weight": torch.randn(3, 5)} for _ in range(2)]

    result = measure(nn.Linear(5, 3, bias=False), weights, {"input": x, "labels": Y[:9]})

    assert why(result.values["cka"]) == "the outputs of no two items are related"


@pytest.mark.parametrize("name", ["words", "bert"])
def test_what_cannot_be_mixed_is_measured_as_it_is_and_noted(name):
    make, data = NETS[name]
    module, members = group(make, 2)

    result = measure(module, members, data, batch_size=3)

    (note,) = result.notes
    assert note.startswith("similarity on unmixed training items: ")
    assert "cannot be mixed" in note
    if name == "words":
        said = [torch.func.functional_call(module, member, WORDS) for member in members]
        agreed = 100 * float((said[0].argmax(1) == said[1].argmax(1)).double().mean())
        assert agreed == pytest.approx(result.values["agreement"].value)
    assert not measure(*group(MLP, 2), DATA).notes


def test_classes_of_each_word_have_no_agreement():
    make = lambda: nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 3))  # noqa: E731
    values = measure(*group(make, 2), (WORDS, WORDS % 3)).values
    assert why(values["agreement"]).startswith("needs class numbers as targets")
    assert -1 < values["cka"].value < 1


def test_outputs_of_different_sizes_are_missing():
    class Growing(nn.Linear):
        def forward(self, x):
            return super().forward(x).repeat(1, len(x))

    result = measure(*group(lambda: Growing(5, 2), 2), (X, torch.rand(37)), batch_size=10)
    assert why(result.values["cka"]) == "the outputs of seed-0 differ in size from batch to batch"


class Parts(nn.Module):
    """Trainable, frozen and shared parameters, and a buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.frozen, self.tied = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        self.tied.weight = self.first.weight
        self.frozen.requires_grad_(requires_grad=False)
        self.register_buffer("shift", torch.zeros(5))

    def forward(self, x):
        return self.tied(self.frozen(self.first(x))) + self.shift


@PROTOCOLS
def test_the_distance_is_that_of_what_is_trained_each_tensor_once(protocol):
    module = Parts()
    start = {name: t.detach().clone() for name, t in module.state_dict().items()}
    moved = {name: tensor + 2 for name, tensor in start.items()}

    result = measure(module, [start, moved, start], (X, torch.rand(37, 5)), protocol)

    step = 2 * math.sqrt(25 + 5 + 5)
    value = result.values["weight_distance"]
    assert 2 / 3 * step == pytest.approx(value.value)
    assert step / 3 == pytest.approx(value.stderr)  # over three pairs, whatever the order
    columns = result.details["pairs"].columns
    for a, b, distance in zip(columns["a"], columns["b"], columns["weight_distance"], strict=True):
        assert (step if "seed-1" in (a, b) else 0) == pytest.approx(distance)


def test_a_network_that_is_frozen_has_no_distance():
    module, members = group(lambda: nn.Linear(5, 3).requires_grad_(requires_grad=False), 2)
    values = measure(module, members, DATA).values
    assert why(values["weight_distance"]) == "the network has no trainable parameters"
    assert isinstance(values["cka"], Measured)


@PROTOCOLS
def test_everything_is_found_as_it_was(protocol):
    module, members = group(NETS["batch norm"][0], 2)
    measured = subject(module, members, NETS["batch norm"][1], protocol)
    module.train()
    module[1].eval()
    modes = [part.training for part in module.modules()]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    given = [{name: tensor.clone() for name, tensor in member.items()} for member in members]
    random = torch.random.get_rng_state()

    SIMILARITY.compute(measured)

    assert modes == [part.training for part in module.modules()]
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    for kept, member in zip(given, members, strict=True):
        assert all(torch.equal(kept[name], tensor) for name, tensor in member.items())


@PROTOCOLS
def test_stored_statistics_are_used_and_nothing_is_dropped(protocol):
    make = lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))  # noqa: E731
    module, (weights,) = group(make, 1)
    other = {**weights, "1.running_mean": torch.full((8,), 40.0)}
    measured = subject(module, [weights, weights], DATA, protocol)
    module.train()

    assert pytest.approx(1) == SIMILARITY.compute(measured).values["cka"].value
    assert measure(module, [weights, other], DATA, protocol).values["agreement"].value < 100


@PROTOCOLS
def test_a_network_that_cannot_run_is_told(protocol):
    module, members = group(MLP, 2)
    with pytest.raises(DataError, match="the network cannot run on a batch"):
        measure(module, members, (X[:, :2], Y), protocol)


@pytest.mark.gpu
@PROTOCOLS
def test_the_device_gives_the_numbers_of_the_cpu(protocol):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: make gpu-check where there is one")
    make, data = NETS["residual"]
    module, members = group(make, 3)
    here = measure(module, members, data, protocol).values
    device = torch.device("cuda")
    measured = subject(
        module.to(device),
        [{name: t.to(device) for name, t in member.items()} for member in members],
        data,
        protocol,
        device=device,
    )
    there = SIMILARITY.compute(measured).values
    for name in SIMILARITY.quantities:
        assert here[name].value == pytest.approx(there[name].value, rel=1e-3)
