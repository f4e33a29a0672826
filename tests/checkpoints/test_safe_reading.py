"""Reading a file gives its tensors or says what is wrong with it, and nothing in it runs."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime as dt
import enum
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import file_digest, load_checkpoint, load_weights, safe_reading
from mdtree.checkpoints.safe_reading import read_with_digest
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


# files that could run code


@dataclasses.dataclass
class Config:
    width: int = 8


class Stage(enum.Enum):
    LAST = 1


class Options(dict):
    """A dictionary with attributes, as many configuration packages have one."""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)


CONFIG, STAGE, OPTIONS = (f"{__name__}.{name}" for name in ("Config", "Stage", "Options"))


class Payload:
    """Runs a function when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def payloads(path: Path) -> dict[str, Payload]:
    """Ways to create a file while a pickle is read."""
    return {
        "system": Payload(os.system, f"touch {path}"),
        "eval": Payload(eval, f"open({str(path)!r}, 'w').close()"),
        "exec": Payload(exec, f"open({str(path)!r}, 'w').close()"),
        "call": Payload(subprocess.call, ["touch", str(path)]),
    }


FORMS = {
    "zip": torch.save,
    "legacy": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
    "text pickle": lambda content, path: path.write_bytes(pickle.dumps(content, protocol=0)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", payloads(Path("x")))
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path, form, kind, monkeypatch):
    victim, path = tmp_path / "victim", tmp_path / "x.pt"
    payload = payloads(victim)[kind]
    pickle.loads(pickle.dumps(payload))
    assert victim.exists(), "the payload works"
    victim.unlink()
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    FORMS[form]({"state_dict": WEIGHTS, "extra": payload}, path)
    with pytest.raises((UnsafeError, UnreadableError)) as error:
        load_checkpoint(path, nn.Linear(3, 2), name="x", trust=[CONFIG])
    assert not victim.exists()
    assert "--trust" not in str(error.value)
    expected = UnreadableError if form == "text pickle" else UnsafeError
    assert expected is type(error.value)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_trusted_name_runs_nothing_even_if_it_is_a_function(tmp_path, form):
    victim, path = tmp_path / "victim", tmp_path / "x.pt"
    FORMS[form]({"model": WEIGHTS, "extra": payloads(victim)["eval"]}, path)
    assert WEIGHTS.keys() == load_weights(path, trust=["builtins.eval"]).tensors.keys()
    FORMS[form]({"model": WEIGHTS, "extra": payloads(victim)["system"]}, path)
    with pytest.raises(UnsafeError, match=r"posix\.system"):  # torch admits nothing of os
        load_weights(path, trust=["posix.system", "os.system"])
    assert not victim.exists()


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_trust_admits_the_named_classes_and_no_others(tmp_path, form):
    path = tmp_path / "x.pt"
    options = Options(lr=0.1)
    options.note = "mine"
    FORMS[form](
        {"model": WEIGHTS, "config": Config(), "stage": Stage.LAST, "options": options}, path
    )
    for trust in ([], ["Config"], [CONFIG, STAGE], [CONFIG, f"{STAGE}s", OPTIONS], [__name__]):
        with pytest.raises(UnsafeError, match=r"could run code.*nothing was loaded"):
            load_weights(path, trust=trust)
    loaded = load_weights(path, trust=[CONFIG, STAGE, OPTIONS])
    assert all(torch.equal(WEIGHTS[key], loaded.tensors[key]) for key in WEIGHTS)


def test_weights_in_a_trusted_kind_of_dictionary_are_found(tmp_path):
    torch.save({"model": Options(WEIGHTS)}, tmp_path / "x.pt")
    with pytest.raises(UnsafeError, match=OPTIONS):
        load_weights(tmp_path / "x.pt")
    assert WEIGHTS.keys() == load_weights(tmp_path / "x.pt", trust=[OPTIONS]).tensors.keys()


def test_the_error_names_what_would_have_to_be_trusted(tmp_path):
    torch.save({"model": WEIGHTS, "config": Config()}, tmp_path / "x.pt")
    with pytest.raises(UnsafeError, match=f"add --trust {CONFIG} to skip them"):
        load_weights(tmp_path / "x.pt")


def test_a_class_of_the_training_script_can_be_trusted(tmp_path, monkeypatch):
    """Scripts save as `__main__`, and that script is not what runs now."""
    main = sys.modules["__main__"]
    script_config = dataclasses.make_dataclass("Options", ["lr"])
    script_config.__module__ = "__main__"
    with monkeypatch.context() as patch:
        patch.setattr(main, "Options", script_config, raising=False)
        torch.save({"model": WEIGHTS, "options": script_config(0.1)}, tmp_path / "x.pt")
    with pytest.raises(UnsafeError, match=r"--trust __main__\.Options"):
        load_weights(tmp_path / "x.pt")
    loaded = load_weights(tmp_path / "x.pt", trust=["__main__.Options"])
    assert WEIGHTS.keys() == loaded.tensors.keys()


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_whole_modules_are_refused(tmp_path, form):
    words = "contains a whole pickled module .*save model.state_dict"
    FORMS[form](nn.Sequential(nn.Linear(3, 2)), tmp_path / "torch.pt")
    FORMS[form]({"model": nn.Linear(3, 2)}, tmp_path / "inside.pt")
    for name in ("torch.pt", "inside.pt"):
        with pytest.raises(UnsafeError, match=words):
            load_weights(tmp_path / name)
    FORMS[form](Net(), tmp_path / "own.pt")
    with pytest.raises(UnsafeError, match=words if form == "zip" else f"{Net.__module__}.Net"):
        load_weights(tmp_path / "own.pt")


def test_what_torch_admits_is_as_before_after_reading(tmp_path):
    before = sorted(map(str, torch.serialization.get_safe_globals()))  # torch 2.10 has no order
    torch.save({"model": WEIGHTS, "config": Config()}, tmp_path / "x.pt")
    load_weights(tmp_path / "x.pt", trust=[CONFIG])
    with pytest.raises(UnsafeError):
        load_weights(tmp_path / "x.pt")
    assert before == sorted(map(str, torch.serialization.get_safe_globals()))


@pytest.mark.parametrize("write", [save_file, torch.save], ids=["safetensors", "torch"])
def test_the_digest_is_that_of_the_content(tmp_path, write):
    path = tmp_path / "seed-0"
    write(WEIGHTS, path)
    content, sha256 = read_with_digest(path)
    assert sha256 == file_digest(path)
    assert all(torch.equal(content[name], tensor) for name, tensor in WEIGHTS.items())


def test_a_safetensors_file_that_is_overwritten_meanwhile_is_hashed_as_it_was_read(
    tmp_path, monkeypatch
):
    path = tmp_path / "seed-0.safetensors"
    save_file(WEIGHTS, path)
    before = file_digest(path)
    parse = safe_reading.load

    def overwritten(content):
        save_file({"other": torch.zeros(9)}, path)
        return parse(content)

    monkeypatch.setattr(safe_reading, "load", overwritten)
    content, sha256 = read_with_digest(path)
    assert (sha256, content.keys()) == (before, WEIGHTS.keys())
    assert sha256 != file_digest(path)


def test_a_torch_file_that_is_overwritten_meanwhile_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "seed-0.pt"
    torch.save(WEIGHTS, path)
    parse = torch.load

    def overwritten(*args, **kwargs):
        content = parse(*args, **kwargs)
        torch.save({"other": torch.zeros(9)}, path)
        return content

    monkeypatch.setattr(torch, "load", overwritten)
    with pytest.raises(UnreadableError, match="changed while it was being read"):
        read_with_digest(path)
