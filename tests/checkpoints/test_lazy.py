"""What a file holds is known before its numbers are read, and they are read one by one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mdtree.checkpoints import in_memory_tensors, list_tensors, load_weights
from mdtree.exceptions import UnreadableError, UnsafeError

WEIGHTS = {"a.weight": torch.randn(3, 4), "b.bias": torch.arange(3), "c": torch.randn(2, 1).half()}


def sharded(path, suffix="safetensors", weights=None):
    """Write a file for each tensor, and the index."""
    weights, names = weights or WEIGHTS, {}
    for number, (name, tensor) in enumerate(weights.items()):
        names[name] = f"part-{number}.{suffix}"
        write = save_file if suffix == "safetensors" else torch.save
        write({name: tensor}, path.with_name(names[name]))
    index = path.with_name(f"model.{suffix}.index.json")
    index.write_text(json.dumps({"weight_map": names}))
    return index


def written(write):
    def at(path):
        write(path)
        return path

    return at


WRITERS = {
    "safetensors": written(lambda path: save_file(WEIGHTS, path)),
    "zip": written(lambda path: torch.save(WEIGHTS, path)),
    "legacy": written(lambda path: torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)),
    "nested": written(lambda path: torch.save({"epoch": 3, "state_dict": WEIGHTS}, path)),
    "shards": sharded,
    "bin shards": lambda path: sharded(path, "bin"),
}


def header(path, entries, size):
    """Write a safetensors file by hand: its header, and so many zeros."""
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + size)
    return path


@pytest.mark.parametrize("writer", WRITERS)
def test_every_way_of_storing_gives_names_sizes_types_and_numbers(tmp_path, writer):
    listing = list_tensors(WRITERS[writer](tmp_path / "x"))
    assert listing.notes == ()
    assert WEIGHTS.keys() == {stored.name for stored in listing.tensors}
    for stored in listing.tensors:
        tensor = WEIGHTS[stored.name]
        assert (tuple(tensor.shape), tensor.dtype) == (stored.sizes, stored.dtype)
        assert (stored.same_as, stored.fault) == (None, None)
        assert torch.equal(tensor, stored.load())
        assert torch.equal(tensor, stored.load())  # once more


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("write", [save_file, torch.save])
def test_prefixes_of_wrappers_come_off(tmp_path, prefix, write):
    write({prefix + name: tensor for name, tensor in WEIGHTS.items()}, tmp_path / "x")
    tensors = {stored.name: stored.load() for stored in list_tensors(tmp_path / "x").tensors}
    assert WEIGHTS.keys() == tensors.keys()
    assert all(torch.equal(WEIGHTS[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("write", [save_file, torch.save])
def test_the_count_of_an_averaged_model_is_no_weight(tmp_path, write):
    write(AveragedModel(nn.Linear(3, 2)).state_dict(), tmp_path / "x")
    assert {"weight", "bias"} == {stored.name for stored in list_tensors(tmp_path / "x").tensors}


def test_one_entry_of_several_on_request(tmp_path):
    other = {"d": torch.ones(2)}
    torch.save({"model": WEIGHTS, "ema": other, "epoch": 3}, tmp_path / "x")
    first = list_tensors(tmp_path / "x")
    assert [stored.name for stored in first.tensors] == list(WEIGHTS)
    assert first.notes == ("weights of 'model'; the file also contains ema",)
    asked = list_tensors(tmp_path / "x", key="ema")
    assert [stored.name for stored in asked.tensors] == ["d"]
    save_file(WEIGHTS, tmp_path / "y")
    for path in ("x", "y"):
        with pytest.raises(UnreadableError, match="has no entry 'emo'"):
            list_tensors(tmp_path / path, key="emo")


def test_trust_is_that_of_reading(tmp_path):
    for path in (tmp_path / "x", tmp_path / "part-0.bin"):
        torch.save({"state_dict": WEIGHTS, "half": Fraction(1, 2)}, path)
    refused = []
    for read in (list_tensors, load_weights):
        with pytest.raises(UnsafeError, match=r"fractions\.Fraction") as error:
            read(tmp_path / "x")
        refused.append(str(error.value))
    assert refused[0] == refused[1]
    listing = list_tensors(tmp_path / "x", trust=["fractions.Fraction"])
    assert [stored.name for stored in listing.tensors] == list(WEIGHTS)
    index = tmp_path / "model.bin.index.json"
    index.write_text('{"weight_map": {"a": "part-0.bin"}}')
    with pytest.raises(UnsafeError, match=r"fractions\.Fraction"):
        list_tensors(index)


@pytest.mark.parametrize("writer", WRITERS)
def test_damage_is_told_with_the_file(tmp_path, writer):
    path = WRITERS[writer](tmp_path / "x")
    part = next((p for p in sorted(tmp_path.glob("part-*"))), path)
    whole = part.read_bytes()
    for cut in [0, 4, 9, 40, len(whole) // 2, len(whole) - 1]:
        part.write_bytes(whole[:cut])
        with pytest.raises((UnreadableError, UnsafeError), match=re.escape(str(part))):
            list_tensors(path)
    part.unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        list_tensors(path)


def test_what_happens_to_the_file_after_it_was_listed_is_told(tmp_path):
    path = tmp_path / "x"
    save_file(WEIGHTS, path)
    stored = next(s for s in list_tensors(path).tensors if s.name == "a.weight")
    assert torch.equal(WEIGHTS["a.weight"], stored.load())
    whole = path.read_bytes()
    for content in (whole[:-1], b"", whole + b" ", whole[::-1]):
        path.write_bytes(content)
        os.utime(path, (1, 1))  # clocks of file systems are slow
        with pytest.raises(UnreadableError, match=f"{path} was changed while it was being read"):
            stored.load()
    path.unlink()
    with pytest.raises(UnreadableError, match=f"{path} cannot be read: No such file"):
        stored.load()


def test_what_is_done_to_a_tensor_is_not_done_to_the_file(tmp_path):
    path = tmp_path / "x"
    save_file(WEIGHTS, path)
    path.chmod(0o444)
    list_tensors(path).tensors[0].load().zero_()
    assert torch.equal(WEIGHTS["a.weight"], list_tensors(path).tensors[0].load())


def test_a_file_larger_than_memory_is_listed(tmp_path):
    big = 4 * 10**11
    entries = {
        "big": {"dtype": "F32", "shape": [10**6, 10**5], "data_offsets": [0, big]},
        "small": {"dtype": "F32", "shape": [2], "data_offsets": [big, big + 8]},
    }
    try:
        path = header(tmp_path / "x", entries, big + 8)  # a file with a hole
    except OSError:
        pytest.skip("the file system has no files with holes")
    first, second = list_tensors(path).tensors
    assert (first.name, first.sizes) == ("big", (10**6, 10**5))
    assert second.load().tolist() == [0, 0]


@pytest.mark.parametrize("write", [lambda p: save_file({}, p), lambda p: torch.save({}, p)])
def test_a_file_without_tensors_is_told(tmp_path, write):
    write(tmp_path / "x")
    with pytest.raises(UnreadableError, match=r"x contains (no tensors|nothing, but no weights)"):
        list_tensors(tmp_path / "x")
    (tmp_path / "x.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(UnreadableError, match="contains no tensors"):
        list_tensors(tmp_path / "x.safetensors.index.json")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("writer", WRITERS)
def test_paths_that_are_no_valid_text(tmp_path, writer):
    folder = tmp_path / os.fsdecode(b"w\xff8")
    (tmp_path / "in").mkdir()
    path = folder / WRITERS[writer](tmp_path / "in" / "x").name
    (tmp_path / "in").rename(folder)
    tensors = {stored.name: stored.load() for stored in list_tensors(path).tensors}
    assert all(torch.equal(WEIGHTS[name], tensors[name]) for name in WEIGHTS)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_the_state_of_an_optimiser_is_told(tmp_path, kind):
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.1)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "x")
    for key in (None, "state"):
        with pytest.raises(
            UnreadableError, match="x contains the state of an optimizer, not weights"
        ):
            list_tensors(tmp_path / "x", key=key)


def test_every_type_that_safetensors_knows_is_named(tmp_path):
    names = "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 bfloat16 float32"
    names += " float64 complex64 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz"
    tensors = {name: torch.zeros(2, 3).to(getattr(torch, name)) for name in names.split()}
    save_file(tensors, tmp_path / "x")
    for stored in list_tensors(tmp_path / "x").tensors:
        assert (stored.dtype, stored.fault) == (tensors[stored.name].dtype, None)
    for code, size in {"F8_E8M0": 4, "F4": 2, "F6_E2M3": 3}.items():
        entry = {"dtype": code, "shape": [2, 2], "data_offsets": [0, size]}
        (stored,) = list_tensors(header(tmp_path / "y", {"x": entry}, size)).tensors
        assert (stored.sizes, stored.fault) == ((2, 2), f"{code}: packed or scaled")


WALK = """
import sys
from pathlib import Path
import torch
from mdtree.checkpoints import list_tensors
from mdtree.spectra.eigenvalues import gram

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

