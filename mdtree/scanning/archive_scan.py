"""The archives of torch.save: one directory, at the end, that all readers read alike.

Readers of archives look for the directory in different ways, and do not compare it with the headers
of the entries.  A crafted file can show one content to the reader that checks it and another to the
reader that loads it.  What torch.save writes leaves no room for that, so nothing else is accepted:

    entry, entry, ..., directory, [end of 64 bits, where that is], end
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

__all__ = ["Entry", "FaultError", "damaged_entry", "entries_of"]

_END = struct.Struct("<4s4H2LH")
_PLACE_OF_END_64 = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_BEFORE_ENTRY = struct.Struct("<4s5H3L2H")
_IN_DIRECTORY = 46  # bytes before a name
_ALL_ONES = 0xFFFFFFFF  # stands for a number of 64 bits, which lies elsewhere
_SIZE_FOLLOWS = 0x8  # the flag of an entry whose size stands behind it
_UTF_8 = 0x800  # the flag of a name in this encoding
_CHUNK = 1 << 20  # bytes


class FaultError(Exception):
    """A file was refused because torch.save would not have written it like this."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of an uncompressed archive."""

    name: str
    start: int  # of its bytes
    size: int
    checksum: int


def entries_of(file: IO[bytes]) -> list[Entry]:
    """List the entries of an archive, after checking its layout."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    names = [info.orig_filename for info in infos]
    if any("\0" in name for name in names):
        raise FaultError("the name of an entry contains a null byte")
    if len({name.casefold() for name in names}) < len(names):
        raise FaultError("it has two entries whose names differ only in case")
    if any(info.compress_type or info.compress_size != info.file_size for info in infos):
        raise FaultError("its entries are compressed, which torch.save never does")
    directory = _check_end(file, infos)
    end, entries = 0, []
    for info in infos:
        if info.header_offset < end or (end == 0 and info.header_offset > 0):
            raise FaultError(f"its entry {info.filename:.100} overlaps the entry before it")
        entry = _entry(file, info)
        end = entry.start + entry.size
        entries.append(entry)
    if end > directory:
        raise FaultError("an entry overlaps its directory")
    return entries


def _check_end(file: IO[bytes], infos: list[zipfile.ZipInfo]) -> int:
    """Check that the archive ends with its only directory, and return the directory's offset."""
    last = file.seek(0, 2) - _END.size
    magic, *disks, here, count, length, start, comment = _END.unpack(_bytes(file, last, _END.size))
    if magic != b"PK\5\6" or comment or any(disks) or here != count:
        raise FaultError("it does not end with its directory")
    small, place = (count, length, start), last - _PLACE_OF_END_64.size
    if place >= 0 and _bytes(file, place, 4) == b"PK\6\7":
        locator = _PLACE_OF_END_64.unpack(_bytes(file, place, _PLACE_OF_END_64.size))
        last = place - _END_64.size
        if locator[1:] != (0, last, 1) or last < 0:
            raise FaultError("it has two directories")
        magic, rest, _, _, *disks, here, count, length, start = _END_64.unpack(
            _bytes(file, last, _END_64.size)
        )
        agree = all(
            value in (wide, limit)
            for value, wide, limit in zip(
                small, (count, length, start), (0xFFFF, _ALL_ONES, _ALL_ONES), strict=True
            )
        )
        if magic != b"PK\6\6" or rest != _END_64.size - 12 or any(disks) or not agree:
            raise FaultError("it has two directories")
    lengths = (
        _IN_DIRECTORY + len(_name(info)) + len(info.extra) + len(info.comment) for info in infos
    )
    if start + length != last or here != count or count != len(infos) or sum(lengths) != length:
        raise FaultError("its directory is not where the archive says")
    return int(start)


def _entry(file: IO[bytes], info: zipfile.ZipInfo) -> Entry:
    """Compare the directory's record of an entry with the entry's own header."""
    name, place = _name(info), info.header_offset
    magic, _, flags, packed, _, _, _, *sizes, letters, more = _BEFORE_ENTRY.unpack(
        _bytes(file, place, _BEFORE_ENTRY.size)
    )
    place += _BEFORE_ENTRY.size
    known = {info.file_size, _ALL_ONES} | ({0} if flags & _SIZE_FOLLOWS else set())
    if (
        magic != b"PK\3\4"
        or packed != info.compress_type
        or not known.issuperset(sizes)
        or _bytes(file, place, letters) != name
        or _wide_fields(info.extra) > 1
    ):
        raise FaultError(f"its entry {info.filename:.100} does not match its directory")
    return Entry(
        name=info.filename, start=place + letters + more, size=info.file_size, checksum=info.CRC
    )


def _wide_fields(extra: bytes) -> int:
    """Count the fields with 64-bit sizes: if there are two, readers disagree on which counts."""
    count = place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        count += kind == 1
        place += 4 + length
    return count


def _name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437")


def _bytes(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    content = file.read(count)
    if len(content) < count:
        raise EOFError
    return content


def damaged_entry(file: IO[bytes], entries: Iterable[Entry]) -> str | None:
    """Return the name of the first entry whose checksum does not match.

    torch.save writes zeros for all checksums if checksums are switched off.
    """
    listed = list(entries)
    if not any(entry.checksum for entry in listed):
        return None
    for entry in listed:
        checksum, left = 0, entry.size
        file.seek(entry.start)
        while left and (chunk := file.read(min(left, _CHUNK))):
            checksum = zlib.crc32(chunk, checksum)
            left -= len(chunk)
        if left or checksum != entry.checksum:
            return entry.name
    return None
