"""A file that changes while it is read: the hash is that of what was read, or there is an error."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import load_checkpoint, load_weights, parts_of, safe_reading
from mdtree.exceptions import UnreadableError

OLD, NEW = ({"weight": torch.full((2, 3), v), "bias": torch.zeros(2)} for v in (1.0, 2.0))


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen after a file was read, and before it is trusted."""
    real = safe_reading.read

    def after(path, happens):
        def read(asked, **how):
            content = real(asked, **how)
            if asked == path:
                happens()
            return content

        monkeypatch.setattr(safe_reading, "read", read)

    return after


def replaced(path: Path, write) -> None:
    write(NEW, path.with_name("y.pt"))
    path.with_name("y.pt").replace(path)


def rewritten(path: Path, write) -> None:
    """In place, of the same length, with the times of before."""
    status = path.stat()
    write(NEW, path.with_name("y.pt"))
    content = path.with_name("y.pt").read_bytes()
    assert len(content) == status.st_size
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_weights_do_not_change_with_their_file(tmp_path):
    """A training run writes `last.safetensors` anew while it is measured."""
    path = tmp_path / "last.safetensors"
    large = {"weight": torch.ones(300, 300)}
    save_file(large, path)

    weights = load_weights(path).tensors
    os.truncate(path, 0)  # of what is a map of the file, the next look would end the process

    assert torch.equal(large["weight"], weights["weight"])


CHANGES = pytest.mark.parametrize("change", [replaced, rewritten])


@CHANGES
@pytest.mark.parametrize("write", [save_file, torch.save])
def test_what_was_changed_while_it_was_read_is_an_error(
    tmp_path, write, change, monkeypatch, meanwhile
):
    path = tmp_path / "x.pt"
    write(OLD, path)
    monkeypatch.setattr(safe_reading, "_is_small", lambda _: False)
    meanwhile(path, lambda: change(path, write))
    with pytest.raises(UnreadableError, match=r"x\.pt was changed while it "):
        load_checkpoint(path, nn.Linear(3, 2), name="x")
    monkeypatch.undo()
    checkpoint = load_checkpoint(path, nn.Linear(3, 2), name="x")  # as it is now
    assert torch.equal(NEW["weight"], checkpoint.weights["weight"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == checkpoint.sha256


@CHANGES
def test_of_one_copy_of_a_file_numbers_and_hash_are_the_same(tmp_path, change, monkeypatch):
    path = tmp_path / "x.safetensors"
    save_file(OLD, path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    parse = safe_reading.load

    def changed_before_it_is_parsed(content):
        change(path, save_file)
        return parse(content)

    monkeypatch.setattr(safe_reading, "load", changed_before_it_is_parsed)
    checkpoint = load_checkpoint(path, nn.Linear(3, 2), name="x")
    assert torch.equal(OLD["weight"], checkpoint.weights["weight"])
    assert checkpoint.sha256 == before != hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_gone_is_an_error(tmp_path, meanwhile):
    path = tmp_path / "x.pt"
    torch.save(OLD, path)
    meanwhile(path, path.unlink)
    with pytest.raises(UnreadableError, match=r"x\.pt cannot be read: No such file"):
        load_checkpoint(path, nn.Linear(3, 2), name="x")


@pytest.mark.parametrize("which", range(3), ids=["index", "first part", "second part"])
def test_every_part_of_a_checkpoint_counts(tmp_path, which, monkeypatch, meanwhile):
    index = tmp_path / "model.safetensors.index.json"
    names = {"weight": "a.safetensors", "bias": "b.safetensors"}
    index.write_text(json.dumps({"weight_map": names}))
    for key, name in names.items():
        save_file({key: OLD[key]}, tmp_path / name)
    part = parts_of(index)[which]

    def touch() -> None:
        part.write_bytes(part.read_bytes().replace(b"{", b" {") if which == 0 else b"other")

    meanwhile(index, touch)
    with pytest.raises(UnreadableError, match="was changed while it was being read"):
        load_checkpoint(index, nn.Linear(3, 2), name="x")
    monkeypatch.undo()
    if which:
        with pytest.raises(UnreadableError, match=part.name):
            load_checkpoint(index, nn.Linear(3, 2), name="x")


def test_a_file_that_only_looks_touched_is_read(tmp_path, meanwhile):
    path = tmp_path / "x.pt"
    torch.save(OLD, path)
    meanwhile(path, path.touch)
    checkpoint = load_checkpoint(path, nn.Linear(3, 2), name="x")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == checkpoint.sha256
