"""Files that are small and would fill the memory, or never end, are refused before that."""

from __future__ import annotations

import copy
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mdtree.checkpoints import list_tensors, load_weights
from mdtree.datasets.files import from_file
from mdtree.exceptions import DataError, UnreadableError, UnsafeError
from mdtree.models import cnn
from mdtree.scanning import pickle_fault

WEIGHTS = nn.Linear(3, 2).state_dict()
NUMBER, SAVE, AGAIN = b"K\x01", b"q\x01", b"h\x01"
TWICE = SAVE + AGAIN + b"\x86"  # (x, x) of the x on top
HUGE = b"J\x00\x00\x00\x7f"  # 2**31 - 2**24


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def call(name: str, *arguments: bytes) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n(".encode() + b"".join(arguments) + b"tR"


HEX = b"c_codecs\nencode\nq\x00" + text("a" * 99) + text("utf-8") + b"\x86R" + SAVE
HEX += (b"h\x00" + AGAIN + text("hex_codec") + b"\x86R" + SAVE) * 40
LISTS = b"](" + NUMBER * 1000 + b"e" + (SAVE + b"](" + AGAIN * 1000 + b"e") * 3
SCALAR = call("torch._utils._rebuild_tensor_v2")  # what it holds is not known

BOMBS = {
    "bytearray of a length": call("builtins.bytearray", HUGE),
    "under its older name": call("__builtin__.bytearray", HUGE),
    "of what a call returns": call("builtins.bytearray", SCALAR),
    "called by another function": call(
        "torch._tensor._rebuild_from_type_v2", b"cbuiltins\nbytearray\n", b"N", HUGE + b"\x85", b"N"
    ),
    "text that doubles": HEX,
    "tensor of sizes": call("torch.Tensor", HUGE, HUGE),
    "tensor of nested lists": call("torch.FloatTensor", LISTS),
    "storage of a size": call("torch.FloatStorage", HUGE),
    "deep key": b"}" + NUMBER + b"\x85" * 1_000_000 + NUMBER + b"s",  # hashing it ends Python
    "endless key": b"}" + NUMBER + TWICE * 60 + NUMBER + b"s",
    "long keys": b"}(" + (NUMBER + TWICE * 15 + NUMBER) * 9 + b"u",
    "laughs": b"](" + NUMBER + TWICE * 60 + b"e",
    "called laughs": b"]" + (SAVE + b"](" + AGAIN * 2 + b"e") * 60 + b"(tR",
    "storage known by laughs": b"](" + text("storage") + NUMBER + TWICE * 12 + b"tQ",
    "storage known by a list": b"(" + text("storage") + b"]tQ",
}


def zipped(path: Path, pickled: bytes, packed: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + pickled + b".")
        archive.writestr("a/version", "3\n")


def legacy(path: Path, pickled: bytes) -> None:
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    whole = io.BytesIO(path.read_bytes())
    for _ in range(3):  # magic number, version, machine
        pickle.load(whole)
    path.write_bytes(whole.getvalue()[: whole.tell()] + b"\x80\x02" + pickled + b".")


def appended(path: Path, pickled: bytes) -> None:
    """A file of the older form that ends as an archive does: torch looks at its start."""
    legacy(path, pickled)
    end = io.BytesIO()
    with zipfile.ZipFile(end, "w") as archive:
        archive.writestr("a/data.pkl", b"N.")
    path.write_bytes(path.read_bytes() + end.getvalue())


FAULT = "(calls|changes|contains|declares|has|holds|names)"


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("write", [zipped, legacy, appended])
@pytest.mark.parametrize("suffix", [".pt", ".bin"])
def test_a_pickle_that_would_fill_the_memory_or_never_end_is_refused(tmp_path, bomb, write, suffix):
    path = tmp_path / f"x{suffix}"
    write(path, BOMBS[bomb])
    for read in (load_weights, list_tensors):
        with pytest.raises(UnsafeError, match=rf"was not loaded: it {FAULT}"):
            read(path)
    with pytest.raises(DataError, match=rf"was not read: it {FAULT}"):
        from_file(path)


def test_trust_lets_no_bomb_in(tmp_path):
    zipped(tmp_path / "x.pt", BOMBS["bytearray of a length"])
    with pytest.raises(UnsafeError, match="bytearray"):
        load_weights(tmp_path / "x.pt", trust=["builtins.bytearray"])


def test_what_torch_itself_writes_is_no_bomb(tmp_path):
    network = cnn(width=2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.zeros(1, 1, 8, 8)).sum().backward()
    optimizer.step()
    content = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "bytes": b"\xff\x00",
        "array": bytearray(b"\xff\x00"),
        "keys": {(1, ("a", 2)): {1, 2}, torch.float32: torch.Size([2, 3])},
        "empty": bytearray(),
    }
    for new in (True, False):
        torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
        with (tmp_path / "x.pt").open("rb") as file:
            assert pickle_fault(file) is None
        if new:
            tensors = load_weights(tmp_path / "x.pt", key="model").tensors
            assert tensors.keys() == network.state_dict().keys()


