"""Files that could run code are refused, and nothing in them runs."""

from __future__ import annotations

import dataclasses
import enum
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mdtree.checkpoints import load_checkpoint, load_weights
from mdtree.exceptions import UnreadableError, UnsafeError

WEIGHTS = nn.Linear(3, 2).state_dict()


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
