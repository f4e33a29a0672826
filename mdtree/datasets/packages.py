"""Files inside Python packages, which are only read: nothing is installed, imported or run."""

from __future__ import annotations

import importlib.util
import zipfile
from gzip import GzipFile
from pathlib import Path
from typing import IO

from mdtree.regular_file import open_regular
from mdtree.scanning import IN_PARTS

__all__ = ["in_wheel", "installed_folder", "read_at_most", "read_file"]


def installed_folder(package: str) -> Path | None:
    """Find the folder in which a package is installed; None if it is not installed."""
    spec = importlib.util.find_spec(package)  # found, not imported
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).parent


def in_wheel(wheel: Path, place: str, most: int) -> bytes:
    """Read one file of a wheel; raise ValueError if it has more than `most` bytes."""
    with open_regular(wheel) as file, zipfile.ZipFile(file) as archive:
        if archive.getinfo(place).compress_type not in IN_PARTS:
            raise ValueError("it is not packed the way wheels are")
        with archive.open(place) as member:
            return read_at_most(member, most)


def read_file(path: Path, most: int) -> bytes:
    """Read a regular file; raise ValueError if it has more than `most` bytes."""
    with open_regular(path) as file:
        return read_at_most(file, most)


def read_at_most(file: IO[bytes] | GzipFile, most: int) -> bytes:
    """Read an open file; raise ValueError if it has more than `most` bytes."""
    content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most >> 20} MiB")
    return content
