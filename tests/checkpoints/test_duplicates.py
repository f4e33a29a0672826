"""Equal files and equal weights."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from mdtree.checkpoints import duplicates as copies
from mdtree.checkpoints import equal_files, equal_tensors, equal_weights


def files(folder, **contents):
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_equal_files_are_those_with_the_same_bytes(tmp_path):
    known = files(tmp_path, a=b"one", b=b"two", c=b"one", d=b"three", e=b"one", f=b"", g=b"")
    assert equal_files(known) == {"c": "a", "e": "a", "g": "f"}


def test_files_that_end_alike_are_read_as_a_whole(tmp_path):
    end = bytes(200_000)
    assert equal_files(files(tmp_path, a=b"1" + end, b=b"2" + end, c=b"1" + end)) == {"c": "a"}


def test_files_that_end_in_different_ways_are_not(tmp_path, monkeypatch):
    read = []
    real = copies.file_digest
    monkeypatch.setattr(copies, "file_digest", lambda path: read.append(path.name) or real(path))
    assert equal_files(files(tmp_path, a=b"1", b=b"2", c=b"33", d=b"1")) == {"d": "a"}
    assert sorted(read) == ["a", "d"]


def test_a_checkpoint_in_parts_is_equal_if_all_its_parts_are(tmp_path):
    for number, value in enumerate([1.0, 1.0, 2.0]):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file({"w": torch.tensor([value])}, folder / "model-00001-of-00001.safetensors")
        index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    known = {str(n): tmp_path / str(n) / "model.safetensors.index.json" for n in range(3)}
    assert equal_files(known) == {"1": "0"}


def test_links_to_a_file_are_equal_to_it_and_what_cannot_be_read_to_nothing(tmp_path):
    known = files(tmp_path, a=b"one")
    for name in ("hard", "soft", "broken", "pipe", "folder"):
        known[name] = tmp_path / name
    os.link(known["a"], known["hard"])
    known["soft"].symlink_to("a")
    known["broken"].symlink_to("nowhere")
    os.mkfifo(known["pipe"])
    known["folder"].mkdir()
    for name in ("x.bin.index.json", "y.bin.index.json"):
        known[name] = tmp_path / name
        known[name].write_text("no index")
    assert equal_files(known) == {"hard": "a", "soft": "a"}


def test_a_copy_has_the_same_bytes_whatever_its_times(tmp_path):
    known = files(tmp_path, a=b"one")
    known["b"] = tmp_path / "b"
    shutil.copy(known["a"], known["b"])
    os.utime(known["b"], (0, 0))
    assert equal_files(known) == {"b": "a"}


ONE = {"a": torch.arange(4.0), "b": torch.tensor([1, 2])}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"a": torch.arange(4.0), "b": torch.tensor([1, 2])}, True),
        ({"a": torch.arange(8.0)[:4], "b": torch.tensor([1, 2])}, True),
        ({"a": torch.arange(4.0).nextafter(torch.tensor(9.0)), "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0).double(), "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0)[None], "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0).to_sparse(), "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0, device="meta"), "b": ONE["b"]}, False),
        ({"a": ONE["a"], "b": torch.tensor([1, 3])}, False),
    ],
)
def test_tensors_are_equal_in_every_bit_of_every_number(other, same):
    assert equal_tensors(ONE, other, ONE) is same
    assert equal_tensors(other, ONE, ONE) is same


def test_only_named_tensors_are_compared_and_no_names_are_no_equality():
    assert equal_tensors(ONE, {"a": ONE["a"], "b": torch.tensor([0, 0])}, ["a"])
    assert not equal_tensors(ONE, ONE, [])


def test_weights_are_equal_whatever_the_file_that_holds_them(tmp_path):
    save_file(ONE, tmp_path / "a.safetensors", metadata={"epoch": "3"})
    wrapped = {f"module.{name}": tensor for name, tensor in ONE.items()}
    torch.save({"state_dict": wrapped, "epoch": 4}, tmp_path / "b.pt")
    torch.save({"ema": ONE, "model": {**ONE, "b": ONE["b"] + 1}}, tmp_path / "c.pt")
    torch.save({"a": ONE["a"]}, tmp_path / "d.pt")
    (tmp_path / "e.pt").write_bytes(b"damaged")
    a, b, c, d, e = (tmp_path / name for name in ("a.safetensors", "b.pt", "c.pt", "d.pt", "e.pt"))
    assert equal_weights(a, b)
    assert not equal_weights(a, c)
    assert equal_weights(c, c, key="ema")
    assert not equal_weights(a, d)
    assert not equal_weights(d, a)
    assert not equal_weights(a, e)


def test_of_large_files_only_the_beginning_is_read(tmp_path):
    """Files of holes, all but their first tensors."""
    paths = []
    for value in (1, 2):
        path = tmp_path / f"{value}.safetensors"
        count = 1 << 36
        header = {
            "0.weight": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "1.weight": {"dtype": "U8", "shape": [count - 1], "data_offsets": [1, count]},
        }
        text = json.dumps(header).encode()
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + bytes([value]))
            file.truncate(8 + len(text) + count)
        paths.append(path)
    assert not equal_weights(*paths)
