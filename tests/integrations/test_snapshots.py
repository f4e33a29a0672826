"""Snapshots: two at most, whatever lies beside them."""

from __future__ import annotations

import json

import pytest
import torch

from mdtree.exceptions import OutputError
from mdtree.integrations.snapshots import SnapshotKeeper, momentum_of


def network(value):
    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.weight, value)
    return model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_are_kept_and_what_was_there_stays(tmp_path):
    (tmp_path / "other.pt").write_text("mine")
    keeper = SnapshotKeeper(tmp_path)
    for epoch in range(1, 5):
        keeper.keep(network(epoch), epoch=epoch, step=10 * epoch, facts={"epochs": epoch})
    assert names(tmp_path) == ["args.json", "epoch-3-step-30.pt", "epoch-4-step-40.pt", "other.pt"]
    assert json.loads((tmp_path / "args.json").read_text()) == {"epochs": 4}
    weights = torch.load(tmp_path / "epoch-3-step-30.pt")
    assert torch.equal(weights["weight"], torch.full((2, 2), 3.0))


def test_one_step_is_kept_once(tmp_path):
    keeper = SnapshotKeeper(tmp_path)
    keeper.keep(network(1), epoch=1, step=10, facts={})
    keeper.keep(network(2), epoch=1.5, step=10, facts={})
    assert names(tmp_path) == ["args.json", "epoch-1-step-10.pt"]


def test_a_run_that_begins_again_replaces_its_files(tmp_path):
    for value in (1, 2):
        keeper = SnapshotKeeper(tmp_path)
        keeper.keep(network(value), epoch=1, step=10, facts={})
    weights = torch.load(tmp_path / "epoch-1-step-10.pt")
    assert torch.equal(weights["weight"], torch.full((2, 2), 2.0))


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="snapshots="):
        SnapshotKeeper(tmp_path / "file").keep(network(1), epoch=1, step=1, facts={})


@pytest.mark.parametrize(
    ("make", "momentum"),
    [
        (lambda p: [torch.optim.SGD(p, lr=1, momentum=0.5)], {"momentum": 0.5}),
        (lambda p: [torch.optim.SGD(p, lr=1)], {"momentum": 0.0}),
        (lambda p: [torch.optim.AdamW(p)], {}),
        (lambda p: [torch.optim.SGD(p, lr=1), torch.optim.SGD(p, lr=1, momentum=0.5)], {}),
        (lambda _: [], {}),
    ],
)
def test_the_momentum_is_known_where_all_have_the_same(make, momentum):
    assert momentum_of(make(list(network(1).parameters()))) == momentum
