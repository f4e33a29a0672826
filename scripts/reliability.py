"""How sure and how right a tree is about cells of a grid that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mdtree.labelling import number_of
from mdtree.rows import Row, one_protocol
from mdtree.trees import LANDSCAPE, feature_matrix
from mdtree.trees.fit import make_estimator, usual_method

EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One group, judged by a tree that has not seen its cell."""

    group: str
    answer: str
    given: str
    confidence: float

    @property
    def right(self) -> bool:
        """Say whether the tree was right."""
        return self.answer == self.given


def judged(rows: Sequence[Row], answers: Sequence[str], task: str) -> list[Judged]:
    """Judge each cell (zoo, width, data amount) by a tree that was fitted on all others."""
    matrix, labels = feature_matrix(rows, LANDSCAPE), np.array(answers)
    facts = ("width", "data_amount")
    cells = [(row.facts.get("zoo"), *(number_of(row, fact) for fact in facts)) for row in rows]
    method = usual_method(one_protocol(rows))
    judgements: dict[int, Judged] = {}
    for cell in dict.fromkeys(cells):
        test = np.array([other == cell for other in cells])
        tree = make_estimator(task, method, LANDSCAPE).fit(matrix[~test], labels[~test])
        probabilities = tree.predict_proba(matrix[test])
        for place, own in zip(np.flatnonzero(test), probabilities, strict=True):
            judgements[int(place)] = Judged(
                group=rows[place].group,
                answer=str(labels[place]),
                given=str(tree.classes_[own.argmax()]),
                confidence=float(own.max()),
            )
    return [judgements[place] for place in sorted(judgements)]


def accuracy(judgements: Sequence[Judged]) -> str:
    """Say in how many cells' groups the tree was right."""
    share = 100 * float(np.mean([f.right for f in judgements]))
    return f"{share:.1f} % (cross-validated over the cells of the grid)"


def table(judgements: Sequence[Judged]) -> str:
    """Lay confidence against the share of right answers."""
    lines = ["| confidence | groups | mean confidence | right |", "| --- | --- | --- | --- |"]
    for low, high in pairwise(EDGES):
        part = [f for f in judgements if low < f.confidence <= high]
        if part:
            sure = 100 * float(np.mean([f.confidence for f in part]))
            right = 100 * float(np.mean([f.right for f in part]))
            lines.append(
                f"| {100 * low:.0f} to {100 * high:.0f} % | {len(part)} | {sure:.0f} % "
                f"| {right:.0f} % |"
            )
    return "\n".join(lines)
