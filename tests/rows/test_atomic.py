"""Files that appear as a whole: what is half written is never seen, and what is no file stays."""

from __future__ import annotations

import os
import stat
import threading

import pytest
import torch
from safetensors.torch import save_file

from mdtree.exceptions import OutputError
from mdtree.rows import write_rows
from mdtree.rows.atomic import atomic_file
from mdtree.trees.bundled import shipped_rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.csv"


@pytest.mark.parametrize("kind", ["measurements", "weights", "older weights", "safetensors"])
def test_measurements_and_weights_are_replaced_by_their_own_kind_alone(tmp_path, kind):
    path = tmp_path / "precious"
    if kind == "measurements":
        write_rows(path, shipped_rows("digits-paper-1")[:1])
    elif kind == "safetensors":
        save_file({"x": torch.zeros(2)}, path)
    else:
        torch.save({"x": torch.zeros(2)}, path, _use_new_zipfile_serialization=kind == "weights")
    before = path.read_bytes()
    with (
        pytest.raises(OutputError, match="was not replaced: name another"),
        atomic_file(path) as file,
    ):
        file.write(b"a page")
    assert path.read_bytes() == before
    own = "measurements" if kind == "measurements" else "weights"
    with atomic_file(path, replaces=own) as file:
        file.write(b"anew")
    assert path.read_bytes() == b"anew"


def test_the_old_content_stays_until_all_is_written(path):
    path.write_bytes(b"old")
    path.chmod(0o600)
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def interrupted(path):
    with atomic_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("old", [None, b"old"])
def test_work_that_fails_leaves_what_was_there(path, old):
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert (path.read_bytes() if path.exists() else None) == old
    assert len(list(path.parent.iterdir())) == (old is not None)


def test_a_link_stays_a_link(path):
    real = path.with_name("real.csv")
    path.symlink_to(real)
    with atomic_file(path) as file:
        file.write(b"new")
    assert path.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(path):
    """So do devices: replacing /dev/null with a file would break the machine."""
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    with atomic_file(path) as file:
        file.write(b"new")
    reader.join()
    assert received == [b"new"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("name", [".", "no/table.csv", "x" * 300])
def test_a_place_that_cannot_be_written_is_told(tmp_path, name):
    said = r"cannot be written: .*; name another file with --out"
    with pytest.raises(OutputError, match=said), atomic_file(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []
