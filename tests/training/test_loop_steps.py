"""The steps of a training: how many, how large, and the same as in a plain loop of torch."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets import TensorItems, load_data
from mdtree.exceptions import DataError
from mdtree.models import build_model
from mdtree.recipes import Digits, ModelSpec, Trust
from mdtree.training.augmentation import augmented
from mdtree.training.loop import SCHEDULES, steps_in, train
from tests.support.training import (
    CROSS_ENTROPY,
    MSE,
    Counting,
    trained,
    training_with,
)
from tests.support.valleys import equal_weights


@pytest.fixture(scope="module")
def digits():
    return load_data(Digits(amount=200), None, trust=Trust()).train


@pytest.mark.parametrize(
    ("items", "batch_size", "epochs", "steps", "made"),
    [
        (7, 3, 2, None, 4),
        (7, 4, 3, None, 3),
        (7, 100, 3, None, 3),
        (8, 4, 3, None, 6),
        (7, 3, 2, 3, 3),
        (7, 3, 2, 0, 0),
        (7, 3, 9, 9, 9),
    ],
)
def test_steps_are_counted_beforehand(items, batch_size, epochs, steps, made):
    settings = training_with(batch_size=batch_size, epochs=epochs, steps=steps)
    assert steps_in(settings, items) == made
    model, x = Counting(), torch.arange(float(items))[:, None]
    train(model, TensorItems((x, x)), MSE, settings)
    assert len(model.seen) == made


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1, 1, 1, 1, 1]),
        ("cosine", [1, 0.961940, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.038060]),
        ("steps", [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
    ],
)
@pytest.mark.parametrize(
    ("warmup", "risen"),
    [
        (0.0, [1] * 8),
        (0.25, [1 / 2, 1, 1, 1, 1, 1, 1, 1]),
        (0.3, [1 / 2.4, 2 / 2.4, 1, 1, 1, 1, 1, 1]),
        (1.0, [step / 8 for step in range(1, 9)]),
    ],
)
def test_the_learning_rate_of_each_step_is_its_schedule_times_its_warm_up(
    schedule, factors, warmup, risen
):
    """The gradient of mean(w + 0 x) is 1, so that each step takes the learning rate off w."""
    model, weights = nn.Linear(1, 1, bias=False).double(), []
    model.register_forward_pre_hook(lambda *_: weights.append(model.weight.item()))
    x = torch.ones(7, 1, dtype=torch.float64)
    settings = training_with(
        epochs=4, batch_size=3, learning_rate=0.1, momentum=0.0, weight_decay=0.0,
        schedule=schedule, warmup=warmup,
    )  # fmt: skip
    end = train(model, TensorItems((x, x)), lambda output, _: output.flatten(), settings)
    rates = [before - after for before, after in pairwise([*weights, end["weight"].item()])]
    assert rates == pytest.approx(
        [0.1 * f * r for f, r in zip(factors, risen, strict=True)], abs=1e-7
    )


def test_every_schedule_begins_at_the_full_rate_and_never_rises():
    for schedule in SCHEDULES.values():
        values = [schedule(step / 50) for step in range(50)]
        assert values[0] == 1
        assert values == sorted(values, reverse=True)
        assert values[-1] > 0


def bare(model, items, settings):
    """Train as anybody would write it in torch, on the batches that `train` would take."""
    if settings.optimizer == "adamw":
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
    else:
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    generator = torch.Generator().manual_seed(settings.seed)
    model.train()
    for _ in range(settings.epochs):
        order = torch.randperm(len(items), generator=generator)
        for start in range(0, len(items) - settings.batch_size + 1, settings.batch_size):
            x, y = items.take(order[start : start + settings.batch_size]).all
            x, _ = augmented((x, y), settings.augmentation, generator)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"momentum": 0.0, "weight_decay": 0.0},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
        {"augmentation": "shift"},
        {"augmentation": "shift_flip", "seed": 3},
    ],
)
def test_training_is_a_plain_loop_of_torch(digits, kwargs):
    settings = training_with(**{"batch_size": 48, "epochs": 3, **kwargs})
    spec = ModelSpec(factory="cnn", kwargs={"width": 2})
    expected = bare(build_model(spec, trust=Trust(), seed=1).double(), in_double(digits), settings)
    model = build_model(spec, trust=Trust(), seed=1).double()
    weights = train(model, in_double(digits), CROSS_ENTROPY, settings)
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-6, atol=1e-7)


def in_double(items):
    x, y = items.all
    return TensorItems((x.double(), y))


def test_augmentation_changes_what_is_learnt_and_not_the_order_of_the_first_epoch(digits):
    assert not equal_weights(trained(digits)[1], trained(digits, augmentation="shift")[1])
    with pytest.raises(DataError, match="augmentation needs images"):
        train(
            nn.Linear(1, 1),
            TensorItems((torch.ones(3, 1),) * 2),
            MSE,
            training_with(augmentation="shift"),
        )


def test_the_watch_hears_the_mean_loss_of_every_epoch_that_has_steps():
    """The loss of an item is its number, whatever the weights; 7 items in batches of 3."""
    heard, model, x = [], Counting(), torch.arange(7.0)[:, None]

    def loss(output, batch):
        return batch[0].flatten() + 0 * output.flatten()

    def watch(epoch, mean):
        heard.append((epoch, mean))

    train(
        model,
        TensorItems((x, x)),
        loss,
        training_with(batch_size=3, epochs=4, steps=5),
        watch=watch,
    )
    means = [[sum(batch) / 3 for batch in model.seen[at : at + 2]] for at in (0, 2, 4)]
    assert heard == [(e, pytest.approx(sum(m) / len(m))) for e, m in enumerate(means)]


def test_every_step_is_told_with_the_share_that_is_done(digits):
    shares = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    how = training_with(epochs=2, steps=5)
    train(model, digits, CROSS_ENTROPY, how, moved=shares.append)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_watch_may_end_a_training(digits):
    def watch(epoch, _):
        if epoch == 1:
            raise StopIteration

    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 10))
    before = torch.random.get_rng_state()
    with pytest.raises(StopIteration):
        train(model, digits, CROSS_ENTROPY, training_with(epochs=9), watch=watch)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device: make gpu-check where there is one"
)
def test_dropout_on_a_gpu_is_a_matter_of_the_seed_too(digits):
    def run(drawn):
        torch.rand(drawn, device="cuda")
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10)).cuda()
        torch.rand(drawn, device="cuda")
        before = torch.cuda.get_rng_state()
        place = lambda batch: (batch[0].cuda(), batch[1].cuda())  # noqa: E731
        weights = train(model, digits, CROSS_ENTROPY, training_with(), place)
        assert torch.equal(before, torch.cuda.get_rng_state())
        return weights

    assert equal_weights(run(1), run(5))
