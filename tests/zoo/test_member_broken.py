"""One member of a zoo where something breaks: a full disk, a diverging loss, a bad network."""

from __future__ import annotations

import json
import math
import subprocess

import pytest

from mdtree.exceptions import OutputError
from mdtree.zoo.member import train_member, training_outcome
from tests.support.cases import Broken
from tests.support.disks import mounted
from tests.support.zoo_members import files_below, make_member, names_in


@pytest.fixture
def member(tmp_path):
    return lambda *args, out=tmp_path, **parts: make_member(out, *args, **parts)


def test_the_facts_are_written_last(member):
    """Where they cannot be written the weights lie there, and the member is not whole."""
    made = member()
    (made.record / "in the way").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"seed-1\.json cannot be written: Is a directory"):
        train_member(made)
    assert made.weights.is_file()
    assert training_outcome(made) is None


def test_weights_that_cannot_be_written_leave_no_facts(member):
    made = member()
    (made.weights / "in the way").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"seed-1\.safetensors cannot be written: Is a directory"):
        train_member(made)
    assert not made.record.exists()
    assert not list(made.out.rglob("*.new"))


PAGE = 4096  # what a file of one byte takes of a small disk


@pytest.mark.parametrize(("end", "left"), [("safetensors", []), ("json", ["seed-1.safetensors"])])
def test_a_full_disk_is_told_and_leaves_no_half(member, tmp_path, end, left):
    made = member(out=tmp_path / "large", width=16)
    assert train_member(made).failure is None
    pages = -(-made.weights.stat().st_size // PAGE)
    room = PAGE * (pages if left else 1)
    assert pages > 1
    with mounted(tmp_path / "small", f"size={room}") as small:
        made = member(out=small, width=16)
        with pytest.raises(
            OutputError, match=rf"seed-1\.{end} cannot be written: No space left on dev"
        ):
            train_member(made)
        assert names_in(made.weights.parent) == left
        assert training_outcome(made) is None
        subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)  # there is room again
        assert train_member(made).failure is None
        assert training_outcome(made).diverged is False


DIVERGING = [
    {"learning_rate": 1e12},  # the loss is not a number in the second epoch
    {"learning_rate": 1e39, "steps": 1},  # the only loss is one, and the weights are not
]


@pytest.mark.parametrize("training", DIVERGING)
def test_a_member_that_leaves_the_numbers_has_facts_and_no_weights(member, training):
    made = member(**training)
    made.weights.parent.mkdir()
    made.weights.write_text("of an earlier run that was killed before it wrote its facts")

    outcome = train_member(made)

    assert (outcome.diverged, outcome.failure) == (True, None)
    assert files_below(made.out) == ["width-2/seed-1.json"]
    facts = json.loads(made.record.read_text())
    assert facts["diverged"] is True
    loss = facts["train_loss"]
    assert loss is None or math.isfinite(loss)
    assert (loss is None) == ("steps" not in training)
    assert training_outcome(made).diverged is True


class Leaving(Broken):
    def forward(self, x):
        raise SystemExit(3)


def frozen(width):
    return Broken(width).requires_grad_(requires_grad=False)


def refusing(width):
    raise ValueError(f"not {width}")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("tests.zoo.test_member_broken:Broken", "KeyError: 'nothing here'"),
        ("tests.zoo.test_member_broken:Leaving", "SystemExit: 3"),
        (
            "tests.zoo.test_member_broken:frozen",
            "ValueError: optimizer got an empty parameter list",
        ),
        ("tests.zoo.test_member_broken:refusing", "{'width': 2} failed: ValueError: not 2"),
        ("tests.zoo.test_member_broken:absent", "has no 'absent'"),
        ("resnet81", "model 'resnet81' is unknown, did you mean 'resnet18'?"),
        ("mlp", "the network cannot run on a batch"),
    ],
)
def test_what_a_network_raises_is_told_in_the_outcome_and_nothing_is_written(member, model, reason):
    made = member(model)
    if model == "mlp":
        made = member(model, data={"transform": {"factory": "tests.zoo.test_member_broken:halved"}})
    outcome = train_member(made)
    assert reason in outcome.failure
    assert (files_below(made.out), training_outcome(made)) == ([], None)


def halved():
    return lambda x: x[:, :, :4]


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        (None, True),
        ("", True),
        ('{"format": 1, "diverg', True),
        ("[]", True),
        ('{"diverged": false}', True),
        ('{"diverged": false, "seconds": null}', True),
        ('{"diverged": false, "seconds": 1}', False),
        ("\udcff", True),
    ],
)
def test_a_member_is_not_whole_without_weights_and_readable_facts(member, text, weights):
    made = member()
    made.record.parent.mkdir()
    if text is not None:
        made.record.write_text(text, errors="surrogateescape")
    if weights:
        made.weights.write_bytes(b"")
    assert training_outcome(made) is None
