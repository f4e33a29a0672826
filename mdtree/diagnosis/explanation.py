"""Explanation: the decision path of one group through a tree, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from mdtree.diagnosis.verdict_record import DecisionStep
from mdtree.messages import number, scaled
from mdtree.trees import FEATURES, Leaf, Node, SavedTree, Step, leaves, walk
from mdtree.trees.node import KNOWN

__all__ = ["decision_steps", "explaining_tree"]

_ROUNDING = 1e-9  # a smaller relative error comes from arithmetic


def decision_steps(
    saved: SavedTree, values: Mapping[str, float], errors: Mapping[str, float], likely: str
) -> tuple[tuple[DecisionStep, ...], Leaf]:
    """Walk from the root to a leaf; `errors` are the standard errors of the features."""
    missing_note = "most training groups"
    if saved.components:
        missing_note = "most training groups with this answer"
    steps, leaf = walk(explaining_tree(saved, likely), values)
    return tuple(
        _decision_step(step, errors.get(step.feature, 0.0), missing_note) for step in steps
    ), leaf


def explaining_tree(saved: SavedTree, likely: str) -> Node:
    """Return the tree whose walk explains an answer.

    A single tree has its own side for a missing feature.  The answer of a posterior rests on all
    known features, so its walk takes the side on which most training groups had that answer.
    """
    return _toward_answer(saved.tree, likely) if saved.components else saved.tree


def _toward_answer(node: Node, answer: str) -> Node:
    if isinstance(node, Leaf):
        return node
    low, high = (
        sum(leaf.counts.get(answer, 0.0) for leaf in leaves(side) if leaf.answer == answer)
        for side in (node.low, node.high)
    )
    missing: Literal["low", "high"] = node.missing
    if low != high:
        missing = "low" if low > high else "high"
    return replace(
        node,
        low=_toward_answer(node.low, answer),
        high=_toward_answer(node.high, answer),
        missing=missing,
    )


def _decision_step(step: Step, stderr: float, missing_note: str) -> DecisionStep:
    stderr = 0.0 if stderr <= _ROUNDING * max(abs(step.value), 1e-3) else stderr
    known = not math.isnan(step.value)
    exact = step.threshold == KNOWN or not known or stderr == 0
    return DecisionStep(
        feature=step.feature,
        value=step.value if known else None,
        stderr=None if exact else stderr,
        threshold=step.threshold,
        went=step.went,
        says=_sentence(step, stderr, missing_note),
        flips_at=None if exact else abs(step.value - step.threshold) / stderr,
    )


def _sentence(step: Step, stderr: float, missing_note: str) -> str:
    feature = FEATURES[step.feature]
    name = feature.name.removeprefix("log_" if feature.logarithm else "").replace("_", " ")
    if step.threshold == KNOWN:
        return f"{name} is {'known' if step.went == 'low' else 'not known'}"
    meaning = feature.low if step.went == "low" else feature.high
    unit = f" {feature.unit}" if feature.unit else ""
    value, threshold, error = step.value, step.threshold, stderr
    if feature.logarithm:  # people know the number itself
        value, threshold, error = (math.exp(min(x, 700.0)) for x in (value, threshold, stderr))
    sign = "<=" if step.went == "low" else ">"
    if math.isnan(step.value):
        return f"{name} is not known: {missing_note} have {sign} {threshold:.4g}{unit}"
    written = scaled(value, error) if feature.logarithm else number(value, error)
    return f"{name} {written}{unit} {sign} {threshold:.4g}{unit}: {meaning}"
