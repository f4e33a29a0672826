"""What needs a GPU: `make gpu-check` runs it."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.executors import ExecutorConfig
from mdtree.items import TensorItems
from mdtree.landscape import Hessian, generator, score
from mdtree.measurement import clear_caches, measure
from mdtree.metrics.hessian import HESSIAN
from mdtree.models import cnn, resnet18
from mdtree.runtime.device import pick_device, visible_gpus
from tests.support.devices import EACH_METRIC, all_numbers, measured, request, rows_agree
from tests.support.exact import BOTH_PROTOCOLS, runner_of, subject, weights_of
from tests.support.zoos import rows_of

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device: make gpu-check where there is one", allow_module_level=True)
pytestmark = pytest.mark.gpu


@EACH_METRIC
@BOTH_PROTOCOLS
def test_a_gpu_gives_the_numbers_of_the_cpu(zoo, metric, protocol):
    """Rounding errors do not grow: 1e-13 in the weights is 1e-12 in the numbers."""
    here, there = (
        measured(zoo, device, metrics=(metric,), protocol=protocol, dtype="float64").row
        for device in ("cpu", "cuda")
    )
    assert rows_agree(there, here, rel=1e-6)


@EACH_METRIC
def test_equal_seeds_give_equal_numbers(zoo, metric):
    first, second = (measured(zoo, "cuda", metrics=(metric,)).row for _ in range(2))
    assert all_numbers(first) == all_numbers(second)


def test_nothing_is_rounded_to_tf32(tmp_path):
    """A product has then 11 bits: what comes of twenty layers would differ in the third digit."""
    model = {"factory": "resnet18", "kwargs": {"width": 16, "channels": 1}}
    (tmp_path / "hot").mkdir()
    weights = resnet18(width=16, channels=1).state_dict()
    save_file(weights, tmp_path / "hot" / "seed-0.safetensors")
    here, there = (
        measured(tmp_path, device, metrics=("error_rate",), model=model).row.quantities
        for device in ("cpu", "cuda")
    )
    for name in ("train_loss", "test_loss"):
        assert there[name].value == pytest.approx(here[name].value, rel=1e-5)


@pytest.mark.slow
@EACH_METRIC
def test_the_twentieth_measurement_holds_no_more_memory_than_the_second(zoo, metric):
    allocated = []
    gc.collect()
    gc.disable()  # what lies in a circle would stay until Python comes to look for it
    try:
        for _ in range(20):
            measured(zoo, "cuda", metrics=(metric,))
            allocated.append(torch.cuda.memory_allocated())
    finally:
        gc.enable()
    kept = allocated[-1] - allocated[1]
    assert kept < (len(allocated) - 2) * 512  # bytes: less than the smallest block for each


def test_between_groups_a_gpu_holds_the_network_alone(zoo):
    allocated = []
    for _ in range(2):
        measured(zoo, "cuda")
        gc.collect()
        full = torch.cuda.memory_allocated()
        clear_caches()
        gc.collect()
        allocated.append(torch.cuda.memory_allocated())
    assert allocated[0] == allocated[1]  # libraries keep their working space
    assert 0 < full - allocated[1] < 1 << 16  # a few tensors, of 512 bytes at least


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_two_processes_share_one_gpu(zoo, tmp_path, device):
    asked = request(zoo, device, metrics=("error_rate", "hessian", "similarity"))
    executor = ExecutorConfig(workers=2, devices=visible_gpus(device)[:1])
    for name, how in (("alone", ExecutorConfig()), ("both", executor)):
        assert measure(asked, out=tmp_path / name, executor=how).failed == {}
    alone, both = (rows_of(tmp_path / name) for name in ("alone", "both"))
    assert alone.keys() == both.keys() == {"hot", "cold"}
    assert all(rows_agree(both[name], alone[name], rel=1e-5) for name in alone)


def test_the_share_of_memory_is_told(zoo):
    share = measured(zoo, "cuda").share
    total = torch.cuda.get_device_properties(0).total_memory
    assert share * total >= torch.cuda.max_memory_allocated() > 0
    assert share < 1


def test_auto_is_the_gpu(zoo, mdtree, tmp_path):
    assert pick_device("auto") == "cuda"
    ran = mdtree("measure", zoo, "--metrics", "error_rate", "--out", tmp_path / "rows")
    assert ran.code == 0
    assert {row.provenance.device for row in rows_of(tmp_path / "rows").values()} == {"cuda"}


@pytest.fixture
def of_seven():
    """Return a function that makes the Hessian of a small network over seven items, by threes."""
    module = cnn(width=4, classes=10).double().cuda()
    x = torch.linspace(-1, 1, 7 * 64, dtype=torch.float64).reshape(7, 1, 8, 8)
    items = TensorItems((x, torch.arange(7)))
    runner = replace(runner_of(module), device=torch.device("cuda"))
    return lambda *, keep: Hessian(runner, weights_of(module), items, 3, keep=keep)


def test_graphs_are_kept_for_later_products(of_seven):
    kept, fresh = of_seven(keep=True), of_seven(keep=False)
    vector, meter = kept.random(generator(0)), kept.runner.meter

    products = [kept.product(vector) for _ in range(3)]

    assert meter.total.gradient == 7
    for product in products:
        torch.testing.assert_close(product, fresh.product(vector))
    assert meter.total.gradient == 4 * 7


def test_errors_over_the_items_need_no_graph(of_seven):
    """Of any size: each of many small graphs takes a GPU as long as one of all items."""
    hessian = of_seven(keep=True)
    vector = hessian.random(generator(0))

    each = hessian.by_item(vector, 7)

    assert each.shape == (7,)
    torch.testing.assert_close(each.mean(), vector @ hessian.product(vector))


class Wide(nn.Module):
    """Makes a MiB of doubles of each item, eight times: activations dwarf all else."""

    def __init__(self):
        super().__init__()
        self.scales = nn.Parameter(torch.linspace(0.5, 1.5, 8))
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        x = x.expand(-1, 1 << 17)
        for scale in self.scales:
            x = (x * scale).tanh()
        return x[:, :3]


def scored(made):
    network = made.runner.network
    return network.with_weights(
        made.members["seed-0"], lambda run: score(made.runner, made.data.train, run)
    ).losses


def curved(made):
    return torch.tensor([value.value for value in HESSIAN.compute(made).values.values()])


@pytest.mark.parametrize(("work", "count", "room"), [(scored, 64, 128), (curved, 16, 256)])
def test_where_memory_runs_out_batches_are_halved(work, count, room):
    """`room` MiB are too few for all items at once, and enough for one."""
    module = Wide().double().cuda()
    x = torch.linspace(-1, 1, count, dtype=torch.float64).reshape(-1, 1)
    made = subject(module, [weights_of(module)], (x, torch.arange(count) % 3), batch_size=count)
    made = replace(made, runner=replace(made.runner, device=torch.device("cuda")))
    whole = work(made)
    assert set(module.seen) == {count}
    module.seen.clear()
    gc.collect()
    torch.cuda.empty_cache()
    limit = torch.cuda.memory_reserved() + (room << 20)
    torch.cuda.set_per_process_memory_fraction(
        limit / torch.cuda.get_device_properties(0).total_memory
    )
    try:
        parts = work(made)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert module.seen[0] == count > module.seen[-1] >= 1
    assert torch.allclose(whole, parts, rtol=1e-6)
