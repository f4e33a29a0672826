from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets import Data, TensorItems
from mdtree.exceptions import DataError
from mdtree.landscape import ComputeCost, ModelRunner
from mdtree.losses import build_loss
from mdtree.metrics import METRICS, MetricInput, Workload
from mdtree.metrics.error_rate import ERROR_RATE
from mdtree.models import Network, mlp
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import QUANTITIES, Measured, Missing

CPU = torch.device("cpu")
# Linear(2 -> 2) without bias at the identity: the output is x, the class that of the larger entry
X = torch.tensor([[1.0, 0], [0, 1], [2, 0], [0, 2], [3, 0], [0, 3], [4, 0]])
Y = torch.tensor([0, 1, 1, 1, 0, 0, 0])  # items 2 and 5 are wrong
EYE = {"weight": torch.eye(2)}
SWAP = {"weight": torch.eye(2).flip(0)}


def cross_entropy():
    return build_loss(LossSpec(), Trust())


def mse():
    return build_loss(LossSpec(factory="mse"), Trust())


def mean_only(output, batch):
    return F.cross_entropy(output, batch[1])


def subject(members, train, test=None, *, module=None, loss=None, batch_size=3):
    return MetricInput(
        runner=ModelRunner(
            network=Network((module or nn.Linear(2, 2, bias=False)).eval()),
            loss=loss or cross_entropy(),
            batch_size=batch_size,
            device=CPU,
        ),
        members={f"seed-{n}": weights for n, weights in enumerate(members)},
        data=Data(items(train), None if test is None else items(test)),
        protocol="standard-1",
        seed=0,
    )


def items(data):
    return data if hasattr(data, "batches") else TensorItems(data)


def measure(*args, **kwargs):
    return ERROR_RATE.compute(subject(*args, **kwargs)).values


BATCHES = pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 100])  # 3, 3, 1 and 4, 3 of seven


@BATCHES
def test_error_and_loss_are_those_by_hand(batch_size):
    values = measure([EYE], (X, Y), (X[:5], Y[:5]), batch_size=batch_size)

    right = [math.log1p(math.exp(-gap)) for gap in (1, 1, 2, 3, 4)]  # items 0, 1, 3, 4, 6
    wrong = [math.log1p(math.exp(gap)) for gap in (2, 3)]  # items 2, 5
    losses = right + wrong
    assert pytest.approx(values["train_error"].value) == 100 * 2 / 7
    assert pytest.approx(values["test_error"].value) == 100 * 1 / 5
    assert sum(losses) / 7 == pytest.approx(values["train_loss"].value, rel=1e-6)
    assert (sum(right[:4]) + wrong[0]) / 5 == pytest.approx(values["test_loss"].value, rel=1e-6)


@BATCHES
def test_one_member_has_the_standard_errors_of_its_items(batch_size):
    values = measure([EYE], (X, Y), batch_size=batch_size)

    each = F.cross_entropy(X.double(), Y, reduction="none").numpy()
    p = 2 / 7
    assert 100 * math.sqrt(p * (1 - p) / 7) == pytest.approx(values["train_error"].stderr)
    assert np.std(each, ddof=1) / math.sqrt(7) == pytest.approx(
        values["train_loss"].stderr, rel=1e-5
    )


@BATCHES
def test_several_members_have_the_standard_error_of_their_spread(batch_size):
    values = measure([EYE, SWAP, EYE], (X, Y), batch_size=batch_size)

    errors = [100 * 2 / 7, 100 * 5 / 7, 100 * 2 / 7]
    assert errors == pytest.approx(values["train_error"].members)
    assert np.mean(errors) == pytest.approx(values["train_error"].value)
    assert np.std(errors, ddof=1) / math.sqrt(3) == pytest.approx(values["train_error"].stderr)
    losses = values["train_loss"].members
    assert np.std(losses, ddof=1) / math.sqrt(3) == pytest.approx(values["train_loss"].stderr)
    assert losses[0] == losses[2] != losses[1]


def test_any_batch_size_gives_one_full_pass_of_a_network_with_stored_statistics():
    module = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 4))
    module.train()(torch.randn(64, 5) * 3 + 1)  # statistics other than those at the start
    x, y = torch.randn(101, 5), torch.randint(0, 4, (101,))
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    output = module.eval()(x).detach()

    for batch_size in (4, 33, 101):
        values = measure([weights], (x, y), module=module, batch_size=batch_size)
        assert 100 * float((output.argmax(1) != y).double().mean()) == values["train_error"].value
        assert float(F.cross_entropy(output, y)) == pytest.approx(values["train_loss"].value)


def test_losses_far_from_zero_keep_their_spread():
    each = 1000 + torch.arange(7) / 64  # exact in float32, while sums of squares are not
    values = measure([EYE], (X, Y), loss=lambda output, batch: each[: len(output)], batch_size=7)
    assert np.std(each.numpy(), ddof=1) / math.sqrt(7) == pytest.approx(values["train_loss"].stderr)


@BATCHES
def test_a_loss_that_gives_means_only_is_weighted_by_the_size_of_the_batches(batch_size):
    values = measure([EYE], (X, Y), loss=mean_only, batch_size=batch_size)

    whole = float(F.cross_entropy(X, Y))
    assert whole == pytest.approx(values["train_loss"].value, rel=1e-6)
    assert None is values["train_loss"].stderr


