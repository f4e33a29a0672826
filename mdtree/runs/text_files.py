"""Text files that trainers write, within bounds: JSON, CSV and YAML of a stranger."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mdtree.exceptions import RecipeError, UnreadableError
from mdtree.recipes.yaml import parse_yaml
from mdtree.regular_file import open_regular

__all__ = [
    "UnreadableError",
    "is_number",
    "read_csv",
    "read_json",
    "read_mapping",
    "read_yaml_mapping",
]

_LARGEST = 1 << 24  # bytes
_MOST_LINES = 1_000_000
_MOST_COLUMNS = 10_000
_LARGEST_NUMBER = 1e300


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a JSON object."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UnreadableError("it does not hold a JSON object")
    return content


def read_json(path: Path) -> Any:
    """Read JSON; NaN and Infinity, which trainers write, are numbers."""
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not valid JSON: {error!s:.100}") from error


def read_yaml_mapping(path: Path) -> dict[Any, Any]:
    """Read a YAML mapping, with the limits of recipes; an empty file is an empty one."""
    try:
        content = parse_yaml(_text(path), path.name).content
    except RecipeError as error:
        raise UnreadableError(f"{error!s:.200}") from error
    if content is not None and not isinstance(content, dict):
        raise UnreadableError("it does not hold a mapping")
    return content or {}


def read_csv(path: Path, is_needed: Callable[[str], bool]) -> Iterator[dict[str, str]]:
    """Read the needed columns of a table, whose cells are parted by commas, semicolons or tabs."""
    text = _text(path)
    header = text.partition("\n")[0]
    mark = next((mark for mark in (",", ";", "\t") if mark in header), ",")
    lines = csv.reader(io.StringIO(text), delimiter=mark)
    try:
        names = [name.strip() for name in islice(next(lines, []), _MOST_COLUMNS)]
        needed = [(place, name) for place, name in enumerate(names) if is_needed(name)]
        for line in islice(lines, _MOST_LINES):
            yield {name: line[place].strip() for place, name in needed if place < len(line)}
    except csv.Error as error:
        raise UnreadableError(f"it is not a table: {error!s:.100}") from error


def _text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UnreadableError(f"it cannot be opened: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise UnreadableError(f"it has more than {_LARGEST / 2**20:.0f} MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError("it is not UTF-8 text") from error


def is_number(value: Any) -> bool:
    """Return whether a setting is a finite number, and not a switch."""
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and -_LARGEST_NUMBER < value < _LARGEST_NUMBER  # NaN is not