def test_a_tar_file_of_the_oldest_torch_is_not_opened(tmp_path):
    with tarfile.open(tmp_path / "x.pth.tar", "w") as archive:
        for name in ("pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = 9
            archive.addfile(entry, io.BytesIO(b"cos\nsystem\n"[:9]))
    with pytest.raises(UnreadableError, match="not weights"):
        load_weights(tmp_path / "x.pth.tar")


def deflated(path: Path) -> None:
    zipped(path, BOMBS["laughs"], zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", bytes(100 << 20))


def overlapping(path: Path) -> None:
    """Many entries that share their bytes, so that the file is small and what it holds is not."""
    zipped(path, NUMBER)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/data/0", bytes(1 << 16))
        share(archive, "a/data/0", 99)


def share(archive: zipfile.ZipFile, name: str, times: int) -> None:
    for number in range(times):
        entry = copy.copy(archive.getinfo(name))
        entry.filename = f"{number}-{name}"
        archive.filelist.append(entry)


def twice(path: Path) -> None:
    zipped(path, NUMBER)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a/data.pkl", b"N.")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (deflated, "entries are compressed"),
        (overlapping, "bytes would become"),
        (twice, "two entries"),
    ],
)
def test_an_archive_that_is_larger_than_its_file_is_not_unpacked(tmp_path, write, words):
    path = tmp_path / "x.pt"
    write(path)
    with pytest.raises(UnsafeError, match=words):
        load_weights(path)
    with pytest.raises(DataError, match=f"was not read: .*{words}"):
        from_file(path)


def test_arrays_that_would_fill_the_memory_are_not_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((2, 1 << 24), np.float32), y=np.zeros(2, np.int64))
    assert len(from_file(path)) == 2  # a small file of 128 MiB
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("z.npy", b"")
        share(archive, "x.npy", 9)
    with pytest.raises(DataError, match=r"bytes would become 1342\d{6}; .*numpy\.savez"):
        from_file(path)


def encrypted(path: Path) -> None:
    zipped(path, NUMBER)
    content = bytearray(path.read_bytes())
    for magic, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        for place in range(len(content)):
            if content[place : place + 4] == magic:
                content[place + flags] |= 1
    path.write_bytes(content)


def endless(path: Path) -> None:
    """Bytes of a length that no file has."""
    legacy(path, b"\x8e" + (2**62).to_bytes(8, "little"))


@pytest.mark.parametrize("write", [encrypted, endless])
def test_what_cannot_be_gone_through_is_damaged(tmp_path, write):
    path = tmp_path / "x.pt"
    write(path)
    with pytest.raises(UnreadableError, match=r"x\.pt is .*damaged"):
        load_weights(path)
    with pytest.raises(DataError, match="data file"):
        from_file(path)
