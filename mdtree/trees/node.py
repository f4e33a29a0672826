"""Trees as plain data: a node is a Split or a Leaf; the walk that predicts is the explanation."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mdtree.failure_modes import Move, RoomForImprovement
from mdtree.trees.file_numbers import STRICT, Count, Limits

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "KNOWN",
    "Leaf",
    "Node",
    "OneKind",
    "RemedyGain",
    "Split",
    "Step",
    "ends",
    "kind",
    "leaves",
    "walk",
    "weight_of",
    "with_gains",
]

KNOWN = sys.float_info.max  # a threshold above every known value: the question is "is it known?"


@dataclass(frozen=True, kw_only=True)
class RemedyGain:
    """What one remedy gained the groups of a leaf, and how large a change it took."""

    __pydantic_config__ = STRICT

    low: float  # points; four in five groups gain between low and high
    high: float
    fact: str | None = None  # what is changed most often
    # new value / old value, the median of those who gain
    factor: Annotated[float, Limits(gt=0, le=1e12)] | None = None


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """The end of a walk, with the training groups that ended here."""

    __pydantic_config__ = STRICT

    answer: str  # the class
    counts: Mapping[str, Count]  # class -> groups
    gains: Mapping[str, float] = field(default_factory=dict)  # remedy -> mean gain, in points
    ways: Mapping[str, RemedyGain] = field(default_factory=dict)  # remedy -> how the gains spread


@dataclass(frozen=True, kw_only=True)
class Split:
    """A question: whether the feature is at most the threshold."""

    __pydantic_config__ = STRICT

    feature: str
    threshold: float
    low: Node  # for values <= threshold
    high: Node
    missing: Literal["low", "high"] = "low"  # the side of most training groups


def kind(content: Any) -> str:
    """Return the kind of a node, also in JSON: `split` or `leaf`."""
    asks = "feature" in content if isinstance(content, dict) else hasattr(content, "feature")
    return "split" if asks else "leaf"


class OneKind:
    """In an annotation of two classes: pydantic only tells the faults of the kind that is there."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return what pydantic makes of the two classes."""
        from pydantic import Discriminator, Tag

        split, leaf = get_args(source)
        annotated: Any = Annotated  # of types that are known only here
        kinds = annotated[split, Tag("split")] | annotated[leaf, Tag("leaf")]
        return handler.generate_schema(annotated[kinds, Discriminator(kind)])


Node = Annotated[Split | Leaf, OneKind()]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a walk."""

    feature: str
    value: float  # NaN: missing
    threshold: float
    went: str  # low | high


def walk(node: Node, values: Mapping[str, float]) -> tuple[list[Step], Leaf]:
    """Follow one group from the root to its leaf."""
    steps: list[Step] = []
    while isinstance(node, Split):
        value = values.get(node.feature, math.nan)
        went = node.missing if math.isnan(value) else ("low" if value <= node.threshold else "high")
        steps.append(Step(feature=node.feature, value=value, threshold=node.threshold, went=went))
        node = node.low if went == "low" else node.high
    return steps, node


def leaves(node: Node) -> Iterator[Leaf]:
    """Yield the leaves from low to high."""
    if isinstance(node, Leaf):
        yield node
    else:
        yield from leaves(node.low)
        yield from leaves(node.high)


def with_gains(
    node: Node,
    matrix: NDArray[np.float64],
    columns: Mapping[str, int],
    rooms: Sequence[RoomForImprovement],
    *,
    earlier: Node | None = None,
) -> Node:
    """Return the tree with the room for improvement of the groups that end in each leaf.

    A leaf keeps the gains of an `earlier` tree of the same structure if that had more groups.
    """

    def filled(part: Node, lines: NDArray[np.intp], old: Node | None) -> Node:
        if isinstance(part, Leaf):
            leaf_rooms = [rooms[line] for line in lines]
            filled_leaf = replace(
                part, gains=_means([room.gains for room in leaf_rooms]), ways=_ways(leaf_rooms)
            )
            if not isinstance(old, Leaf) or not old.gains:
                return filled_leaf
            keep_old = not filled_leaf.gains or weight_of(old) >= len(leaf_rooms)
            return replace(part, gains=old.gains, ways=old.ways) if keep_old else filled_leaf
        low = _goes_low(part, matrix[lines, columns[part.feature]])
        sides = (old.low, old.high) if isinstance(old, Split) else (None, None)
        return replace(
            part,
            low=filled(part.low, lines[low], sides[0]),
            high=filled(part.high, lines[~low], sides[1]),
        )

    return filled(node, np.arange(len(matrix)), earlier)


def weight_of(node: Node) -> float:
    """Count the training groups below a node."""
    return sum(sum(leaf.counts.values()) for leaf in leaves(node))


def ends(
    node: Node, matrix: NDArray[np.float64], columns: Mapping[str, int]
) -> Iterator[tuple[Leaf, NDArray[np.intp]]]:
    """Yield each leaf with the lines of a matrix that end in it."""
    yield from _ends(node, matrix, columns, np.arange(len(matrix)))


def _ends(
    node: Node,
    matrix: NDArray[np.float64],
    columns: Mapping[str, int],
    lines: NDArray[np.intp],
) -> Iterator[tuple[Leaf, NDArray[np.intp]]]:
    if isinstance(node, Leaf):
        yield node, lines
        return
    low = _goes_low(node, matrix[lines, columns[node.feature]])
    yield from _ends(node.low, matrix, columns, lines[low])
    yield from _ends(node.high, matrix, columns, lines[~low])


def _goes_low(split: Split, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((values <= split.threshold) | (np.isnan(values) & (split.missing == "low")))


def _means(gains: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean gain of each remedy, over the groups for which it is known.

    It is rounded to a ten-thousandth of a point, far below any noise.
    """
    remedies = sorted({remedy for group_gains in gains for remedy in group_gains})
    return {
        remedy: round(float(np.mean([known[remedy] for known in gains if remedy in known])), 4)
        for remedy in remedies
    }


_TAIL = 10  # percent of the groups on either side of a way's ends


def _ways(rooms: Sequence[RoomForImprovement]) -> dict[str, RemedyGain]:
    """Return how the gains of each remedy spread over the groups, and which change led to them."""
    ways = {}
    for remedy in sorted({remedy for room in rooms for remedy in room.gains}):
        gains = [room.gains[remedy] for room in rooms if remedy in room.gains]
        low, high = (round(float(end), 4) for end in np.percentile(gains, (_TAIL, 100 - _TAIL)))
        moves = [room.moves[remedy] for room in rooms if remedy in room.moves]
        ways[remedy] = RemedyGain(low=low, high=high, **_most_frequent_change(moves))
    return ways


def _most_frequent_change(moves: Sequence[Move]) -> dict[str, Any]:
    """Return the fact that is changed most often, and its median factor."""
    if not moves:
        return {}
    facts = [move.fact for move in moves]
    fact = max(sorted(set(facts)), key=facts.count)
    factors = [move.factor for move in moves if move.fact == fact]
    return {"fact": fact, "factor": float(f"{statistics.median(factors):.4g}")}
