"""Archives that one reader sees in one way and another in another, and damaged ones."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
import torch

from mdtree.checkpoints import list_tensors, load_checkpoint, load_weights
from mdtree.datasets.files import from_file
from mdtree.exceptions import DataError, UnreadableError, UnsafeError
from tests.support.hostile import HUGE, WEIGHTS, archive, called, text, weights

EVIL = weights(called("builtins.bytearray", HUGE))
GOOD = b"}" + text("n") + text("n" * (len(EVIL) - 13)) + b"s"  # equally long
END, PLACE, END_64 = map(struct.Struct, ("<4s4H2LH", "<4sLQL", "<4sQ2H2L4Q"))


def saved(content: object = WEIGHTS, **how: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def twins(*pickles: bytes, names: tuple[str, ...] = ("a/data.pkl", "a/DATA.PKL")) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, pickled in zip(names, pickles, strict=False):
            file.writestr(name, b"\x80\x02" + pickled + b".")
        file.writestr("a/version", "3\n")
    return buffer.getvalue()


def two_ends(one: bytes, other: bytes) -> bytes:
    """A file whose last end of 64 bits is that of `other`, and that names the end of `one`."""
    whole, ends = bytearray(), []
    for content in (one, other):
        _, _, _, _, count, length, directory, _ = END.unpack(content[-END.size :])
        start = len(whole)
        whole += content[: -END.size]
        place = start + directory
        for _ in range(count):  # each names the place of its entry
            (entry,) = struct.unpack_from("<L", whole, place + 42)
            struct.pack_into("<L", whole, place + 42, entry + start)
            place += 46 + sum(struct.unpack_from("<3H", whole, place + 28))
        ends.append(len(whole))
        whole += END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start + directory)
    whole += PLACE.pack(b"PK\6\7", 0, ends[0], 1)
    return bytes(whole + END.pack(b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0))


def patched(whole: bytes, magic: bytes, place: int, new: bytes) -> bytes:
    start = whole.index(magic) + place
    return whole[:start] + new + whole[start + len(new) :]


SEEN_IN_TWO_WAYS = {
    "a twin in capitals": twins(GOOD, EVIL),
    "the twin first": twins(EVIL, GOOD),
    "only in capitals": twins(EVIL, names=("a/DATA.PKL",)),
    "a twin in another folder": twins(GOOD, EVIL, names=("a/data.pkl", "b/data.pkl")),
    "a name that a zero byte ends": twins(GOOD, EVIL, names=("a/data.pkl", "a/data.pkl_x")).replace(
        b"data.pkl_x", b"data.pkl\0x"
    ),
    "an archive before": archive(EVIL) + archive(GOOD),
    "two ends of 64 bits": two_ends(archive(EVIL), archive(GOOD)),
    "the other way round": two_ends(archive(GOOD), archive(EVIL)),
    "a comment": archive(GOOD)[:-2] + b"\x16\0" + archive(EVIL)[-22:],
    "bytes behind": saved() + bytes(9),
    "bytes before": saved()[:4] + bytes(9) + saved(),
    "another name before the entry": patched(archive(GOOD), b"PK\3\4", 30, b"a/data.pkx"),
    "another size before the entry": patched(archive(GOOD), b"PK\3\4", 18, b"\1"),
    "another number of entries": patched(archive(GOOD), b"PK\5\6", 8, b"\1\0\1\0"),
}


@pytest.mark.parametrize("kind", SEEN_IN_TWO_WAYS)
def test_an_archive_that_two_readers_see_in_two_ways_is_refused(tmp_path, kind):
    path = tmp_path / "x.pt"
    path.write_bytes(SEEN_IN_TWO_WAYS[kind])
    refused = r"x\.pt (was not loaded|was not written by torch\.save|is a )"
    for read in (load_weights, list_tensors):
        with pytest.raises((UnsafeError, UnreadableError), match=refused):
            read(path)
    with pytest.raises(DataError, match=r"x\.pt (is|was not read:) "):
        from_file(path)


@pytest.mark.parametrize("name", ["x.pt", "archive.ckpt", "ein größeres Modell.pth", "x"])
def test_what_torch_writes_is_one_archive_under_any_name(tmp_path, name):
    torch.save(WEIGHTS, tmp_path / name)
    assert load_weights(tmp_path / name).tensors.keys() == WEIGHTS.keys()
    with (tmp_path / name).open("wb") as file:
        torch.save(WEIGHTS, file)  # in a folder of another name
    assert load_weights(tmp_path / name).tensors.keys() == WEIGHTS.keys()


def test_sizes_of_64_bits_may_stand_where_they_are_not_needed(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(io.BytesIO(saved())) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            with new.open(entry.filename, "w", force_zip64=True) as file:
                file.write(old.read(entry))
    assert load_weights(path).tensors.keys() == WEIGHTS.keys()


def test_one_flipped_bit_is_told(tmp_path):
    path, whole = tmp_path / "x.pt", saved()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        contents = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    for name, content in contents.items():
        place = whole.index(content, whole.index(name.encode()))
        for bit in range(0, 8 * len(content), 7):
            flipped = bytearray(whole)
            flipped[place + bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises(UnreadableError, match=r"x\.pt is .*damaged"):
                load_checkpoint(path, torch.nn.Linear(3, 2), name="x")


def test_files_that_were_written_without_checksums_are_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(WEIGHTS, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert {entry.CRC for entry in archive.infolist()} == {0}
    tensors = load_weights(tmp_path / "x.pt").tensors
    assert all(torch.equal(WEIGHTS[name], tensor) for name, tensor in tensors.items())
