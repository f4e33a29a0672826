"""Fitting: labelled rows become a tree that can be saved, shown and applied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdtree.exceptions import ProtocolError, TreeError
from mdtree.failure_modes import REMEDIES, TASKS, RoomForImprovement
from mdtree.fit_methods import FIT_METHODS
from mdtree.labelling import accuracy_of
from mdtree.messages import nearest
from mdtree.rows import Row, one_protocol
from mdtree.trees import (
    COMPARABLE,
    FACT_FEATURES,
    FAMILIES,
    LANDSCAPE,
    PUBLISHED,
    TRAINING,
    CartTree,
    GainRegression,
    PosteriorTree,
    PublishedTree,
    SavedTree,
    TrainingDistribution,
    TreeEstimator,
    feature_matrix,
    mixed,
    template_features,
    training_distribution,
    with_gains,
)
from mdtree.trees.estimators.known_gains import Margins
from mdtree.trees.examples import labelled, refuse_labels, warned_of_examples
from mdtree.trees.gain_model import NOISE
from mdtree.trees.ood import ranges_of
from mdtree.version import __version__

__all__ = [
    "doublings",
    "features_of",
    "fit_tree",
    "make_estimator",
    "relative_gains",
    "relative_margins",
    "usual_method",
]

_PUBLISHED = "paper-1"  # the protocol for which the beliefs of the published templates hold
_LEAST_ERROR = 1e-6  # percent, so that no error leaves nothing to gain
_CUTS = {"posterior": 24, "grown": 5}  # most thresholds of each question from the data


def fit_tree(
    rows: Sequence[Row],
    *,
    task: str = "temperature",
    method: str | None = None,
    facts: bool = False,
    prior: SavedTree | None = None,
    provenance: dict[str, str] | None = None,
    features: Sequence[str] | None = None,
    allow_protocol_mismatch: bool = False,
) -> SavedTree:
    """Label the rows of a grid by their room for improvement, and fit a tree to the labels.

    Args:
        rows: The rows, all of one protocol.
        task: The question that the tree answers.
        method: The method; None: `posterior` for the protocol of the published tables, whose
            numbers its beliefs are about, and `grown` for all others.
        facts: Let the tree ask for the parameter count and the data amount as well.
        prior: An earlier posterior to start from.
        provenance: Remarks to store in the tree.
        features: The features that gains may be learnt from.
        allow_protocol_mismatch: Accept a prior of another protocol; the tree keeps a warning.

    Raises:
        TreeError: If the options do not fit together, or no tree can be fitted.
        RowsError: If the rows cannot be labelled.
        ProtocolError: If the rows have several protocols, or another one than the prior.

    """
    protocol = one_protocol(rows)
    if method is None:
        method = usual_method(protocol, task) if prior is None else "posterior"
    _check(task, method, prior, facts=facts)
    if method == "gains":
        refuse_labels(rows)
        rows = sorted(rows, key=lambda row: (repr(row.facts.get("zoo")), row.group))
    remarks = {**_inherited(prior), **(provenance or {})}
    if prior is not None and prior.protocol != protocol:
        message = f"the prior tree has protocol {prior.protocol!r} and the rows have {protocol!r}"
        if not allow_protocol_mismatch:
            raise ProtocolError(
                f"{message}: numbers of different protocols are not comparable. Measure again, "
                "or add --allow-protocol-mismatch"
            )
        remarks["WARNING"] = message
    asked = features_of(task, method, features, facts=facts) if prior is None else prior.features
    labelled_rows, answers, rooms = labelled(rows, task)
    matrix = feature_matrix(labelled_rows, asked)
    estimator = make_estimator(task, method, asked, facts=facts, prior=prior)
    extra: dict[str, Any] = {}
    if isinstance(estimator, GainRegression):
        extra = {
            "gains": relative_gains(labelled_rows, rooms),
            "doublings": doublings(rooms),
            "margins": relative_margins(labelled_rows, rooms),
            "zoos": [row.facts.get("zoo") for row in labelled_rows],
            "classes": TASKS[task].classes,
        }
        rooms = [room.known for room in rooms]
    try:
        estimator.fit(matrix, np.array(answers), **extra)
    except ValueError as error:
        raise TreeError(f"no tree can be fitted for task {task!r}: {error}") from error
    tree = with_gains(
        estimator.tree_,
        matrix,
        estimator.columns(len(asked)),
        rooms,
        earlier=None if prior is None else prior.tree,
    )
    if method != "gains" and prior is None:
        remarks |= warned_of_examples(answers, estimator, matrix)
    return SavedTree(
        task=task,
        method=method if prior is None else prior.method,
        protocol=one_protocol(labelled_rows),
        classes=tuple(map(str, estimator.classes_)),
        features=tuple(asked),
        groups=len(labelled_rows) + (prior.groups if prior is not None else 0),
        ranges=_ranges(matrix, asked, prior),
        provenance={"mdtree": __version__, **remarks},
        tree=tree,
        components=tuple(getattr(estimator, "components_", ())),
        population=_distribution(matrix, asked, prior),
        gain_model=getattr(estimator, "model_", None),
    )


def relative_gains(
    rows: Sequence[Row], rooms: Sequence[RoomForImprovement]
) -> dict[str, NDArray[np.float64]]:
    """Return the gain of each remedy relative to each row's test error, 0 to 1; NaN if unknown.

    >>> from mdtree.labelling import room_for_improvement
    >>> from mdtree.trees.bundled import shipped_rows
    >>> rows = shipped_rows("digits-standard-1")
    >>> gains = relative_gains(rows, room_for_improvement(rows))
    >>> sorted(gains)
    ['add_data', 'enlarge_model', 'lower_temperature', 'raise_temperature']
    """
    errors = np.array([100 - accuracy_of(row) for row in rows])
    possible = np.where(errors > 0, errors, math.inf)
    known = [room.known.gains for room in rooms]
    return {
        remedy: np.clip(np.array([gains.get(remedy, math.nan) for gains in known]) / possible, 0, 1)
        for remedy in REMEDIES
    }


def relative_margins(rows: Sequence[Row], rooms: Sequence[RoomForImprovement]) -> Margins:
    """Return the margins of gains, relative to each row's test error."""
    errors = np.maximum([100 - accuracy_of(row) for row in rows], _LEAST_ERROR)
    least = np.array([room.margin for room in rooms]) / errors
    return Margins(least=least, hiding=np.array([room.noisy for room in rooms]))


