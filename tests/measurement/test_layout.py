"""Networks measured on pictures with the channels last have the numbers that they had before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import mdtree
from mdtree.datasets import Data
from mdtree.landscape import ModelRunner
from mdtree.losses import build_loss
from mdtree.measurement.fitting import fitted
from mdtree.metrics import METRICS, MetricInput
from mdtree.models import Network, cnn
from mdtree.models.architectures import ResNet
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import Measured
from mdtree.training.loop import Training, train
from tests.support.cases import IMAGES, Y
from tests.support.exact import cross_entropy, items
from tests.support.layouts import LOOKING, NEEDS_ONEDNN

pytestmark = NEEDS_ONEDNN

NETWORKS = {
    "cnn": lambda: cnn(width=8, classes=3),
    "residual": lambda: ResNet(width=16, classes=3, channels=1, blocks=(1,)),
}
TRAIN, TEST = items((IMAGES, Y)), items((IMAGES[:20] + 0.3, Y[:20]))
HOW = Training(batch_size=16, learning_rate=0.05, epochs=5)
CLOSE = {"rel": 1e-4, "abs": 1e-6}
# a curve is trained for hundreds of steps, and each magnifies the rounding of the one before
OF_CURVES = {"connectivity", "connectivity_peak", "barrier", "barrier_loss"}
CLOSE_CURVES = {"rel": 1e-2, "abs": 1e-3}


def trained(make, seed):
    torch.manual_seed(seed)
    return train(make(), TRAIN, cross_entropy, HOW)


@pytest.fixture(scope="module", params=NETWORKS)
def group(request):
    """Return a group that is fitted, so that its pictures are laid out."""
    make = NETWORKS[request.param]
    runner = ModelRunner(
        network=Network(make().eval()),
        loss=build_loss(LossSpec(), Trust()),
        batch_size=16,
        device=torch.device("cpu"),
    )
    ready = fitted(runner, Data(TRAIN, TEST))
    assert ready.runner.channels_last
    return MetricInput(
        runner=ready.runner,
        members={f"seed-{seed}": trained(make, seed) for seed in range(2)},
        data=ready.data,
        protocol="standard-1",
        seed=0,
        training=HOW,
    )


def plain(group):
    return replace(group, runner=replace(group.runner, channels_last=False))


def assert_near(values, others):
    assert values.keys() == others.keys()
    for name, value in values.items():
        other, close = others[name], CLOSE_CURVES if name in OF_CURVES else CLOSE
        if not isinstance(value, Measured):
            assert value == other
            continue
        assert other.value == pytest.approx(value.value, **close), name
        if value.stderr is not None and name not in OF_CURVES:
            assert other.stderr == pytest.approx(value.stderr, rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
def test_every_metric_has_its_numbers_in_both_layouts(group, metric, protocol):
    last, before = (replace(each, protocol=protocol) for each in (group, plain(group)))
    results = [METRICS[metric].compute(each) for each in (before, last)]
    assert_near(results[0].values, results[1].values)
    assert results[0].details.keys() == results[1].details.keys()


def test_equal_seeds_give_equal_numbers_to_the_last_bit(group):
    for metric in ("error_rate", "hessian", "similarity", "fork"):
        first, again = (METRICS[metric].compute(group) for _ in range(2))
        assert first.values == again.values


MEASURING = """
    import torch
    import mdtree
    from mdtree.models import cnn

    torch.set_num_threads(1)
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        models.append(cnn(width=8, classes=3))
    data = torch.randn(37, 1, 8, 8), torch.arange(37) % 3
    names = ["error_rate", "hessian", "similarity", "connectivity"]
    (row,) = mdtree.measure(models=models, train=data, protocol="paper-1", metrics=names)
    print({name: getattr(value, "value", value) for name, value in row.quantities.items()})
"""


def test_equal_seeds_give_equal_numbers_in_two_processes(ready_code):
    first, again = (ready_code(MEASURING) for _ in range(2))
    assert "hessian_top" in first.stdout, first.stderr
    assert first.stdout == again.stdout


@pytest.mark.parametrize("name", LOOKING)
def test_networks_that_look_at_the_layout_have_exactly_the_numbers_of_before(name, monkeypatch):
    torch.manual_seed(0)
    models = [LOOKING[name]() for _ in range(2)]

    def measured():
        given = {"models": models, "train": TRAIN.all, "test": TEST.all}
        (row,) = mdtree.measure(**given, metrics=["error_rate", "hessian", "similarity"])
        assert row.failure is None
        return row.quantities

    now = measured()
    monkeypatch.setattr("mdtree.measurement.fitting.with_suited_layout", lambda runner: runner)
    assert now == measured()


def test_the_networks_of_a_user_stay_as_they_are(tmp_path):
    model = cnn(width=8, classes=3).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    mdtree.measure(models=[model], train=TRAIN.all, metrics=["error_rate"])
    assert model.training
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
