"""Reading a tree file: its size, form and consistency are checked before anything is built."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from mdtree.exceptions import TreeError
from mdtree.rows.forms import read_as
from mdtree.trees.reading_gains import PlainGainModel, gain_model
from mdtree.trees.saved_tree import FORMAT, LARGEST, PlainTree, SavedTree, check_size, check_words

if TYPE_CHECKING:
    from pydantic import ValidationError

    from mdtree.trees.binning import BinnedCounts

__all__ = ["TreeFile", "read_tree"]

_KINDS = ("split", "leaf", "str")  # places in our forms, not in a file


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeFile(PlainTree):
    """The form of a file of a tree without a posterior."""

    format: Literal[1]
    gains: PlainGainModel | None = None


def read_tree(path: Path | str) -> SavedTree:
    """Read a tree.

    Raises:
        TreeError: If anything is wrong with the file; the message says what and where.

    """
    path = Path(path)
    content = _content(path)
    try:
        check_size(content.get("tree"), _children)
        for part in _dictionaries(content.get("posterior")):
            check_size(part.get("shape"), _children)
        file, components = _file_of(content)
        saved = SavedTree(
            **{key.name: getattr(file, key.name) for key in fields(PlainTree)},
            components=components,
            gain_model=None if file.gains is None else gain_model(file.gains, file.features),
        )
        check_words(saved)
    except ValueError as error:
        raise TreeError(f"{path} is not {_fault(error)}") from error
    return saved


def _file_of(content: dict[str, Any]) -> tuple[TreeFile, tuple[tuple[float, BinnedCounts], ...]]:
    """Read the form of a file, and the counts of its posterior."""
    if "posterior" not in content:
        return read_as(TreeFile, content), ()
    from mdtree.trees.reading_posterior import read_posterior  # late: many trees have none

    return read_posterior(content)


def _content(path: Path) -> dict[str, Any]:
    """Read JSON whose format is known."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = getattr(error, "strerror", None) or error
        raise TreeError(f"{path} cannot be read: {reason}") from error
    if len(text) > LARGEST:
        raise TreeError(f"{path} is not a tree: it is larger than {LARGEST} bytes")
    try:
        content = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise TreeError(f"{path} is not a tree (JSON in UTF-8): {reason}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(version, int) or version < 1:
        raise TreeError(f"{path} is not a tree: it has no `format`")
    if version > FORMAT:
        raise TreeError(
            f"{path} has format {version}, but this mdtree reads formats up to {FORMAT}: "
            "install a newer mdtree"
        )
    return dict(content)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid JSON")


def _children(content: Any) -> Iterable[Any]:
    return [
        content[side]
        for side in ("low", "high")
        if isinstance(content, dict) and isinstance(content.get(side), dict)
    ]


def _dictionaries(content: Any) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _fault(error: ValueError) -> str:
    """Say what a file is not: the form of a tree, or a tree that makes sense."""
    from pydantic import ValidationError  # late: trees without a fault need none

    if isinstance(error, ValidationError):
        return f"a tree: {_first_error(error)}"
    return f"a valid tree: {error}"


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    parts = map(str, first["loc"])
    place = ".".join(part for part in parts if part not in _KINDS and not part.startswith("list["))
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
