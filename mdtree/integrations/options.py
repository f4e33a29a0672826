"""The options of a callback, held to what can be used when it is made: training may take days."""

from __future__ import annotations

import re
from pathlib import Path

from torch import nn

from mdtree.exceptions import MdtreeError, ProtocolError
from mdtree.losses import build_loss
from mdtree.network import Loss
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import Missing, Row
from mdtree.rows.writing import check_plain_rows
from mdtree.trees import SavedTree
from mdtree.trees.bundled import find_tree

__all__ = [
    "check_budget",
    "check_finite_loss",
    "check_function",
    "check_loss",
    "check_tree",
    "check_whole_number",
    "in_words_of_options",
    "path_of",
    "rows_path",
]

# what the command line has, and a callback: errors come from what both of them use
_OPTIONS = {"--out": "save=", "--html": "page=", "--tree": "tree=", "--protocol": "protocol="}
_OPTION = re.compile(rf"({'|'.join(_OPTIONS)})\b(?!-)")


def check_whole_number(name: str, number: object, least: int) -> None:
    """Refuse what is not a whole number, or too small."""
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise MdtreeError(f"{name} must be a whole number of at least {least}, got {number!r}")


def check_budget(budget: object) -> None:
    """Refuse what is no number of seconds."""
    is_number = isinstance(budget, int | float) and not isinstance(budget, bool)
    if not is_number or not budget > 0:  # type: ignore[operator]  # NaN is not
        raise MdtreeError(f"budget must be a positive number of seconds, got {budget!r}")


def check_function(name: str, function: object) -> None:
    """Refuse what cannot be called."""
    if function is not None and not callable(function):
        raise MdtreeError(f"{name} must be a function, got {type(function).__name__}")


def check_loss(loss: str | nn.Module | Loss | None) -> None:
    """Refuse the name of an unknown loss, and what is no loss.

    Raises:
        MdtreeError: The message says which are known.

    """
    if isinstance(loss, str):
        if not loss or ":" in loss:
            raise MdtreeError(
                f"loss must be a name, a module or a function, got {loss!r:.100}: give the "
                "function itself"
            )
        build_loss(LossSpec(factory=loss), Trust())
    elif loss is not None and not callable(loss):
        raise MdtreeError(f"loss must be a name or a function, got {type(loss).__name__}")


def check_finite_loss(row: Row) -> None:
    """Refuse a loss of the user that is not finite.

    Raises:
        MdtreeError: The errors were measured, and the loss was NaN or infinite.

    """
    loss = row.quantities.get("train_loss")
    measured = () if row.provenance is None else row.provenance.metrics
    if isinstance(loss, Missing) and "error_rate" in measured:
        raise MdtreeError(f"loss= must return finite numbers, got one that is {loss.missing}")


def check_tree(tree: SavedTree | str | None, protocol: str) -> None:
    """Refuse a tree that is not there, or that is for numbers of another protocol.

    Raises:
        TreeError: There is no such tree, or the file is not a tree.
        ProtocolError: It was fitted to rows of another protocol.

    """
    if tree is None:
        return
    saved = find_tree(tree) if isinstance(tree, str) else tree
    if not isinstance(saved, SavedTree):
        raise MdtreeError(
            f"tree must be a tree, its file or the name of one, got {type(tree).__name__}"
        )
    if saved.protocol != protocol:
        raise ProtocolError(
            f"the tree is for protocol {saved.protocol}, and the callback measures by {protocol}: "
            f"name another tree, or protocol={saved.protocol!r}"
        )


def path_of(name: str, value: str | Path | None) -> Path | None:
    """Return where an option leads to."""
    if value is None:
        return None
    if not isinstance(value, str | Path) or not str(value):
        raise MdtreeError(f"{name} must be the name of a file or folder, got {value!r:.100}")
    return Path(value)


def rows_path(name: str, value: str | Path | None) -> Path | None:
    """Return where rows are written to."""
    path = path_of(name, value)
    if path is not None:
        check_plain_rows(path)
    return path


def in_words_of_options(text: str) -> str:
    """Name options of the command line as those of a callback."""
    return _OPTION.sub(lambda found: _OPTIONS[found[1]], text)
