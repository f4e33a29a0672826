"""Whatever is in a file, reading it gives its tensors or says what is wrong with it."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import hashlib
import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import file_digest, list_tensors, load_checkpoint, load_weights, parts_of
from mdtree.exceptions import MdtreeError, UnreadableError, UnsafeError

WEIGHTS = nn.Linear(3, 2).state_dict()


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_values_beside_the_weights_need_no_trust(tmp_path, zipped):
    beside = {
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "best": np.float64(0.9),
        "step": np.int64(3),
        "curve": np.arange(3.0),
        "when": dt.datetime.now(tz=dt.UTC),
        "losses": collections.defaultdict(list, train=[1.0]),
        "rest": {"t": (1, None, 2**70), "s": {1}, "b": b"x", "dtype": torch.float16},
    }
    content = {"model": WEIGHTS, **beside}
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    for trust in ([], ["argparse.Namespace", "numpy.dtype", "numpy.ndarray"]):
        assert WEIGHTS.keys() == load_weights(tmp_path / "x.pt", trust=trust).tensors.keys()


@pytest.mark.parametrize("zipped", [True, False])
def test_another_pickle_protocol_is_told(tmp_path, zipped):
    how = {"pickle_protocol": 4, "_use_new_zipfile_serialization": zipped}
    torch.save(WEIGHTS, tmp_path / "x.pt", **how)
    with pytest.raises(UnreadableError, match=r"pickle_protocol: .*plain torch.save"):
        load_weights(tmp_path / "x.pt")


WRITERS = {
    "zip": lambda path: torch.save({"model": WEIGHTS, "epoch": 3}, path),
    "legacy": lambda path: torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False),
    "safetensors": lambda path: save_file(WEIGHTS, path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_cut_anywhere_is_told(tmp_path, writer):
    path = tmp_path / "x"
    WRITERS[writer](path)
    whole = path.read_bytes()
    cuts = [*range(24), *range(24, len(whole), 41), len(whole) - 1]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises((UnreadableError, UnsafeError)) as error:
            load_weights(path)
        assert str(path) in str(error.value)
    if writer != "legacy":  # whose start is that of any pickle
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UnreadableError, match="truncated"):
            load_weights(path)


@pytest.mark.parametrize("writer", WRITERS)
def test_flipped_bytes_give_weights_or_an_error_of_ours(tmp_path, writer):
    path, draw = tmp_path / "x", random.Random(0)
    WRITERS[writer](path)
    whole = path.read_bytes()
    failed = 0
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        path.write_bytes(broken)
        try:
            load_checkpoint(path, nn.Linear(3, 2), name="x")
        except MdtreeError:
            failed += 1
    assert failed


def test_a_safetensors_header_of_10_gb_is_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((10 * 2**30).to_bytes(8, "little") + b'{"a":' + bytes(100))
    with pytest.raises(UnreadableError, match="its header needs 10737418240 bytes"):
        load_weights(path)
    with path.open("r+b") as file:
        file.truncate(8 + 10 * 2**30)  # a file with a hole: now the length is true
    with pytest.raises(UnreadableError, match=r"damaged safetensors file: .*[Hh]eader"):
        load_weights(path)


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    for writer in WRITERS.values():
        writer(Path("runs/x"))
        checkpoint = load_checkpoint(Path("runs/x"), nn.Linear(3, 2), name="x")
        assert all(torch.equal(WEIGHTS[key], checkpoint.weights[key]) for key in WEIGHTS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_paths_that_are_no_valid_text(tmp_path):
    for name, writer in WRITERS.items():
        writer(tmp_path / name)
        path = (tmp_path / name).rename(tmp_path / os.fsdecode(b"w\xff8"))
        assert all(torch.equal(WEIGHTS[k], t) for k, t in load_weights(path).tensors.items())
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(UnreadableError, match="damaged"):
            load_weights(path)


def test_a_missing_file_and_a_directory(tmp_path):
    for path, words in {tmp_path: "Is a directory", tmp_path / "x.pt": "No such file"}.items():
        for read in (load_weights, lambda p: load_checkpoint(p, nn.Linear(3, 2), name="x")):
            with pytest.raises(UnreadableError, match=f"{path} cannot be read: {words}"):
                read(path)


def sharded(folder: Path, weight_map: object) -> Path:
    save_file({"weight": WEIGHTS["weight"]}, folder / "a.safetensors")
    torch.save({"bias": WEIGHTS["bias"]}, folder / "b.bin")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


def test_parts_of_either_kind_make_one_checkpoint(tmp_path):
    path = sharded(tmp_path, {"weight": "a.safetensors", "bias": "b.bin"})
    assert [path, tmp_path / "a.safetensors", tmp_path / "b.bin"] == parts_of(path)
    weights = load_checkpoint(path, nn.Linear(3, 2), name="x").weights
    assert all(torch.equal(WEIGHTS[key], weights[key]) for key in WEIGHTS)


@pytest.mark.parametrize(
    "part",
    [
        *("../x.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..\\x.safetensors"),
        *("..", ".", "", "a\0.bin", "model.safetensors.index.json", "x.pt"),
    ],
)
def test_an_index_cannot_lead_out_of_its_folder(tmp_path, part):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for outside in (tmp_path, folder / "sub"):
        save_file(WEIGHTS, outside / "x.safetensors")
    path = sharded(folder, {"weight": "a.safetensors", "bias": part})
    for use in (load_weights, file_digest, parts_of):
        with pytest.raises(UnsafeError, match="not weights files in its own folder: "):
            use(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"weight_map": 3}',
        '{"weight_map": {"a": 3}}',
        "\udcff",
        "[" * 9999,
        '{"weight_map": {"a": "\\ud800.bin"}}',
        '{"weight_map": {"a": "b.bin"}, "b": ' + "9" * 9999,
    ],
)
def test_a_broken_index_is_told(tmp_path, content):
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnreadableError, match="is not an index of weights files"):
        load_weights(path)


def test_a_missing_or_broken_part_is_told_by_its_name(tmp_path):
    path = sharded(tmp_path, {"weight": "a.safetensors", "bias": "c.bin"})
    for use in (load_weights, file_digest, lambda p: load_checkpoint(p, nn.Linear(3, 2), name="x")):
        with pytest.raises(UnreadableError, match=r"c\.bin cannot be read: No such file"):
            use(path)
    (tmp_path / "c.bin").write_text("no weights")
    with pytest.raises(UnreadableError, match=r"c\.bin is a text file"):
        load_weights(path)
    torch.save([1.0], tmp_path / "c.bin")
    with pytest.raises(UnreadableError, match=r"c\.bin does not contain named weights"):
        load_weights(path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_each_tensor_lies_in_one_part(tmp_path, suffix):
    """The index says in which; what it does not name is taken, as transformers does."""
    weight, bias, more = WEIGHTS["weight"], WEIGHTS["bias"], torch.ones(1)
    ways = [
        ({"a": {"weight": weight}, "b": {"bias": bias}}, None),
        ({"a": {"weight": weight}, "b": {"bias": bias, "more": more}}, None),
        ({"a": {"weight": weight}, "b": {"bias": bias, "weight": weight}}, "b.* contains weight"),
        ({"a": {"weight": weight, "bias": bias}, "b": {"bias": bias}}, "a.* contains bias"),
        ({"a": {"bias": bias}, "b": {"weight": weight}}, "a.* lacks weight"),
        ({"a": {"weight": weight}, "b": {"more": more}}, "b.* lacks bias"),
        ({p: {n: bias, "more": more} for p, n in {"a": "weight", "b": "bias"}.items()}, "more"),
    ]
    path = tmp_path / f"model.{suffix}.index.json"
    places = {"weight": f"a.{suffix}", "bias": f"b.{suffix}"}
    path.write_text(json.dumps({"weight_map": places}))
    for parts, words in ways:
        for part, content in parts.items():
            (save_file if suffix == "safetensors" else torch.save)(
                content, tmp_path / f"{part}.{suffix}"
            )
        for read in (load_weights, list_tensors):
            if words is not None:
                with pytest.raises(UnreadableError, match=words):
                    read(path)
        if words is None:
            names = {name for content in parts.values() for name in content}
            assert names == load_weights(path).tensors.keys()
            assert names == {stored.name for stored in list_tensors(path).tensors}


def test_the_digest_is_that_of_sha256sum_and_changes_with_every_part(tmp_path):
    whole = tmp_path / "x.pt"
    torch.save(WEIGHTS, whole)
    expected = hashlib.sha256(whole.read_bytes()).hexdigest()
    assert expected == file_digest(whole)
    assert expected == load_checkpoint(whole, nn.Linear(3, 2), name="x").sha256
    path = sharded(tmp_path, {"weight": "a.safetensors", "bias": "b.bin"})
    digests = {file_digest(path)}
    for part in ("a.safetensors", "b.bin", path.name):
        with (tmp_path / part).open("ab") as file:
            file.write(b" ")
        digests.add(file_digest(path))
    assert len(digests) == 4