def doublings(rooms: Sequence[RoomForImprovement]) -> dict[str, NDArray[np.float64]]:
    """Return how often each remedy's fact is doubled or halved up to its best gain.

    It is NaN where that gain is unknown or within the noise.

    >>> from mdtree.failure_modes import Move
    >>> moves = {"add_data": Move("data_amount", 8.0)}
    >>> room = RoomForImprovement(gains={"add_data": 3.0}, step={}, margin=0.5, moves=moves)
    >>> doublings([room])["add_data"].tolist()
    [3.0]
    """
    return {
        remedy: np.array([_doublings(room, remedy) for room in rooms], dtype=float)
        for remedy in REMEDIES
    }


def _doublings(room: RoomForImprovement, remedy: str) -> float:
    move = room.moves.get(remedy)
    if move is None or remedy in room.unknown or room.gains[remedy] <= room.margin:
        return math.nan
    return abs(math.log2(move.factor))


def _check(task: str, method: str, prior: SavedTree | None, *, facts: bool) -> None:
    if task not in TASKS:
        raise TreeError(
            f"task {task!r} is unknown{nearest(task, TASKS)} (known: {', '.join(TASKS)})"
        )
    if method not in FIT_METHODS:
        raise TreeError(
            f"method {method!r} is unknown{nearest(method, FIT_METHODS)} "
            f"(known: {', '.join(FIT_METHODS)})"
        )
    if method == "mdtree" and task not in PUBLISHED:
        raise TreeError(f"the published method has no tree for task {task!r}: use posterior")
    if method == "posterior" and task not in FAMILIES and prior is None:
        raise TreeError(f"there are no published questions for task {task!r}: use gains or grown")
    if facts and method == "mdtree":
        raise TreeError("the published trees use no facts: leave out --facts")
    if prior is None:
        return
    if facts and not set(FACT_FEATURES) <= set(prior.features):
        raise TreeError("the prior was fitted without facts, and a posterior keeps its questions")
    if method != "posterior" or not prior.components:
        raise TreeError(
            "only a posterior can start from a prior, and the prior must be a posterior too "
            "(fitted with --tree posterior or grown)"
        )
    if prior.task != task:
        raise TreeError(
            f"the prior answers task {prior.task!r}, not {task!r}: use --task {prior.task}"
        )


def features_of(
    task: str, method: str, features: Sequence[str] | None, *, facts: bool
) -> tuple[str, ...]:
    """Return the features that a method may ask for."""
    if method == "mdtree":
        return template_features(PUBLISHED[task])
    if method == "gains":
        asked = (*(features or COMPARABLE), *(TRAINING if facts else ()), NOISE)
        return tuple(dict.fromkeys(asked))
    return (*LANDSCAPE, *FACT_FEATURES) if facts else LANDSCAPE


def _inherited(prior: SavedTree | None) -> dict[str, str]:
    """Return the remarks of a prior that still hold for a tree that starts from it."""
    if prior is None:
        return {}
    dropped = ("accuracy", "mdtree")  # only true for the prior itself
    return {key: remark for key, remark in prior.provenance.items() if key not in dropped}


def usual_method(protocol: str, task: str = "failure") -> str:
    """Return the default method for rows of a protocol."""
    return "posterior" if protocol == _PUBLISHED and task in FAMILIES else "grown"


def make_estimator(
    task: str,
    method: str,
    features: Sequence[str],
    *,
    facts: bool = False,
    prior: SavedTree | None = None,
) -> TreeEstimator:
    """Make the estimator of a method for columns of these features."""
    if method == "cart":
        return CartTree(features=features)
    if method == "gains":
        return GainRegression(features=features)
    if method == "mdtree":
        return PublishedTree(shape=task, features=features)
    return PosteriorTree(
        task=task,
        features=features,
        facts=facts,
        family="grown" if method == "grown" else None,
        most_cuts=_CUTS[method],
        prior=None if prior is None else prior.components,
    )


def _distribution(
    matrix: NDArray[np.float64], features: Sequence[str], prior: SavedTree | None
) -> TrainingDistribution | None:
    """Describe the groups, together with those of the prior."""
    new = training_distribution(matrix, features)
    if prior is None:
        return new
    return mixed(prior.population, prior.groups, new, len(matrix))


def _ranges(
    matrix: NDArray[np.float64], features: Sequence[str], prior: SavedTree | None
) -> dict[str, tuple[float, float]]:
    """Return the range of each feature in the groups, including those of the prior."""
    ranges = ranges_of(matrix, features)
    for name, (low, high) in (prior.ranges if prior is not None else {}).items():
        own_low, own_high = ranges.get(name, (low, high))
        ranges[name] = (min(low, own_low), max(high, own_high))
    return ranges
