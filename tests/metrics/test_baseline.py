"""Baselines: errors of fits that scikit-learn makes as well, and what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV

from mdtree.datasets import Data, DatasetItems, TensorItems
from mdtree.landscape import ModelRunner
from mdtree.losses import build_loss
from mdtree.metrics import METRICS, MetricInput, Workload
from mdtree.metrics.baseline import BASELINE, baseline_of
from mdtree.models import Network
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import QUANTITIES, Measured, Missing

NAMES = ("baseline_error", "baseline_half_error", "linear_error")


def digits():
    x, y = load_digits(return_X_y=True)
    pictures = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return pictures, torch.tensor(y)


def data(train, test=None):
    return Data(TensorItems(train), None if test is None else TensorItems(test))


def metric_input(data):
    network = Network(torch.nn.Linear(3, 2).eval())
    runner = ModelRunner(
        network=network,
        loss=build_loss(LossSpec(), Trust()),
        batch_size=8,
        device=torch.device("cpu"),
    )
    return MetricInput(runner=runner, members={}, data=data, protocol="standard-1", seed=0)


def numbers(result):
    return {name: value.value for name, value in result.values.items()}


def test_the_linear_error_is_near_that_of_a_ridge_classifier():
    x, y = digits()
    result = baseline_of(data((x[:901], y[:901]), (x[901:], y[901:])), seed=0)
    flat = x.flatten(1).numpy()
    mean, scale = flat[:901].mean(0), flat[:901].std(0)
    lines = (flat - mean) / np.where(scale > 0, scale, np.inf)
    rival = RidgeClassifierCV(alphas=np.logspace(-3, 4, 15)).fit(lines[:901], y[:901])
    error = 100 * (rival.predict(lines[901:]) != y[901:].numpy()).mean()
    assert result.values["linear_error"].value == pytest.approx(error, abs=1.0)


def test_random_features_beat_the_linear_classifier_and_more_items_help():
    x, y = digits()
    found = numbers(baseline_of(data((x[:901], y[:901]), (x[901:], y[901:])), seed=0))
    assert found["baseline_error"] < found["linear_error"] - 2
    assert found["baseline_error"] < found["baseline_half_error"]


def test_the_standard_error_is_that_of_the_test_items():
    x, y = digits()
    value = baseline_of(data((x[:901], y[:901]), (x[901:], y[901:])), seed=0).values["linear_error"]
    share = value.value / 100
    assert isinstance(value, Measured)
    assert value.stderr == pytest.approx(100 * (share * (1 - share) / 896) ** 0.5)


def test_labels_without_a_pattern_are_missed_as_often_as_chance():
    source = torch.Generator().manual_seed(0)
    x, y = torch.randn(700, 6, generator=source), torch.randint(4, (700,), generator=source)
    found = numbers(baseline_of(data((x[:300], y[:300]), (x[300:], y[300:])), seed=0))
    assert all(66 < found[name] < 84 for name in NAMES)


def test_items_in_order_of_their_classes_are_drawn_at_random():
    x, y = digits()
    order = y[:901].argsort()
    found = numbers(baseline_of(data((x[:901][order], y[:901][order]), (x[901:], y[901:])), seed=0))
    assert found["baseline_half_error"] < 15  # the first half has only half of the classes


def test_the_seed_decides_and_equal_items_are_equal_results():
    x, y = digits()
    items = data((x[:201], y[:201]), (x[901:], y[901:]))
    assert baseline_of(items, seed=1).values == baseline_of(items, seed=1).values
    again = data((x[:201].clone(), y[:201].clone()), (x[901:], y[901:]))
    assert baseline_of(again, seed=1).values == baseline_of(items, seed=1).values
    other = data((x[:201], y[:201].flip(0)), (x[901:], y[901:]))
    assert baseline_of(other, seed=1).values != baseline_of(items, seed=1).values


def test_large_data_are_drawn_and_that_is_noted():
    source = torch.Generator().manual_seed(0)
    x, y = torch.randn(9000, 3, generator=source), torch.randint(2, (9000,), generator=source)
    result = baseline_of(data((x, y), (x[:6001], y[:6001])), seed=0)
    assert result.notes == (
        "baselines: on 8192 of 9000 training items and 5000 of 6001 test items",
    )


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        ((torch.ones(9, 2), torch.arange(9)), None, "the recipe has no test data"),
        (
            (torch.ones(7, 2), torch.arange(7)),
            (torch.ones(7, 2), torch.arange(7)),
            "needs 8 training items, found 7",
        ),
        (
            (torch.ones(9, 2), torch.ones(9)),
            (torch.ones(9, 2), torch.ones(9)),
            "the targets are not class numbers",
        ),
        (
            (torch.ones(9, 2), torch.arange(9)),
            (torch.ones(3, 2), torch.tensor([0, -1, 2])),
            "some targets are negative",
        ),
        (
            (torch.full((9, 2), torch.inf), torch.arange(9)),
            (torch.ones(9, 2), torch.arange(9)),
            "inputs are not all finite",
        ),
        (
            (torch.ones(9, 2), torch.arange(9)),
            (torch.tensor([[0.0, -2e20]] * 9), torch.arange(9)),
            "inputs reach 2e+20, too large for sums of their squares",
        ),
        (
            (torch.ones(9, 2), torch.arange(9)),
            (torch.ones(0, 2), torch.arange(0)),
            "there are no items",
        ),
        (
            (torch.ones(9, 0, dtype=torch.long), torch.arange(9)),
            (torch.ones(9, 0, dtype=torch.long), torch.arange(9)),
            "inputs are empty",
        ),
        (
            (torch.ones(9, 2), torch.ones(9, 3, dtype=torch.long)),
            (torch.ones(9, 2), torch.ones(9, 3, dtype=torch.long)),
            "the targets are not class numbers",
        ),
        (
            (torch.ones(1100, 2), torch.arange(1100)),
            (torch.ones(9, 2), torch.arange(9)),
            "the training items have more than 1,023 classes",
        ),
    ],
)
def test_what_cannot_be_fitted_is_missing_with_its_reason(train, test, reason):
    result = baseline_of(data(train, test), seed=0)
    assert result.values == dict.fromkeys(NAMES, Missing(missing=reason))


def test_a_class_that_only_the_test_items_have_is_always_missed():
    x = torch.tensor([[0.0], [1.0]]).repeat(8, 1)
    y = torch.tensor([0, 1]).repeat(8)
    result = baseline_of(data((x, y), (x, torch.full((16,), 2))), seed=0)
    assert numbers(result) == dict.fromkeys(NAMES, 100.0)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.uint16, torch.uint64, torch.bool])
def test_classes_may_be_whole_numbers_of_any_type(kind):
    x = torch.tensor([[0.0], [1.0]]).repeat(8, 1)
    y = torch.tensor([0, 1]).repeat(8)
    result = baseline_of(data((x, y.to(kind)), (x, y.to(kind))), seed=0)
    assert numbers(result) == dict.fromkeys(NAMES, 0.0)


def test_class_numbers_may_be_far_apart():
    x = torch.tensor([[0.0], [1.0]]).repeat(8, 1)
    y = torch.tensor([7, 2**40]).repeat(8)
    result = baseline_of(data((x, y), (x, y)), seed=0)
    assert numbers(result) == dict.fromkeys(NAMES, 0.0)
    unknown = torch.tensor([7, 2**50]).repeat(8)  # half of the test items are of no known class
    result = baseline_of(data((x, y), (x, unknown)), seed=0)
    assert numbers(result) == dict.fromkeys(NAMES, 50.0)


class Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        raise ValueError("no such file")


def test_what_fails_is_missing_and_takes_no_other_metric_with_it():
    items = DatasetItems(Broken(), torch.arange(20))
    result = BASELINE.compute(metric_input(Data(items, items)))
    assert all(
        result.values[name].missing.startswith("simple classifiers cannot be fitted: the data")
        and "no such file" in result.values[name].missing
        for name in NAMES
    )


class Augmented(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        return torch.randn(3) + index % 2, index % 2


def test_data_that_draw_random_numbers_are_drawn_the_same_each_time():
    items = DatasetItems(Augmented(), torch.arange(60))
    prepared, results = metric_input(Data(items, items)), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(BASELINE.compute(prepared).values)
    assert results[0] == results[1]
    after = torch.rand(1)
    torch.manual_seed(2)
    assert torch.equal(after, torch.rand(1))


def test_more_items_take_longer_and_what_cannot_be_fitted_nothing():
    x, y = digits()
    few, many = (BASELINE.seconds(data((x[:n], y[:n]), (x, y))) for n in (100, 1700))
    assert 0 < few < many
    assert BASELINE.seconds(data((x, y))) == 0
    assert BASELINE.seconds(data((x[:7], y[:7]), (x, y))) == 0
    assert BASELINE.seconds(data((x, y[:, None]), (x, y))) == 0
    broken = DatasetItems(Broken(), torch.arange(20))
    assert BASELINE.seconds(Data(broken, broken)) == 0


def test_it_is_a_metric_that_runs_no_network():
    assert METRICS["baseline"] is BASELINE
    assert BASELINE.quantities == NAMES
    assert all(QUANTITIES[name].metric == "baseline" for name in NAMES)
    work = Workload(members=2, train_items=9, test_items=9, full_items=9, protocol="standard-1")
    assert BASELINE.cost(work).forward == 0
