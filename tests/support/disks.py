"""Small disks, for as long as a test needs one that runs full or cannot be written."""

from __future__ import annotations

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def mounted(place, options):
    """Mount a small disk of its own, where that is allowed."""
    place.mkdir()
    try:
        ran = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("there is no command `mount`")
    if ran.returncode:
        pytest.skip("a disk can be mounted by root alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