def test_regression_has_a_loss_and_says_why_it_has_no_error():
    wanted = X + torch.tensor([[1.0, 2.0]])

    values = measure([EYE], (X, wanted), (X, wanted), loss=mse())

    assert pytest.approx(values["train_loss"].value) == 2.5
    assert Missing(missing="the targets are not class numbers") == values["train_error"]
    assert values["test_error"] == values["train_error"]


def test_without_test_data_only_the_test_half_is_missing():
    values = measure([EYE], (X, Y))

    missing = Missing(missing="the recipe has no test data")
    assert missing == values["test_error"] == values["test_loss"]
    assert missing == values["chance_error"] == values["chance_loss"]
    assert isinstance(values["train_error"], Measured)


def test_named_inputs_are_measured_like_pairs():
    class Named(nn.Linear):
        def forward(self, x, shift):
            return super().forward(x + shift)

    data = {"x": X - 1, "shift": torch.ones(7, 1), "labels": Y}
    values = measure([EYE], data, module=Named(2, 2, bias=False))

    assert measure([EYE], (X, Y)) == values


def test_nan_outputs_are_missing_for_error_and_loss_and_never_a_number():
    broken = {"weight": torch.full((2, 2), math.nan)}

    values = measure([EYE, broken], (X, Y))

    for name in ("train_error", "train_loss"):
        assert Missing(missing="not finite for 1 of 2 checkpoints") == values[name]


def test_one_nan_output_of_one_item_is_enough():
    x = X.clone()
    x[4, 1] = math.nan
    assert "not finite" in measure([EYE], (x, Y))["train_error"].missing


def test_one_item_has_no_spread():
    values = measure([EYE], (X[:1], Y[:1]))
    assert Measured(value=0, stderr=0, members=(0,)) == values["train_error"]
    assert None is values["train_loss"].stderr


@pytest.mark.parametrize(
    ("data", "kwargs", "words"),
    [
        (
            (X, Y + 2),
            {},
            "labels are from 2 to 3, but the network has 2 outputs: check the number of",
        ),
        ((X, Y - 1), {}, "labels are from -1 to 0"),
        ((X, Y), {"module": nn.Unflatten(1, (2, 1))}, r"need outputs of \(items, classes\)"),
        ((X, Y), {"module": nn.Flatten(0)}, "one output for each of 3 items"),
        ((X, Y), {"loss": lambda output, batch: output}, "one number for each of 3 items or"),
        ((X, Y), {"loss": lambda output, batch: 1.0}, "got float"),
        ((X, Y), {"loss": lambda output, batch: F.nll_loss(output, output)}, "fails on the"),
        ((X, X), {"loss": mean_only, "module": nn.Linear(2, 3)}, "fails on the output"),
        ((X[:, :1], Y), {}, "cannot run on a batch"),
    ],
)
def test_what_does_not_fit_together_is_told(data, kwargs, words):
    module = kwargs.get("module")
    weights = dict(module.state_dict()) if module else EYE
    with pytest.raises(DataError, match=words):
        measure([weights], data, **kwargs)


def test_measuring_changes_neither_network_nor_random_numbers():
    module, other = mlp(inputs=2, classes=2).eval(), mlp(inputs=2, classes=2).state_dict()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random = torch.random.get_rng_state()

    measure([other, before], (X, Y), (X, Y), module=module)

    assert not module.training
    assert not any(part.training for part in module.modules())
    assert before.keys() == module.state_dict().keys()
    assert all(torch.equal(before[k], tensor) for k, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(random, torch.random.get_rng_state())


def test_the_cost_is_one_forward_pass_of_every_item_for_every_member():
    work = Workload(
        members=5, train_items=1200, test_items=597, full_items=1200, protocol="paper-1"
    )
    assert ERROR_RATE.cost(work) == ComputeCost(forward=5 * 1797)


def test_every_metric_gives_the_quantities_that_it_announces_and_all_are_in_the_vocabulary():
    names = [name for metric in METRICS.values() for name in metric.quantities]
    assert len(names) == len(set(names))
    assert set(names) <= QUANTITIES.keys()
    assert list(METRICS) == [metric.name for metric in METRICS.values()]
    assert set(ERROR_RATE.quantities) == measure([EYE], (X, Y), (X, Y)).keys()


def test_chance_is_told_by_the_test_labels_alone():
    for members in ([EYE], [EYE, SWAP]):
        values = measure(members, (X, Y), (X[:5], Y[:5]), batch_size=2)  # labels 0, 1, 1, 1, 0
        assert values["chance_error"].value == pytest.approx(40)
        entropy = -0.4 * math.log(0.4) - 0.6 * math.log(0.6)
        assert values["chance_loss"].value == pytest.approx(entropy)
        assert values["chance_error"].stderr is None


def test_one_class_leaves_nothing_to_chance():
    values = measure([EYE], (X, Y), (X[:1], Y[:1]))
    assert (values["chance_error"].value, values["chance_loss"].value) == (0, 0)


def test_without_classes_of_test_items_there_is_no_chance():
    values = measure([EYE], (X, X), (X, X), loss=mse())
    reason = Missing(missing="needs test items whose targets are class numbers")
    assert (values["chance_error"], values["chance_loss"]) == (reason, reason)
