from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.datasets import TensorItems, load_data
from mdtree.models import Network, build_model
from mdtree.recipes import Digits, ModelSpec, Trust
from mdtree.training.loop import train
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


def loss_of(model, weights, items):
    (batch,) = items.batches(len(items))
    with torch.no_grad():
        return float(CROSS_ENTROPY(Network(model)(weights, batch), batch).mean())


def test_one_seed_gives_the_same_bits_and_two_seeds_do_not(digits):
    first, again, other = (trained(digits, seed)[1] for seed in (0, 0, 1))
    assert equal_weights(first, again)
    assert not any(torch.equal(first[n], other[n]) for n in first if n.endswith("weight"))


def test_training_lowers_the_loss(digits):
    model = build_model(ModelSpec(factory="cnn", kwargs={"width": 2}), trust=Trust(), seed=0)
    start = {name: tensor.clone() for name, tensor in model.eval().state_dict().items()}
    _, end = trained(digits, epochs=5)
    assert loss_of(model, end, digits) < 0.8 * loss_of(model, start, digits)


def test_training_leaves_the_random_numbers_of_others_alone(digits):
    before = torch.random.get_rng_state()
    trained(digits)
    assert torch.equal(before, torch.random.get_rng_state())


def test_dropout_is_a_matter_of_the_seed_too(digits):
    def run(seed, *, drawn):
        torch.manual_seed(7)
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
        torch.rand(drawn)  # whatever the caller does beside it makes no difference
        before = torch.random.get_rng_state()
        weights = train(model, digits, CROSS_ENTROPY, training_with(seed=seed, epochs=1))
        assert torch.equal(before, torch.random.get_rng_state())
        return weights

    assert equal_weights(run(0, drawn=1), run(0, drawn=2))
    assert not equal_weights(run(0, drawn=1), run(1, drawn=1))


def test_weights_are_copies_with_all_buffers_and_the_model_ends_in_evaluation_mode(digits):
    model, weights = trained(digits)
    assert not any(module.training for module in model.modules())
    assert weights.keys() == model.state_dict().keys()
    kept = {name: tensor.clone() for name, tensor in weights.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert equal_weights(kept, weights)
    assert not any(tensor.requires_grad for tensor in weights.values())


def test_a_step_is_that_of_sgd_with_momentum_and_weight_decay():
    """w' = w - lr * v,  v' = momentum * v + gradient + decay * w; one item, loss (w x - y)^2."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    items = TensorItems((torch.tensor([[2.0]]), torch.tensor([[1.0]])))
    settings = training_with(epochs=2, learning_rate=0.1, momentum=0.5, weight_decay=0.01)

    weights = train(model, items, MSE, settings)

    w, v = 1.0, 0.0
    for _ in range(2):
        v = 0.5 * v + 2 * (2 * w - 1) * 2 + 0.01 * w
        w -= 0.1 * v
    assert float(weights["weight"]) == pytest.approx(w, rel=1e-6)


@pytest.mark.parametrize(
    ("items", "batch_size", "sizes"),
    [(7, 3, [3, 3]), (6, 3, [3, 3]), (7, 7, [7]), (7, 100, [7]), (1, 1, [1]), (3, 1, [1, 1, 1])],
)
def test_the_smaller_last_batch_of_an_epoch_is_dropped_unless_it_is_the_only_one(
    items, batch_size, sizes
):
    model = Counting()
    x = torch.arange(float(items))[:, None]

    train(model, TensorItems((x, x)), MSE, training_with(epochs=3, batch_size=batch_size))

    assert [len(batch) for batch in model.seen] == sizes * 3
    for epoch in range(3):
        drawn = [x for batch in model.seen[epoch * len(sizes) :][: len(sizes)] for x in batch]
        assert len(set(drawn)) == sum(sizes)


@pytest.mark.parametrize(("steps", "made"), [(None, 6), (0, 0), (1, 1), (4, 4), (6, 6), (99, 6)])
def test_steps_are_a_limit_to_what_the_epochs_have(steps, made):
    """Three epochs of two batches."""
    first, model = Counting(), Counting()
    x = torch.arange(7.0)[:, None]
    train(first, TensorItems((x, x)), MSE, training_with(epochs=3, batch_size=3))
    train(model, TensorItems((x, x)), MSE, training_with(epochs=3, batch_size=3, steps=steps))
    assert first.seen[:made] == model.seen
    assert not model.training


def test_every_batch_is_brought_to_where_the_model_is():
    model, x, y = Counting(), torch.arange(6.0)[:, None], torch.zeros(6, 1)
    heard = []

    def loss(output, batch):
        heard.append(batch[1].tolist())
        return MSE(output, batch)

    def place(batch):
        return batch[0] + 100, batch[1] + 1

    train(model, TensorItems((x, y)), loss, training_with(epochs=1, batch_size=3), place)
    assert sorted(value for batch in model.seen for value in batch) == [100.0 + n for n in range(6)]
    assert heard == [[[1.0]] * 3] * 2


def test_every_epoch_has_an_order_of_its_own():
    model = Counting()
    x = torch.arange(50.0)[:, None]
    train(model, TensorItems((x, x)), MSE, training_with(epochs=2, batch_size=10))
    assert model.seen[:5] != model.seen[5:]


def test_a_loss_that_gives_means_trains_alike(digits):
    def mean(output, batch):
        return CROSS_ENTROPY(output, batch).mean()

    model = build_model(ModelSpec(factory="cnn", kwargs={"width": 2}), trust=Trust(), seed=0)
    assert equal_weights(train(model, digits, mean, training_with()), trained(digits)[1])
