"""Hostile checkpoints: each is refused with its reason, and nothing of it happens.

Pickles that would run code and safetensors headers of 10 GB are in
checkpoints/test_safe_reading.py, those that would fill the memory and archives in scanning/; links,
indexes that lead out of their folder and tensors in two parts are in checkpoints/test_parts.py.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import warnings
import zipfile
from collections import Counter, OrderedDict

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from mdtree.checkpoints import list_tensors, load_checkpoint, load_weights
from mdtree.datasets.files import from_file
from mdtree.exceptions import MdtreeError, UnreadableError, UnsafeError
from tests.support.hostile import read_within
from tests.support.zoos import rows_of

WEIGHTS = nn.Linear(3, 2).state_dict()


def test_numbers_that_the_file_does_not_hold_are_not_made(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)
    for read in (load_weights, list_tensors):
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
    for read in (load_weights, list_tensors):
        with pytest.raises(UnreadableError, match=r"x\.safetensors is "):
            read(path)


def too_long() -> bytes:
    """An archive whose pickle ends behind the file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/version", "3\n")
        file.writestr("a/data.pkl", b"\x80\x02}.")
    whole = bytearray(buffer.getvalue())
    place = whole.rindex(b"PK\1\2")
    struct.pack_into("<2L", whole, place + 20, 170, 170)
    return bytes(whole)


def nested() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are in beta
        tensor = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    buffer = io.BytesIO()
    torch.save({"a": tensor}, buffer)
    return buffer.getvalue()


def saved(**how: object) -> bytes:
    buffer = io.BytesIO()
    torch.save({**WEIGHTS}, buffer, **how)
    return buffer.getvalue()


WHOLE, OLDER = saved(), saved(_use_new_zipfile_serialization=False)
DAMAGED = {
    "too-long.pt": too_long(),
    "nested.pt": nested(),
    "half.pt": WHOLE[: len(WHOLE) // 2],
    "name.pt": WHOLE.replace(b"data.pkl", b"data\xff\xfe\xfdl"),
    "place.pt": WHOLE.replace(b"PK\1\2", b"PK\1\3"),
    "cut.pt": OLDER[:-3],
    "no-text.pt": OLDER.replace(b"storage", b"\xff" * 7),
    "key.pt": OLDER.replace(b"weight", b"\xff" * 6),
    "half.safetensors": header({"a": entry(0, 8, [2])})[:-3],
    "letters.safetensors": header(b'{"\xff":{}}'),
    "number.safetensors": header(b'{"a":' + b"9" * 9999 + b"}"),
    "deep.safetensors": header(b'{"a":' + b"[" * 9999),
    "model.bin.index.json": b'{"weight_map": {"a": "\\ud800.bin"}}',
}


def test_a_damaged_file_does_not_end_a_run_over_many(tmp_path, mdtree):
    for name, content in DAMAGED.items():
        (tmp_path / name).write_bytes(content)
    long = {f"h.{'9' * 5000}.weight": torch.randn(20, 20), "a.weight": torch.randn(20, 20)}
    save_file(long, tmp_path / "long.safetensors")
    torch.save({"weight": torch.randn(20, 20)}, tmp_path / "whole.pt")
    ran = mdtree("weights", tmp_path, "--json")
    assert ran.code == 1
    content = json.loads(ran.out)
    assert {c["checkpoint"] for c in content["checkpoints"]} == {"long.safetensors", "whole.pt"}
    assert {note.partition(":")[0] for note in content["notes"]} == DAMAGED.keys()


RICH = {
    "model": WEIGHTS,
    "optimizer": torch.optim.AdamW(nn.Linear(3, 2).parameters()).state_dict(),
    "rest": (b"\xff", {1, 2}, (1, (2, "a")), torch.float16, torch.Size([2]), 1j, 2.5, 2**70),
    "tensors": [nn.Buffer(torch.ones(2)), nn.Parameter(torch.ones(2)), torch.ones(3).half()],
}
STEPS = b"()]}\x85\x86\x87tRbQNqh.uesaK\x81c"  # of pickles


def mutated(whole: bytes, draw: random.Random) -> bytes:
    content = bytearray(whole)
    for _ in range(draw.choice([1, 1, 2, 8])):
        place, other = draw.randrange(len(content)), draw.randrange(len(content))
        end = place + draw.randrange(9)
        match draw.randrange(4):
            case 0:
                content[place] ^= 1 << draw.randrange(8)
            case 1:
                content[place:end] = b""
            case 2:
                content[place:place] = content[other : other + draw.randrange(40)]
            case 3:
                content[place:place] = bytes(draw.choices(STEPS, k=3))
        content = content or bytearray(b"x")
    return bytes(content)


def rewritten(draw: random.Random) -> bytes:
    """An archive whose checksums fit, and whose pickle is another."""
    buffer, new = io.BytesIO(), io.BytesIO()
    torch.save(RICH, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(new, "w") as file:
        for name in old.namelist():
            content = old.read(name)
            file.writestr(name, mutated(content, draw) if name.endswith(".pkl") else content)
    return new.getvalue()


def test_whatever_becomes_of_honest_files_they_are_read_or_refused(tmp_path):
    draw, paths = random.Random(0), []
    older = io.BytesIO()
    torch.save(RICH, older, _use_new_zipfile_serialization=False)
    index = {"weight_map": {"weight": "a.safetensors", "bias": "b.safetensors"}}
    forms = {
        "zip.pt": lambda: mutated(WHOLE, draw),
        "rewritten.pt": lambda: rewritten(draw),
        "older.pt": lambda: mutated(older.getvalue(), draw),
        "x.safetensors": lambda: mutated(save(WEIGHTS), draw),
        "model.safetensors.index.json": lambda: mutated(json.dumps(index).encode(), draw),
    }
    for name, value in WEIGHTS.items():
        save_file({name: value}, tmp_path / f"{'a' if name == 'weight' else 'b'}.safetensors")
    for number in range(150):
        for name, write in forms.items():
            paths.append(tmp_path / f"{number}-{name}")
            paths[-1].write_bytes(write())
    kinds = Counter(line.split()[0] for line in read_within(500, *paths))
    assert kinds.keys() == {"read", "UnreadableError", "UnsafeError"}
    assert kinds.total() == 2 * len(paths)


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
    for read in (load_weights, list_tensors, from_file):
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
