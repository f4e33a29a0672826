"""Hostile checkpoints: each is refused with its reason, and nothing of it happens.

Pickles that would run code are in test_checkpoint_refusal.py, those that would fill the memory and
archives in test_unpacking.py, links in test_checkpoint_place.py, indexes that lead out of their
folder and safetensors headers of 10 GB in test_checkpoint_reading.py.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict

import pytest
import torch
from conftest import rows_of
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoint import list_stored, load_checkpoint, load_weights
from mdtree.datasets.files import from_file
from mdtree.exceptions import MdtreeError, UnreadableError, UnsafeError

WEIGHTS = nn.Linear(3, 2).state_dict()


def test_numbers_that_the_file_does_not_hold_are_not_made(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)
    for read in (load_weights, list_stored):
        with pytest.raises(UnsafeError, match="and 4 bytes for it: save a contiguous copy"):
            read(path)


class Hung:
    """Pickled as a dictionary that has attributes."""

    def __init__(self, items, attributes):
        self.reduced = OrderedDict, (), attributes, None, iter(items.items())

    def __reduce__(self):
        return self.reduced


def test_attributes_hung_on_what_is_read_change_nothing(tmp_path):
    hidden = dict.fromkeys(("items", "keys", "values", "get", "detach", "to", "sum"), 3)
    weight = nn.Parameter(torch.ones(2, 3))
    vars(weight).update(hidden)
    torch.save(Hung({"weight": weight, "bias": WEIGHTS["bias"]}, hidden), tmp_path / "x.pt")
    checkpoint = load_checkpoint(tmp_path / "x.pt", nn.Linear(3, 2), name="x")
    assert torch.equal(torch.ones(2, 3), checkpoint.weights["weight"])


def header(entries: object, body: int = 8) -> bytes:
    said = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(said).to_bytes(8, "little") + said + bytes(body)


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "content",
    [
        header(b'{"' + b"a" * 99),
        header(b'{"a":' + b"[" * 100_000),
        header(b'{"a":' * 100_000),
        header({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, 12),
        header({"a": entry(0, 8, [2]), "b": entry(0, 8, [2])}),
        header({"a": entry(0, 80, [20])}),
        header({"a": entry(8, 0, [2])}),
        header({"a": entry(-8, 0, [2])}),
        header({"a": entry(0, 8, [2**62, 2**62])}),
        header({"a": entry(0, 8, [2**40])}),
        header({"a": entry(0, 4, [1])}),
        header({"a": entry(0, 8, [2], "F99")}),
        header({"a": 3}),
        header([1, 2]),
    ],
)
def test_a_header_of_safetensors_that_makes_no_sense_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    for read in (load_weights, list_stored):
        with pytest.raises(UnreadableError, match=r"x\.safetensors is "):
            read(path)


def test_names_without_end_do_not_fill_the_rows(mdtree, zoo):
    long = "n" * 3_000_000
    save_file({long: torch.zeros(1)}, zoo / "hot" / "seed-0.safetensors")
    torch.save({long: {"a": torch.zeros(1)}, "b": 1}, zoo / "cold" / "seed-2.pt")
    assert mdtree("measure", zoo, "--metrics", "error_rate").code == 1
    assert all(row.failure for row in rows_of(zoo / "rows.jsonl").values())
    assert (zoo / "rows.jsonl").stat().st_size < 50_000


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_what_never_ends_is_no_file_of_weights(tmp_path, mdtree, zoo, kind):
    path = zoo / "hot" / "x.pt"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for read in (load_weights, list_stored, from_file):
        with pytest.raises(MdtreeError, match=r"x\.pt cannot be read: it is a pipe or a device"):
            read(path)
    index = path.with_name("model.safetensors.index.json")
    path.rename(path.with_name("part.bin"))
    index.write_text(json.dumps({"weight_map": {"a": "part.bin"}}))
    with pytest.raises(UnreadableError, match=r"part\.bin cannot be read: it is a pipe"):
        load_checkpoint(index, nn.Linear(3, 2), name="x")
    index.unlink()
    assert mdtree("measure", zoo, "--metrics", "error_rate").code == 0
    group = {"name": "g", "files": ["hot/part.bin"]}
    recipe = (zoo / "mdtree.yaml").read_text() + f"groups: [{json.dumps(group)}]\n"
    (zoo / "mdtree.yaml").write_text(recipe)
    named = ["--recipe", zoo / "mdtree.yaml"]  # so that links may lead anywhere
    ran = mdtree("measure", zoo, "--metrics", "error_rate", *named)
    assert "it is a pipe or a device" in ran.err
