"""Members are trained on pictures with the channels last, where that gives the same."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from mdtree.losses import build_loss
from mdtree.models import build_model
from mdtree.recipes import LossSpec, ModelSpec, Trust
from mdtree.runtime.device import one_thread
from mdtree.training.loop import train
from mdtree.zoo.member import member_data, member_runner, member_training, train_member
from mdtree.zoo.plan import prices
from tests.support.layouts import NEEDS_ONEDNN, Viewed, lies_last
from tests.support.zoo_members import make_member

pytestmark = NEEDS_ONEDNN
LAID_OUT: list[bool] = []  # of each batch that a network has seen


@pytest.fixture
def member(tmp_path):
    LAID_OUT.clear()
    return partial(make_member, tmp_path, width=8)


@pytest.fixture
def noted(monkeypatch):
    """Note how the batches lie that convolutions see."""
    plain = torch.nn.Conv2d._conv_forward

    def forward(self, x, *others):
        if self.in_channels == 1:
            LAID_OUT.append(lies_last(x))
        return plain(self, x, *others)

    monkeypatch.setattr(torch.nn.Conv2d, "_conv_forward", forward)


def viewed(width):
    """Build a network that calls view on its maps, for digits."""
    return Viewed(classes=10)


def trained_plainly(made, factory):
    trust = Trust(any_factory=True)
    model = build_model(
        ModelSpec(factory=factory, kwargs={"width": 8}), trust=trust, seed=made.seed
    )
    with one_thread():  # as members are
        return train(
            model,
            member_data(made).train,
            build_loss(LossSpec(), trust),
            member_training(made),
        )


def test_a_member_is_trained_with_the_channels_last_to_the_same_weights(member):
    made = member()
    assert train_member(made).failure is None
    stored, expected = load_file(made.weights), trained_plainly(made, "cnn")
    assert stored.keys() == expected.keys()
    assert all(tensor.is_contiguous() for tensor in stored.values())
    for name, tensor in expected.items():
        assert stored[name].stride() == tensor.stride()
        assert torch.allclose(stored[name].double(), tensor.double(), rtol=1e-3, atol=1e-4), name


def test_training_and_the_dry_run_see_the_same_layout(member, noted):
    made = member()
    assert train_member(made).failure is None
    steps = 2 * (50 // 16)
    assert all(LAID_OUT[-steps:])
    LAID_OUT.clear()
    prices([made])
    assert LAID_OUT[-1]
    narrow = member(width=4)
    LAID_OUT.clear()
    assert train_member(narrow).failure is None
    prices([narrow])
    assert not any(LAID_OUT)


def test_a_member_that_looks_at_the_layout_is_trained_exactly_as_before(member):
    factory = "tests.zoo.test_layout:viewed"
    made = member(factory)
    assert train_member(made).failure is None
    stored, expected = load_file(made.weights), trained_plainly(made, factory)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in expected.items())


def test_equal_seeds_give_equal_bits_whatever_was_drawn_before(member):
    stored = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        made = member()
        assert train_member(made).failure is None
        stored.append(load_file(made.weights))
    assert all(torch.equal(tensor, stored[1][name]) for name, tensor in stored[0].items())


def test_deciding_draws_no_random_numbers_and_trains_nothing(member):
    made = member()
    model = build_model(ModelSpec(factory="cnn", kwargs={"width": 8}), trust=Trust(), seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    assert member_runner(made, model).channels_last
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())
    assert model.training
