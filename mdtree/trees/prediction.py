"""Answers: what a saved tree predicts for rows, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.rows import Row
from mdtree.trees.binning import Floats
from mdtree.trees.node import ends
from mdtree.trees.posterior import averaged, first_best, posterior
from mdtree.trees.saved_tree import SavedTree

__all__ = ["Answer", "answers", "probabilities"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The most probable class of one group."""

    group: str
    answer: str
    probability: float


def answers(
    saved: SavedTree, rows: Sequence[Row], *, allow_protocol_mismatch: bool = False
) -> list[Answer]:
    """Return the answer of a tree for every row.

    Raises:
        ProtocolError: If rows have another protocol than the tree, and that is not allowed.

    """
    matrix = saved.matrix(rows, allow_protocol_mismatch=allow_protocol_mismatch)
    return [
        Answer(
            group=row.group,
            answer=saved.classes[int(first_best(shares))],
            probability=float(shares.max()),
        )
        for row, shares in zip(rows, probabilities(saved, matrix), strict=True)
    ]


def probabilities(saved: SavedTree, matrix: Floats) -> Floats:
    """Return the probability of each class for each line of features.

    A posterior averages over all plausible trees, and a gain regression weighs its gains; any other
    tree takes the shares of the training groups in the leaf.
    """
    if saved.gain_model is not None:
        return saved.gain_model.probabilities(matrix, saved.features, saved.classes)
    columns = {name: number for number, name in enumerate(saved.features)}
    if saved.components:
        posteriors = [(weight, posterior(binned)) for weight, binned in saved.components]
        return averaged(posteriors, matrix, columns)
    shares = np.zeros((len(matrix), len(saved.classes)))
    for leaf, lines in ends(saved.tree, matrix, columns):
        counts = np.array([leaf.counts.get(name, 0.0) for name in saved.classes])
        if not counts.any():  # no group ended here: only the leaf's answer is known
            counts = np.array([float(name == leaf.answer) for name in saved.classes])
        shares[lines] = counts / counts.sum()
    return shares
