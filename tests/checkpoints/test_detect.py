from __future__ import annotations

import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from mdtree.checkpoints.detect import Kind, kind_of, looks_like_weights
from mdtree.exceptions import UnreadableError, UnsafeError

WEIGHTS = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.zeros(3)}


def written(write, *args, **kwargs) -> bytes:
    buffer = io.BytesIO()
    write(buffer, *args, **kwargs)
    return buffer.getvalue()


def torch_saved(content=WEIGHTS, **kwargs) -> bytes:
    return written(lambda file: torch.save(content, file, **kwargs))


def zipped(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    return buffer.getvalue()


KINDS = {
    "safetensors": (save(WEIGHTS), Kind.SAFETENSORS),
    "zip": (torch_saved(), Kind.TORCH),
    "legacy": (torch_saved(_use_new_zipfile_serialization=False), Kind.LEGACY),
    "legacy of protocol 4": (
        torch_saved(_use_new_zipfile_serialization=False, pickle_protocol=4),
        Kind.LEGACY,
    ),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("suffix", ["", ".pt", ".safetensors", ".html"])
def test_the_content_tells_the_kind_whatever_the_suffix(tmp_path, name, suffix):
    content, kind = KINDS[name]
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert kind is kind_of(path)


FOREIGN = {
    "empty": (b"", "is empty"),
    "text": (b"epoch 1: loss 2.3\n", "text file"),
    "text that is cut inside a letter": (b"a" + "ä".encode() * 50, "text file"),
    "text with a brace where safetensors have one": (b"weights {\n  a: 1\n}\n", "text file"),
    "json": (b'{"weight": [1, 2]}', "text file"),
    "old pickle": (pickle.dumps({"a": 1}, protocol=0), "text file"),
    "html": (b"<!DOCTYPE html><html></html>", "HTML"),
    "html after blank lines": (b"\xef\xbb\xbf\r\n\n <html>", "HTML"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(40), "GGUF"),
    "gzip": (gzip.compress(save(WEIGHTS)), "gzip; unpack it"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "npz": (written(np.savez, a=np.ones(3)), "NumPy archive"),
    "npy": (written(np.save, np.ones(3)), "NumPy array"),
    "other zip": (zipped(["a/b.txt"]), "is a zip archive, but not one"),
    "empty zip": (zipped([]), "unknown kind"),
    "zeros": (bytes(100), "unknown kind"),
    "half of a zip": (torch_saved()[:-30], "truncated or damaged"),
    "start of safetensors": (save(WEIGHTS)[:20], "truncated safetensors"),
    "10 GB of header": ((10 * 2**30).to_bytes(8, "little") + b'{"a":1}', "its header needs 107374"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_holds_no_weights_is_called_by_its_name(tmp_path, name, suffix):
    content, words = FOREIGN[name]
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as error:
        kind_of(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


# tracing is deprecated, and archives of it are still around
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_refused_as_code(tmp_path):
    for name, make in {
        "trace": lambda: torch.jit.trace(nn.Linear(2, 3), torch.ones(1, 2)),
        "script": lambda: torch.jit.script(nn.Linear(2, 3)),
    }.items():
        torch.jit.save(make(), tmp_path / name)
        with pytest.raises(UnsafeError, match=r"TorchScript archive.*save the state_dict"):
            kind_of(tmp_path / name)


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_a_pickle_that_torch_did_not_write_is_refused(tmp_path, protocol):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"weight": [1.0]}, protocol=protocol))
    expected = UnreadableError if protocol == 1 else UnsafeError  # 1 has no mark of its own
    with pytest.raises(expected):
        kind_of(path)


def test_a_directory_and_a_missing_file_cannot_be_read(tmp_path):
    with pytest.raises(UnreadableError, match="cannot be read: Is a directory"):
        kind_of(tmp_path)
    with pytest.raises(UnreadableError, match="cannot be read: No such file"):
        kind_of(tmp_path / "nothing.pt")


@pytest.mark.parametrize(
    "name",
    [
        *("a.pt", "a.PTH", "a.pth.tar", "a.pkl", "a.bin", "epoch=3-step=9.ckpt", "a.safetensors"),
        *("optimizer-sgd.pt", "scheduler_free_seed0.pt"),
    ],
)
def test_names_that_are_meant_as_weights(tmp_path, name):
    """Also broken ones: they are told, not passed over."""
    (tmp_path / name).write_bytes(b"broken")
    assert looks_like_weights(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        *("optimizer.pt", "scheduler.pt", "training_args.bin", "rng_state.pth", "rng_state_0.pth"),
        *("scaler.pt", "random_states_0.pkl", "optimizer_1.bin", ".hidden.pt", "a.csv", "log"),
    ],
)
def test_names_of_what_lies_beside_weights(tmp_path, name):
    (tmp_path / name).write_bytes(torch_saved() if name != "log" else b"some text")
    assert not looks_like_weights(tmp_path / name)


@pytest.mark.parametrize("name", KINDS)
def test_without_a_suffix_the_content_decides(tmp_path, name):
    (tmp_path / "checkpoint").write_bytes(KINDS[name][0])
    assert looks_like_weights(tmp_path / "checkpoint")