torch.set_num_threads(1)
gram(torch.ones(4096, 4096)[:, :256])  # what linear algebra takes for itself
before, total = peak(), 0.0
for stored in list_tensors(Path(sys.argv[1])).tensors:
    total += float(gram(stored.load()[:, :256]).trace())
print(peak() - before, total)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_checkpoint_of_2_gb_is_walked_through_in_the_memory_of_a_tensor(tmp_path):
    if shutil.disk_usage(tmp_path).free < 3 * 2**30:
        pytest.skip("less than 3 GB of disk are free")
    w, count = torch.randn(4096, 4096), 32
    path = sharded(
        tmp_path / "x", weights=dict.fromkeys(map("layers.{}.weight".format, range(count)), w)
    )
    done = subprocess.run(
        [sys.executable, "-c", WALK, path], capture_output=True, text=True, check=True
    )
    for part in tmp_path.glob("part-*"):
        part.unlink()  # pytest keeps folders
    grown, total = map(float, done.stdout.split())
    assert total == pytest.approx(count * float(w[:, :256].double().square().sum()), rel=1e-9)
    assert grown * 1024 < 2.5 * w.nbytes


def test_a_number_of_thousands_of_digits_in_a_name_is_a_number(tmp_path):
    """Python converts none of more than 4,300 digits."""
    names = ["h.2.weight", "h.10.weight", f"h.{'9' * 5000}.weight", f"h.1{'0' * 5000}.weight"]
    save_file({name: torch.ones(2) for name in sorted(names)}, tmp_path / "x.safetensors")
    assert names == [stored.name for stored in list_tensors(tmp_path / "x.safetensors").tensors]


