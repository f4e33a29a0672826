"""What verdicts say of many lines of features: the answer, the gain of its remedy, the change.

Two lines agree if they lead to the same answer (or to doubts about the same one), advise the same
change, and expect the same gain from it, within a quarter of it or one point of test accuracy,
whichever is more.  For an answer that no remedy belongs to, the largest gain is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.diagnosis.change_size import change_of
from mdtree.diagnosis.diagnoser import Diagnoser
from mdtree.diagnosis.explanation import explaining_tree
from mdtree.diagnosis.recommendation import measured_accuracy
from mdtree.diagnosis.target import target_of
from mdtree.failure_modes import REMEDIES
from mdtree.rows import Row
from mdtree.trees import Leaf, SavedTree
from mdtree.trees.arrays import Floats, first_best
from mdtree.trees.node import ends

__all__ = ["Agreement", "agreement_of_lines", "is_same_gain"]

_QUARTER = 0.25  # of a gain
_POINT = 1.0  # of test accuracy

_Ended = Sequence[tuple[Leaf, NDArray[np.intp]]]  # leaves, and the lines that end there


def is_same_gain(gain: float, other: Floats | float) -> NDArray[np.bool_]:
    """Return whether other gains, in points, are that gain within its tolerance."""
    return np.asarray(np.abs(np.asarray(other) - gain) <= max(_QUARTER * abs(gain), _POINT))


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Which of many lines agree with the first of them."""

    answer: NDArray[np.bool_]  # in the answer
    advice: NDArray[np.bool_]  # in what to change, and what that gains


def agreement_of_lines(diagnoser: Diagnoser, row: Row, lines: Floats) -> Agreement:
    """Compare lines of features with the first of them, which is that of the row."""
    outcomes = diagnoser.ensemble.outcomes(lines)
    places = np.atleast_1d(first_best(outcomes.probabilities))
    modes = np.array(diagnoser.modes(outcomes.probabilities))
    likely = diagnoser.saved.classes[int(places[0])]
    mending = [remedy for remedy, mode in REMEDIES.items() if mode == likely]
    ended = _ended(diagnoser.saved, likely, lines)
    gains = _named(diagnoser.saved, outcomes.gains)
    points = _points(row, ended, gains, mending or list(REMEDIES))
    advice = is_same_gain(float(points[0]), points)
    own = next(leaf for leaf, numbers in ended if 0 in numbers)
    for remedy in mending:
        steps = outcomes.doublings.get(remedy)
        for leaf, numbers in ended:
            advice[numbers] &= _is_same_change(remedy, (leaf, own), row, is_told=steps is not None)
        if steps is not None:
            advice &= np.abs(steps - steps[0]) <= 1.0  # a factor of two
    return Agreement(answer=(modes == modes[0]) & (places == places[0]), advice=advice)


def _named(saved: SavedTree, gains: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return gains as they are printed."""
    model = saved.gain_model
    return {} if model is None else {name: model.within(name, each) for name, each in gains.items()}


def _is_same_change(remedy: str, leaves: tuple[Leaf, Leaf], row: Row, *, is_told: bool) -> bool:
    """Return whether both leaves lead to the same change; a regression tells how far it goes."""
    (fact, factor), (other, other_factor) = (change_of(remedy, leaf, row, None) for leaf in leaves)
    return fact == other and (is_told or factor == other_factor)


def _ended(saved: SavedTree, likely: str, lines: Floats) -> _Ended:
    """Return where the walks of the lines end that explain an answer."""
    columns = {name: place for place, name in enumerate(saved.features)}
    return list(ends(explaining_tree(saved, likely), lines, columns))


def _points(
    row: Row, ended: _Ended, gains: Mapping[str, Floats], remedies: Sequence[str]
) -> Floats:
    """Return the gain in points that each line leads to; 0 where none is named."""
    accuracy, target = measured_accuracy(row), target_of(row)
    most = 100 - (accuracy or 0.0)  # no group can gain more
    points = np.zeros(sum(len(numbers) for _, numbers in ended))
    if not gains:
        for leaf, numbers in ended:
            points[numbers] = max(leaf.gains.get(remedy, 0.0) for remedy in remedies)
    elif accuracy is not None:
        named = [gains[remedy] for remedy in remedies if remedy in gains]
        points = most * np.max([points, *named], axis=0)
    if target is not None and target.gap is not None:
        most = min(most, target.gap)
    return np.minimum(points, most)
