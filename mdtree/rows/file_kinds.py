"""What a file holds, by how it begins: an output replaces only its own kind."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = [
    "JSON",
    "JUNIT",
    "MEASUREMENTS",
    "PACKED_TABLE",
    "PAGE",
    "PARQUET",
    "PNG",
    "RECIPE",
    "SARIF",
    "SVG",
    "TABLE",
    "TREE",
    "WEIGHTS",
    "is_recognised",
    "is_table",
    "kind_of",
]

MEASUREMENTS: Final = "measurements"
WEIGHTS: Final = "weights"
RECIPE: Final = "a recipe"
TREE: Final = "a tree"
PAGE: Final = "a page (HTML)"
SVG: Final = "a picture (SVG)"
PNG: Final = "a picture (PNG)"
SARIF: Final = "a SARIF report"
JUNIT: Final = "a JUnit report"
PARQUET: Final = "a Parquet table"
TABLE: Final = "a table (CSV)"
JSON: Final = "JSON"

PACKED_TABLE: Final = ".csv.gz"  # how its name ends

_UNMARKED = (MEASUREMENTS, WEIGHTS, RECIPE, JSON, TABLE)  # they can begin in any way
_HEAD = 4096  # bytes, within which files of these kinds say what they are
_ROW = 32
_TREE_KEYS = (b'"format"', b'"task"', b'"method"')


def is_recognised(kind: str) -> bool:
    """Return whether every file of a kind says what it is."""
    return kind not in _UNMARKED


def is_table(path: Path) -> bool:
    """Return whether a file is a CSV table, judged by its name."""
    return path.name.lower().endswith((".csv", PACKED_TABLE))


def kind_of(path: Path) -> str | None:
    """Return what a file contains; None if it is empty, not there, or not known.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return None
    kind = _binary(head) or _text(head.removeprefix(b"\xef\xbb\xbf").lstrip().lower())
    if kind is None and head.strip() and path.suffix.lower() in (".yaml", ".yml"):
        return RECIPE
    return kind


def _binary(head: bytes) -> str | None:
    start = head.removeprefix(b"\xef\xbb\xbf")[:_ROW]
    if start.startswith(b'{"format":') and b'"group":' in start:
        return MEASUREMENTS
    if start.startswith((b"PK\x03\x04", b"\x80\x02\x8a\x0a")) or start[5:9] == b"\0\0\0{":
        return WEIGHTS
    if start.startswith(b"\x89PNG"):
        return PNG
    return PARQUET if start.startswith(b"PAR1") else None


def _text(head: bytes) -> str | None:
    """Return the kind of a text in small letters."""
    if head.startswith(b"<"):
        marks = {b"<!doctype html": PAGE, b"<html": PAGE, b"<svg": SVG, b"<testsuite": JUNIT}
        return next((kind for mark, kind in marks.items() if mark in head), None)
    if not head.startswith(b"{"):
        return None
    if all(key in head for key in _TREE_KEYS):
        return TREE
    first, _, rest = head.partition(b"\n")
    if first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{"):
        return None  # one object on each line, as damaged rows can be
    return SARIF if b"sarif" in head else JSON
