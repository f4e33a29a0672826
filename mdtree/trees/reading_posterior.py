"""Reading the posterior in a tree file: the counts between the cuts of each of its templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from mdtree.rows.forms import read_as
from mdtree.trees.binning import BinnedCounts, scaled_bounds
from mdtree.trees.file_numbers import STRICT, Count, Limits, Number, Positive
from mdtree.trees.reading import TreeFile
from mdtree.trees.saved_tree import LARGEST
from mdtree.trees.template import Question, Template, TemplateLeaf, questions_of

__all__ = ["read_posterior"]

_MOST_CELLS = 1 << 23  # numbers in the tables of a posterior
_Cell = Annotated[int, Limits(ge=0, le=LARGEST)]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Component:
    __pydantic_config__ = STRICT

    weight: Positive
    hit: Positive
    miss: Positive
    shape: Template
    cuts: list[list[Number]]
    cells: list[list[_Cell]]  # interval of each question
    counts: list[list[Count]]  # groups of each class


@dataclass(frozen=True, kw_only=True, eq=False)
class _File(TreeFile):
    posterior: list[_Component] | None = None


def read_posterior(
    content: dict[str, Any],
) -> tuple[TreeFile, tuple[tuple[float, BinnedCounts], ...]]:
    """Read a file with a posterior; raise ValueError if anything is wrong with it."""
    file = read_as(_File, content)
    components = tuple(_component(part, file) for part in file.posterior or [])
    _check_tables([binned for _, binned in components])
    return file, components


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
