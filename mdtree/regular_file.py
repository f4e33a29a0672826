"""Opening a file of a stranger: it must be a file, and neither too large nor without an end."""

from __future__ import annotations

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

__all__ = ["TooLargeError", "open_regular", "read_json"]


class TooLargeError(ValueError):
    """A file is larger than what it may hold."""


def read_json(path: Path, most: int) -> Any:
    """Read JSON from a file of at most so many bytes.

    Raises:
        OSError: The file cannot be read.
        TooLargeError: It has more bytes.
        ValueError: It is not JSON in UTF-8, or nested too deeply.

    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLargeError(f"more than {most >> 20} MiB")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError(f"nested too deeply: {error}") from error


def open_regular(path: Path) -> BufferedReader:
    """Open a file; a pipe or a device, which may never end, cannot be read."""

    def ready(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe waits for its writer

    file = open(path, "rb", opener=ready)  # noqa: SIM115 - Path.open takes no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is a pipe or a device")
    return file
