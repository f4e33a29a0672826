"""What a file would become in memory, checked before anything is unpacked.

torch reads only pickles of tensors and plain values, and runs no other code.  But a file of a
hundred bytes may ask for an array of any size, for text that doubles with each step, or for tuples
nested so deep that reading them crashes the program, or so often that it never ends.  And the
entries of an archive may be a thousand times as large as the file.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Collection
from typing import IO, Any

from mdtree.scanning.archive_scan import FaultError, damaged_entry, entries_of
from mdtree.scanning.pickle_scan import PickleScan

__all__ = ["IN_PARTS", "damage", "is_zip", "pickle_fault", "zip_fault"]

# ways to pack an entry that are unpacked in parts; of others a few bytes become gigabytes at once
IN_PARTS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_LARGEST = 1 << 30  # bytes that compressed entries may become, however small the file is,
_RATIO = 20  # or how many times its size; pictures reach 5, one-hot labels 1,000


def is_zip(file: IO[bytes]) -> bool:
    """Return whether a file begins like a zip archive, as torch and NumPy check; then rewind it."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start in (b"PK\x03\x04", b"PK\x05\x06")  # the second of one without entries


def zip_fault(archive: zipfile.ZipFile, size: int, *, compressed: bool = False) -> str | None:
    """Return why an archive cannot be unpacked safely, or None.

    Args:
        archive: The archive.
        size: The bytes of its file.
        compressed: Whether its entries may be compressed.
    """
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if len({entry.filename for entry in entries}) < len(entries):
        return "it has two entries with the same name"
    if compressed:
        if any(entry.compress_type not in IN_PARTS for entry in entries):
            return "its entries are not packed the way NumPy packs them"
        bomb = total > max(_LARGEST, _RATIO * size)
    elif any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        return "its entries are compressed, which torch.save never does"
    else:
        bomb = total > size
    return f"its {size} bytes would become {total}" if bomb else None


def damage(file: IO[bytes]) -> str | None:
    """Return the first entry of a torch.save archive whose checksum does not match.

    torch does not check checksums.  Files of the older form have none, nor do those written with
    `set_crc32_options(False)`: damage to them cannot be seen here.
    """
    try:
        return damaged_entry(file, entries_of(file)) if is_zip(file) else None
    except FaultError:
        return None  # reported by `pickle_fault`


def pickle_fault(file: IO[bytes], *, passed_over: Collection[str] = ()) -> str | None:
    """Return why a torch.save file of either form cannot be read, or None.

    `passed_over` are the names of classes that will be replaced by placeholders.  What torch would
    refuse raises an UnpicklingError in torch's words; damage raises any other error.
    """
    try:
        if not is_zip(file):
            _walk_older(file, passed_over)
        elif not _is_numpys(file):
            _walk_archive(file, passed_over)
    except FaultError as fault:
        return str(fault)
    finally:
        file.seek(0)
    return None


def _is_numpys(file: IO[bytes]) -> bool:
    with zipfile.ZipFile(file) as archive:
        return all(name.endswith(".npy") for name in archive.namelist())


def _walk_archive(file: IO[bytes], passed_over: Collection[str]) -> None:
    """Scan the pickle that torch's own reader finds, whatever else is in the archive."""
    from torch._C import PyTorchFileReader

    entries = entries_of(file)
    if len({entry.name.partition("/")[0] for entry in entries}) != 1:
        raise FaultError("its entries are not in one folder")
    records = {entry.name.partition("/")[2]: entry for entry in entries}
    file.seek(0)
    reader: Any = PyTorchFileReader(file)
    if set(reader.get_all_records()) != records.keys():
        raise FaultError("its entries are not the ones that torch finds")
    for name, entry in records.items():
        if reader.get_record_offset(name) != entry.start:
            raise FaultError(f"torch finds {name:.100} elsewhere")
    sizes = {name: entry.size for name, entry in records.items()}
    pickled = reader.get_record("data.pkl")
    if len(pickled) != sizes.get("data.pkl"):
        raise FaultError("its pickle is not the one that torch finds")
    PickleScan(passed_over, sizes).through(io.BytesIO(pickled))


def _walk_older(file: IO[bytes], passed_over: Collection[str]) -> None:
    """Scan the five pickles of the older form, and check that the bytes after them suffice."""
    for _ in range(3):  # magic number, version, machine
        PickleScan(passed_over).through(file)
    walk = PickleScan(passed_over)
    walk.through(file)
    walk.check_filled(
        PickleScan(passed_over).through(file), os.fstat(file.fileno()).st_size - file.tell()
    )