def test_tied_tensors_are_known_by_the_first_name(tmp_path):
    w = torch.randn(3, 3)
    tensors = {"a": w, "b": w, "t": w.T, "part": w[:2], "same": w.clone(), "c": w[:]}
    tensors |= {"none": torch.ones(0, 3), "nothing": torch.ones(0, 3)}
    expected = {**dict.fromkeys(tensors), "b": "a", "c": "a"}
    torch.save(tensors, tmp_path / "x")
    for listed in (in_memory_tensors(tensors), list_tensors(tmp_path / "x").tensors):
        assert expected == {stored.name: stored.same_as for stored in listed}


def test_what_holds_no_plain_numbers_is_known_by_its_fault():
    meta, sparse = torch.ones(3, 4, device="meta"), torch.eye(3).to_sparse()
    listed = {s.name: s for s in in_memory_tensors({"a": meta, "b": meta.clone(), "c": sparse})}
    faults = dict.fromkeys("ab", "on the meta device, without values") | {"c": "sparse"}
    assert faults == {name: stored.fault for name, stored in listed.items()}
    assert {None} == {stored.same_as for stored in listed.values()}


def test_parameters_are_numbers_without_gradients(tmp_path):
    torch.save(dict(nn.Linear(3, 2).named_parameters()), tmp_path / "x")
    tensors = [stored.load() for stored in list_tensors(tmp_path / "x").tensors]
    assert [tensor.requires_grad for tensor in tensors] == [False, False]


def test_layers_come_in_order_of_depth_though_safetensors_sorts_by_name(tmp_path):
    names = ["patch_embed.proj.weight", "pos²", *(f"blocks.{n}.mlp.c_fc.weight" for n in range(12))]
    names += ["norm.weight", "fc.weight", "head.weight"]
    weights = {name: torch.ones(2) for name in reversed(names)}
    save_file(weights, tmp_path / "x")
    listed = [stored.name for stored in list_tensors(tmp_path / "x").tensors]
    assert [n for n in listed if n != "pos²"] == [n for n in names if n != "pos²"]
    torch.save(weights, tmp_path / "y")  # which keeps their order
    assert [stored.name for stored in list_tensors(tmp_path / "y").tensors] == list(weights)
