"""Reading a tree file: its size, form and consistency are checked before anything is built."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import numpy as np

from mdtree.exceptions import TreeError
from mdtree.rows.forms import read_as
from mdtree.trees.binning import BinnedCounts, scaled_bounds
from mdtree.trees.file_numbers import STRICT, Count, Limits, Number, Positive
from mdtree.trees.reading_gains import PlainGainModel, gain_model
from mdtree.trees.saved_tree import FORMAT, LARGEST, PlainTree, SavedTree, check_size, check_words
from mdtree.trees.template import Question, Template, TemplateLeaf, questions_of

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["read_tree"]

_MOST_CELLS = 1 << 23  # numbers in the tables of a posterior

_KINDS = ("split", "leaf", "str")  # places in our forms, not in a file
_Cell = Annotated[int, Limits(ge=0, le=LARGEST)]


@dataclass(frozen=True, kw_only=True)
class _Component:
    __pydantic_config__ = STRICT

    weight: Positive
    hit: Positive
    miss: Positive
    shape: Template
    cuts: list[list[Number]]
    cells: list[list[_Cell]]  # interval of each question
    counts: list[list[Count]]  # groups of each class


@dataclass(frozen=True, kw_only=True)
class _File(PlainTree):
    format: Literal[1]
    posterior: list[_Component] | None = None
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
        file = read_as(_File, content)
        components = tuple(_component(part, file) for part in file.posterior or [])
        _check_tables([binned for _, binned in components])
        saved = SavedTree(
            **{key.name: getattr(file, key.name) for key in fields(PlainTree)},
            components=components,
            gain_model=None if file.gains is None else gain_model(file.gains, file.features),
        )
        check_words(saved)
    except ValueError as error:
        raise TreeError(f"{path} is not {_fault(error)}") from error
    return saved


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


def _component(part: _Component, file: _File) -> tuple[float, BinnedCounts]:
    questions = list(questions_of(part.shape))
    widths = {len(row) for row in part.cells} | {len(questions), len(part.cuts)}
    classes = {len(row) for row in part.counts} | {len(file.classes)}
    if len(widths) > 1 or len(classes) > 1 or len(part.cells) != len(part.counts):
        raise ValueError("its posterior does not fit its shape or the classes")
    binned = BinnedCounts(
        shape=part.shape,
        classes=file.classes,
        hit=part.hit,
        miss=part.miss,
        cuts=tuple(np.array(cuts, dtype=float) for cuts in part.cuts),
        cells=np.array(part.cells, dtype=np.intp).reshape(-1, len(questions)),
        counts=np.array(part.counts, dtype=float).reshape(-1, len(file.classes)),
    )
    for question, cuts, cells in zip(questions, binned.cuts, binned.cells.T, strict=True):
        _check_cuts(question, cuts)
        if (cells > len(cuts)).any():
            raise ValueError(f"its posterior counts groups outside its cuts of {question.feature}")
    return part.weight, binned


def _check_cuts(question: Question, cuts: Any) -> None:
    low, high = scaled_bounds(question)
    if not question.bounds[0] <= question.start <= question.bounds[1] or not low < high:
        raise ValueError(f"its belief in {question.feature} is not within its bounds")
    if not len(cuts) or (cuts[1:] <= cuts[:-1]).any() or cuts[0] < low or cuts[-1] > high:
        raise ValueError(
            f"its cuts of {question.feature} must rise, within the bounds of the belief"
        )


def _check_tables(components: Iterable[BinnedCounts]) -> None:
    """Refuse a posterior whose tables would need too much memory."""
    cells = sum(
        _cells(binned.shape, [len(cuts) + 1 for cuts in binned.cuts], len(binned.classes))
        for binned in components
    )
    if cells > _MOST_CELLS:
        raise ValueError(f"its posterior needs tables of more than {_MOST_CELLS} numbers")


def _cells(template: Template, sizes: list[int], above: int) -> int:
    """Count the cells of all leaves; `sizes` are those of the questions below, in order."""
    if isinstance(template, TemplateLeaf):
        return above
    after_low = 1 + sum(1 for _ in questions_of(template.low))
    above *= sizes[0]
    return _cells(template.low, sizes[1:], above) + _cells(template.high, sizes[after_low:], above)
