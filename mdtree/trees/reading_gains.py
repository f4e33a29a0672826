"""Reading the regression of gains in a tree file: what is packed is unpacked and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mdtree.failure_modes import COMPARISONS, REMEDIES, TASKS
from mdtree.trees.arrays import Floats
from mdtree.trees.boosted_trees import DEEPEST, BoostedTrees
from mdtree.trees.features import FEATURES
from mdtree.trees.file_numbers import STRICT, Limits, Number, Positive, Share, unpacked
from mdtree.trees.gain_model import STEPS, GainModel, GainRange
from mdtree.trees.gain_shares import GainScale
from mdtree.trees.kernel_regression import KernelRegression, QuantileScale

__all__ = ["PlainGainModel", "gain_model"]

_CLASSES = frozenset(name for task in TASKS.values() for name in task.classes)
_TARGETS = {*REMEDIES, *STEPS.values(), *_CLASSES, *COMPARISONS}
_MOST_CENTRES = 10_000
_MOST_TREES = 100_000  # boosted ones
_MOST_LEAVES = 1 << 18  # of them together
_LARGEST_WEIGHT = 1e300
_FARTHEST = 1e6  # of a centre, on a scale where few are beyond 3


@dataclass(frozen=True, kw_only=True, eq=False)
class _PlainBoostedTrees:
    """The form of boosted trees in a file."""

    __pydantic_config__ = STRICT

    classes: Annotated[list[str], Limits(min_length=2, max_length=len(_CLASSES))]
    starts: list[Number]
    trees: Annotated[int, Limits(ge=1, le=_MOST_TREES, strict=True)]
    depth: Annotated[int, Limits(ge=1, le=DEEPEST, strict=True)]
    features: str  # packed, as the rest
    thresholds: str
    missing_low: str
    values: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainGainModel:
    """The form of a regression of gains in a file."""

    __pydantic_config__ = STRICT

    scale: GainScale
    levels: dict[str, Share]
    spread: dict[str, Annotated[tuple[GainRange, ...], Limits(max_length=1000)]]
    width: Positive
    means: dict[str, Number]
    quantiles: dict[str, Annotated[list[Number], Limits(min_length=1, max_length=1000)]]
    # packed, or plain numbers as in trees of earlier versions
    weights: dict[str, Annotated[list[Number], Limits(max_length=_MOST_CENTRES)] | str]
    centres: Annotated[list[str], Limits(max_length=_MOST_CENTRES)] | str
    count: Annotated[int, Limits(ge=0, le=_MOST_CENTRES, strict=True)] | None = (
        None  # of packed centres
    )
    boosted: _PlainBoostedTrees | None = None


def gain_model(part: PlainGainModel, features: Sequence[str]) -> GainModel:
    """Build a regression of gains; raise ValueError if its parts do not belong together."""
    return GainModel(
        regression=_regression(part, features),
        scale=part.scale,
        boosted=None if part.boosted is None else _boosted_trees(part.boosted, len(part.quantiles)),
        spread=part.spread,
        levels=part.levels,
    )


def _boosted_trees(part: _PlainBoostedTrees, scales: int) -> BoostedTrees:
    for name in part.classes:
        if name not in _CLASSES or part.classes.count(name) > 1:
            raise ValueError(f"its boosted trees answer {name!r:.60}, which is no class, or twice")
    if part.trees << part.depth > _MOST_LEAVES:
        raise ValueError(f"its boosted trees have more than {_MOST_LEAVES} leaves")
    shape = part.trees, 2**part.depth - 1
    features = unpacked(part.features, shape)
    whole = features == np.floor(features)
    if not (whole & (features >= 0) & (features < scales)).all():
        raise ValueError(f"its boosted trees must ask for one of {scales} features")
    numbers = unpacked(part.thresholds, shape), unpacked(part.values, (shape[0], shape[1] + 1))
    if not all((np.abs(each) <= _FARTHEST).all() for each in numbers):
        raise ValueError(f"its boosted trees must hold numbers up to {_FARTHEST:g}")
    thresholds, values = numbers
    return BoostedTrees(
        classes=part.classes,
        starts=np.array(part.starts, dtype=float),
        features=features.astype(np.intp),
        thresholds=thresholds,
        missing_low=unpacked(part.missing_low, shape) > 0,
        values=values,
    )


def _regression(part: PlainGainModel, features: Sequence[str]) -> KernelRegression:
    for name in part.quantiles:
        if name not in FEATURES or name not in features:
            raise ValueError(f"it asks for {name!r:.60}, which is not among its features")
    for name in part.weights:
        if name not in _TARGETS:
            raise ValueError(f"it holds the gain of {name!r:.60}, which is not a remedy")
    centres = _centres(part)
    return KernelRegression(
        scales={
            features.index(name): QuantileScale(quantiles=np.array(quantiles))
            for name, quantiles in part.quantiles.items()
        },
        centres=centres if len(centres) else np.zeros((0, len(part.quantiles))),
        width=part.width,
        means=part.means,
        weights={
            target: _weights(weights, len(centres)) for target, weights in part.weights.items()
        },
    )


def _centres(part: PlainGainModel) -> Floats:
    if isinstance(part.centres, str):
        if part.count is None:
            raise ValueError("packed centres need their `count`")
        centres = unpacked(part.centres, (part.count, len(part.quantiles)))
        if not (np.abs(centres) <= _FARTHEST).all():
            raise ValueError(f"its centres must be numbers up to {_FARTHEST:g}")
        return centres
    lines = [[_finite(word) for word in line.split(" ")] for line in part.centres]
    if len({len(line) for line in lines}) > 1:
        raise ValueError("its centres must all have the same length")
    return np.array(lines)


def _weights(weights: str | list[float], count: int) -> Floats:
    if not isinstance(weights, str):
        return np.array(weights)
    numbers = unpacked(weights, (count, 1)).reshape(-1)
    if not (np.abs(numbers) <= _LARGEST_WEIGHT).all():
        raise ValueError(f"its weights must be finite numbers, up to {_LARGEST_WEIGHT:g}")
    return numbers


def _finite(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not abs(number) <= _FARTHEST:
        raise ValueError(f"a centre holds {word!r:.60}, which is not a number up to {_FARTHEST:g}")
    return number
