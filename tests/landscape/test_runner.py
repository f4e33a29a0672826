from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from mdtree.datasets import DatasetItems
from mdtree.exceptions import DataError
from mdtree.landscape import (
    ComputeCost,
    CostMeter,
    derive_seed,
    draw,
    generator,
    preserved_state,
    trainable_parameters,
)
from mdtree.models import Network
from tests.support.exact import items, runner_of

X, Y = torch.randn(11, 5), torch.arange(11)


def net():
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3))


# preserved state


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, DataError])
def test_modes_and_random_numbers_are_found_again_whatever_happens(error):
    runner = runner_of(net())
    module = runner.network.module.train()
    module[1].eval()  # a part that is held still, as in fine-tuning
    modes = [part.training for part in module.modules()]
    state = torch.random.get_rng_state()

    with contextlib.suppress(*[error] * (error is not None)), preserved_state(runner, seed=7):
        assert not any(part.training for part in module.modules())
        torch.rand(3)
        module.train()
        if error is not None:
            raise error

    assert modes == [part.training for part in module.modules()]
    assert torch.equal(state, torch.random.get_rng_state())


def test_random_numbers_inside_depend_on_the_seed_alone():
    def drawn(seed):
        with preserved_state(runner_of(net()), seed):
            return torch.rand(3).tolist()

    first = drawn(7)
    torch.rand(5)
    assert first == drawn(7) != drawn(8)
    assert first == torch.rand(3, generator=torch.Generator().manual_seed(7)).tolist()


def test_gradients_are_on_inside():
    with torch.no_grad(), preserved_state(runner_of(net()), seed=0):
        assert torch.is_grad_enabled()


@pytest.fixture
def precision():
    """Keep what a test does to the switches of torch to itself."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    places = [products, cudnn.conv, cudnn.rnn] if hasattr(products, "fp32_precision") else []
    before = [place.fp32_precision for place in places]
    legacy = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(legacy)
    for place, value in zip(places, before, strict=True):
        place.fp32_precision = value


@pytest.mark.parametrize("allowed", [True, False])
def test_products_are_not_rounded_by_the_older_switches(precision, allowed):
    torch.backends.cuda.matmul.allow_tf32 = allowed
    with preserved_state(runner_of(net()), seed=0):
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert allowed == torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("value", ["tf32", "ieee"])
def test_products_are_not_rounded_by_the_newer_switches(precision, value):
    """Torch refuses to read the older switches once these differ from them."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if not hasattr(products, "fp32_precision"):
        pytest.skip("this torch has the older switches alone")
    products.fp32_precision = cudnn.conv.fp32_precision = value
    with preserved_state(runner_of(net()), seed=0):
        assert {"ieee"} == {p.fp32_precision for p in (products, cudnn.conv, cudnn.rnn)}
    assert [value, value, "tf32"] == [p.fp32_precision for p in (products, cudnn.conv, cudnn.rnn)]


# chance


def test_each_purpose_has_numbers_of_its_own_that_never_change():
    seeds = [
        derive_seed(0),
        derive_seed(1),
        derive_seed(0, "a"),
        derive_seed(0, "a", 1),
        derive_seed(0, "a1"),
        derive_seed(0, 1),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**56 for seed in seeds)
    assert derive_seed(0, "hessian", 3) == 494838509371319  # by hand, with hashlib
    a, b = (torch.rand(3, generator=generator(4, "x", "\udcff")) for _ in range(2))
    assert torch.equal(a, b)


@pytest.mark.parametrize("count", [1, 4, 11, 1000])
def test_items_are_drawn_without_replacement_and_all_if_there_are_no_more(count):
    drawn = draw(runner_of(net()), items((X, Y)), count, generator(0))
    x, y = drawn.all
    assert min(count, 11) == len(set(y.tolist())) == len(drawn)
    assert torch.equal(X[y], x)
    again = draw(runner_of(net()), items((X, Y)), count, generator(0))
    assert torch.equal(y, again.all[1])


def test_another_seed_draws_other_items():
    drawn = [draw(runner_of(net()), items((X, Y)), 5, generator(seed)).all[1] for seed in range(4)]
    assert len({tuple(y.tolist()) for y in drawn}) == 4


class Noisy(Dataset):
    """Items that differ from read to read, as augmented ones do."""

    reads = 0

    def __len__(self):
        return 11

    def __getitem__(self, place):
        self.reads += 1
        return torch.rand(5), place


def test_drawn_items_are_decoded_once():
    data = Noisy()
    drawn = draw(runner_of(net()), DatasetItems(data, torch.arange(11)), 6, generator(0))
    before = data.reads
    first, second = (torch.cat([x for x, _ in drawn.batches(4)]) for _ in range(2))
    assert torch.equal(first, second)
    assert before == data.reads < 8


def test_drawn_items_have_the_precision_of_the_run():
    runner = runner_of(net(), dtype=torch.float64)
    x, y = draw(runner, items((X, Y)), 3, generator(0)).all
    assert (torch.float64, torch.int64) == (x.dtype, y.dtype)


# setup


def test_batches_come_in_order_and_in_the_precision_of_the_run():
    runner = runner_of(net(), dtype=torch.float64)
    data = {"x": X, "mask": Y > 3, "labels": Y}
    batches = list(runner.batches(items(data)))
    assert [len(batch["x"]) for batch in batches] == [4, 4, 3]
    assert torch.equal(X.double(), torch.cat([batch["x"] for batch in batches]))
    assert (torch.bool, torch.int64) == (batches[0]["mask"].dtype, batches[0]["labels"].dtype)
    assert [len(batch["x"]) for batch in runner.batches(items(data), 3)] == [3, 3, 3, 2]


# vector


def test_the_layout_holds_the_trained_parameters_in_their_order_and_each_once():
    module = net()
    module[0].bias.requires_grad_(requires_grad=False)
    module.add_module("again", module[3])
    layout = trainable_parameters(Network(module))

    names = ["0.weight", "1.weight", "1.bias", "3.weight", "3.bias"]
    assert names == list(layout.shapes)
    assert layout.size == 20 + 4 + 4 + 12 + 3
    weights = module.state_dict()
    vector = layout.flatten(weights)
    views = layout.views(vector)
    assert all(torch.equal(weights[name], views[name]) for name in names)
    views["1.bias"] += 5
    assert torch.equal(views["1.bias"], layout.views(vector)["1.bias"])
    assert not module[1].bias.any()


def test_tensors_that_are_not_contiguous_are_laid_out_by_their_indices():
    layout = trainable_parameters(Network(nn.Linear(2, 3, bias=False)))
    weight = torch.arange(6.0).reshape(2, 3).t()
    assert layout.flatten({"weight": weight}).tolist() == [0, 3, 1, 4, 2, 5]


def test_a_network_without_parameters_is_an_empty_vector():
    layout = trainable_parameters(Network(nn.ReLU()))
    assert (layout.size, dict(layout.shapes)) == (0, {})


# effort


def test_effort_is_added_and_weighed():
    meter = CostMeter()
    meter.add(ComputeCost(forward=1, gradient=2, product=3))
    meter.add(ComputeCost(forward=10) * 2.5)
    assert ComputeCost(forward=26, gradient=2, product=3) == meter.total
    assert meter.total.passes == 26 + 4 * 2 + 8 * 3
