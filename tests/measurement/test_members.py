"""Unfinished work is kept in a file, as far as there is room for it."""

from __future__ import annotations

import pytest
import torch

from mdtree.measurement.members import read_unfinished, write_unfinished

WORK = {
    "a/seed 0.pt": {"basis": torch.eye(3), "flags": torch.tensor([True, False])},
    "a\nb": {"basis": torch.arange(6.0).reshape(2, 3).T},
}


def same(found, expected):
    assert found.keys() == expected.keys()
    for member, tensors in expected.items():
        assert found[member].keys() == tensors.keys()
        assert all(torch.equal(found[member][name], tensor) for name, tensor in tensors.items())
    return True


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "0.safetensors"
    assert read_unfinished(path) == {}
    write_unfinished(path, WORK)
    assert same(read_unfinished(path), WORK)


@pytest.mark.parametrize("nothing", [None, {}])
def test_where_nothing_is_left_the_file_is_gone(tmp_path, nothing):
    path = tmp_path / "0.safetensors"
    write_unfinished(path, WORK)
    write_unfinished(path, nothing)
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_nothing_is_kept():
    write_unfinished(None, WORK)
    assert read_unfinished(None) == {}


def test_a_folder_that_is_full_keeps_no_more(tmp_path, monkeypatch):
    first, second = tmp_path / "0.safetensors", tmp_path / "1.safetensors"
    write_unfinished(first, WORK)
    monkeypatch.setattr("mdtree.measurement.members._MOST_UNFINISHED", first.stat().st_size + 10)
    write_unfinished(second, WORK)
    assert same(read_unfinished(first), WORK)
    assert read_unfinished(second) == {}


def test_a_folder_of_another_machine_keeps_nothing(tmp_path):
    path = tmp_path / "elsewhere" / "0.safetensors"
    write_unfinished(path, WORK)
    assert read_unfinished(path) == {}
    assert not path.parent.exists()


def test_a_broken_file_counts_as_none(tmp_path):
    path = tmp_path / "0.safetensors"
    path.write_bytes(b"half of it")
    assert read_unfinished(path) == {}
