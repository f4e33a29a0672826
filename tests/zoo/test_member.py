"""One member of a zoo: what it leaves on the disk, and that it can be read."""

from __future__ import annotations

import contextlib
import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mdtree.checkpoints import load_checkpoint
from mdtree.losses import build_loss
from mdtree.models import build_model, cnn
from mdtree.recipes import LossSpec, ModelSpec, Trust
from mdtree.runtime.device import one_thread
from mdtree.training.loop import train
from mdtree.zoo.member import (
    member_data,
    member_training,
    train_member,
    training_outcome,
    written,
)
from tests.support.zoo_members import files_below, make_member, names_in


@pytest.fixture
def member(tmp_path):
    return partial(make_member, tmp_path)


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_member_is_its_weights_and_its_facts_and_nothing_else_is_left(member, tmp_path):
    made = member()
    outcome = train_member(made)

    assert files_below(tmp_path) == ["width-2/seed-1.json", "width-2/seed-1.safetensors"]
    assert made.weights.stat().st_mode == made.record.stat().st_mode  # readable by the same people
    facts = json.loads(made.record.read_text())
    assert (facts["group"], facts["seed"], facts["format"]) == ("width-2", 1, 1)
    assert facts["facts"] == {"width": 2, "epochs": 2}
    assert (facts["diverged"], facts["epochs"], facts["device"]) == (False, 2, "cpu")
    assert facts["train_loss"] > 0
    assert facts["versions"].keys() == {"mdtree", "torch", "python"}
    assert (outcome.name, outcome.failure, outcome.diverged) == ("width-2/seed-1", None, False)
    assert facts["seconds"] == round(outcome.seconds, 3) > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_weights_are_those_of_training_with_the_seed_of_the_member(member, seed):
    made = member(seed=seed)
    train_member(made)
    spec, trust = ModelSpec(factory="cnn", kwargs={"width": 2}), Trust()
    model, heard = build_model(spec, trust=trust, seed=seed), []
    with one_thread():  # as members are
        expected = train(
            model,
            member_data(made).train,
            build_loss(LossSpec(), trust),
            member_training(made),
            watch=lambda _, loss: heard.append(loss),
        )
    assert equal(expected, load_file(made.weights))
    assert json.loads(made.record.read_text())["train_loss"] == heard[-1]


class Tied(nn.Module):
    """Two names for one matrix, pictures in an order of their own, and a buffer of two views."""

    def __init__(self, width):
        super().__init__()
        self.conv = cnn(width=width, classes=64).to(memory_format=torch.channels_last)
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.second.weight = self.first.weight
        both = torch.arange(4.0)
        self.register_buffer("left", both[:2])
        self.register_buffer("right", both[2:])

    def forward(self, x):
        return self.second(self.first(self.conv(x)).relu())


def test_shared_and_strided_tensors_are_stored_and_read_back(member):
    made = member("tests.zoo.test_member:Tied")
    assert train_member(made).failure is None
    stored = load_file(made.weights)
    assert torch.equal(stored["first.weight"], stored["second.weight"])
    assert stored["right"].tolist() == [2.0, 3.0]
    loaded = load_checkpoint(made.weights, Tied(2), name="x").weights
    assert all(torch.equal(loaded[name], stored[name]) for name in loaded)


def test_the_bits_do_not_depend_on_the_number_of_threads(member):
    before = torch.get_num_threads()
    made, stored = member(width=3), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            train_member(made)
            assert torch.get_num_threads() == threads
            stored.append(load_file(made.weights))
    finally:
        torch.set_num_threads(before)
    assert equal(*stored)


def test_what_became_of_a_member_is_read_from_its_facts(member):
    made = member()
    assert training_outcome(made) is None
    outcome = train_member(made)
    assert training_outcome(made).seconds == round(outcome.seconds, 3)
    assert (training_outcome(made).name, training_outcome(made).diverged) == (outcome.name, False)


def test_members_of_the_same_data_share_them(member):
    first = member_data(member(seed=0))
    assert member_data(member(seed=1, width=3)) is first
    other = member_data(member(data={"amount": 20}))
    assert (len(first.train), len(other.train)) == (50, 20)


def test_steps_alone_are_the_length_of_a_training(member):
    assert member_training(member()).epochs == 2
    how = member_training(member(epochs=None, steps=7, seed=4))
    assert (how.epochs, how.steps, how.seed) == (7, 7, 4)
    made = member(epochs=None, steps=7)
    train_member(made)
    assert json.loads(made.record.read_text())["epochs"] == 3  # of 50 items in batches of 16


def test_a_file_that_was_not_written_to_its_end_does_not_take_the_place_of_a_whole_one(tmp_path):
    path = tmp_path / "new folder" / "file"
    with written(path, tmp_path) as file:
        file.write(b"whole")
    with contextlib.suppress(LookupError), written(path, tmp_path) as file:
        file.write(b"half")
        raise LookupError
    assert (path.read_text(), names_in(path.parent)) == ("whole", ["file"])
