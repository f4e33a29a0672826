"""Examples: the rows that have an answer to a task, labelled by their grid or by a fact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdtree.exceptions import RowsError, TreeError
from mdtree.failure_modes import (
    FAILURE_MODES,
    TASKS,
    RoomForImprovement,
    answer_of,
    contradicts,
)
from mdtree.labelling import room_for_improvement
from mdtree.messages import nearest, plural
from mdtree.rows import Row
from mdtree.trees.estimators.base import TreeEstimator
from mdtree.trees.node import ends

__all__ = ["labelled", "refuse_labels", "warned_of_examples"]

_MANY = 0.25  # of the groups; trees of 24 groups and more contradict fewer


def labelled(
    rows: Sequence[Row], task: str
) -> tuple[list[Row], list[str], list[RoomForImprovement]]:
    """Return the rows that have an answer to the task: (rows, answers, rooms for improvement).

    A row with the fact `label` keeps that label; all others are labelled by their grid.
    """
    rooms = _rooms(rows)
    examples: list[tuple[Row, str, RoomForImprovement]] = []
    for row, room in zip(rows, rooms, strict=True):
        label = row.facts.get("label")
        answer = TASKS[task].answer(room) if label is None else _answer_of_label(row, room, task)
        if answer is not None:
            examples.append((row, answer, room))
    if not examples:
        raise TreeError(f"no row has an answer to the task {task!r}: {TASKS[task].meaning}")
    return (
        [row for row, _, _ in examples],
        [a for _, a, _ in examples],
        [room for _, _, room in examples],
    )


def _rooms(rows: Sequence[Row]) -> list[RoomForImprovement]:
    """Compare rows inside their grid; no grid is needed if all rows have the fact `label`."""
    try:
        return room_for_improvement(rows)
    except RowsError:
        missing = [row.group for row in rows if "label" not in row.facts]
        if missing and len(missing) < len(rows):
            raise TreeError(
                f"{len(missing)} of {len(rows)} rows have no fact 'label' (the first is "
                f"{missing[0]!r}), and they do not form a grid: label them too"
            ) from None
        if missing:
            raise
        return [RoomForImprovement(gains={}, step={}, margin=0.0) for _ in rows]


def _answer_of_label(row: Row, room: RoomForImprovement, task: str) -> str | None:
    mode = str(row.facts["label"])
    if mode not in FAILURE_MODES:
        raise TreeError(
            f"group {row.group!r} has the label {mode!r}, which is not a failure mode"
            f"{nearest(mode, FAILURE_MODES)} (known: {', '.join(FAILURE_MODES)})"
        )
    if contradicts(room, mode):
        raise TreeError(
            f"group {row.group!r} has the label {mode!r}, but the grid of these rows contradicts "
            "it: its remedy gains nothing there, while another does; correct the label or the facts"
        )
    return answer_of(task, mode)


def refuse_labels(rows: Sequence[Row]) -> None:
    """Refuse rows with labels of their own, where gains are learnt."""
    named = [row.group for row in rows if "label" in row.facts]
    if named:
        raise TreeError(
            f"gains are learnt from a grid, but {len(named)} of {len(rows)} rows have the fact "
            f"'label' (the first is {named[0]!r}): use another method, or remove the labels"
        )


def warned_of_examples(
    answers: Sequence[str], estimator: TreeEstimator, matrix: NDArray[np.float64]
) -> dict[str, str]:
    """Return the warning of a tree to whose answers its groups lend little, if they do.

    All have one answer; or the tree contradicts many of them, where so few weigh less than what a
    method believes beforehand.

    Args:
        answers: The answer of each group, by its label or its grid.
        estimator: What was fitted to them.
        matrix: The features of the groups.

    """
    return _warned_of_one_answer(answers) or _warned_of_beliefs(estimator, matrix)


def _warned_of_beliefs(estimator: TreeEstimator, matrix: NDArray[np.float64]) -> dict[str, str]:
    predicted = [str(answer) for answer in estimator.predict(matrix)]
    contradicted = 0
    for leaf, places in ends(estimator.tree_, matrix, estimator.columns(matrix.shape[1])):
        most = max(leaf.counts.values(), default=0)
        contradicted += sum(leaf.counts.get(predicted[place], 0) < most for place in places)
    if contradicted < _MANY * len(predicted):
        return {}
    return {
        "WARNING": f"it answers {contradicted} of the {plural(len(predicted), 'group')} that it "
        "was fitted to otherwise than most groups of their leaf are labelled: they do not outweigh "
        "what the method believes beforehand (--tree cart goes by the labels alone)"
    }


def _warned_of_one_answer(answers: Sequence[str]) -> dict[str, str]:
    if len(set(answers)) > 1:
        return {}
    says = (
        f"the {plural(len(answers), 'group')} that it was fitted to have one answer, {answers[0]}"
    )
    return {"WARNING": f"{says}: what it says beyond that is not learnt from them"}
