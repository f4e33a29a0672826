"""Groups whose members have all diverged in training: what `mdtree zoo train` wrote about them.

Such members have no weights, only records (GROUP/seed-0.json), so that the group would be missed
where groups are found by their weights.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from pathlib import Path

from mdtree.exceptions import DivergedError
from mdtree.messages import plural
from mdtree.regular_file import open_regular
from mdtree.rows import Fact, GroupFailure, Row

__all__ = ["diverged_records", "diverged_row", "diverged_training"]

_RECORD = re.compile(r"seed-\d+\.json")
_OF_MEMBER = re.compile(r"seed-\d+\.(json|safetensors)")
_LARGEST = 1 << 20  # bytes of a record, which has less than a thousandth of them
_DIVERGED = "its loss became NaN or infinite in training"


def diverged_training(folder: Path) -> str | None:
    """Say that all networks of a folder have diverged, by their records; None if not."""
    try:
        names = sorted(name for name in os.listdir(folder) if _RECORD.fullmatch(name))  # noqa: PTH208 - only names
    except OSError:
        return None
    epochs = [_epochs(folder / name) for name in names]
    if not epochs or None in epochs:
        return None
    known = [count for count in epochs if count]
    when = f"{min(known)} to {max(known)}" if len(set(known)) > 1 else f"{max(known, default=0)}"
    when = f", in epoch {when}" if known else ""
    return f"{_DIVERGED} (all of {plural(len(names), 'network')}{when}; see {names[0]})"


def diverged_records(folder: Path, files: Collection[Path]) -> tuple[str, ...]:
    """Name the records of networks that have diverged, where others of their group have weights.

    `files` are the weights that are measured; if there are others, they are only a part of it.
    """
    try:
        names = {name for name in os.listdir(folder) if _OF_MEMBER.fullmatch(name)}  # noqa: PTH208 - only names
    except OSError:
        return ()
    own = {path.name for path in files}
    records = sorted(name for name in names if _RECORD.fullmatch(name))
    if any(name not in own for name in names.difference(records)):
        return ()
    without = (name for name in records if f"{Path(name).stem}.safetensors" not in own)
    return tuple(name for name in without if _epochs(folder / name) is not None)


def diverged_row(group: str, protocol: str, facts: dict[str, Fact], reason: str) -> Row:
    """Return the row of a group without weights: a failure, and a result."""
    failure = GroupFailure(kind=DivergedError.__name__, reason=reason)
    return Row(
        format=1, group=group, protocol=protocol, facts=facts, quantities={}, failure=failure
    )


def _epochs(record: Path) -> int | None:
    """Return the epoch in which a network diverged, 0 if unknown; None if nothing says it did."""
    try:
        with open_regular(record) as file:
            content = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("diverged") is not True:
        return None
    epochs = content.get("epochs")
    return epochs if isinstance(epochs, int) and epochs >= 0 else 0
