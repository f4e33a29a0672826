"""Trees of one or two questions."""

from __future__ import annotations

from mdtree.trees import Leaf, SavedTree, Split

LOW, HIGH = "temperature_low", "temperature_high"


def leaf(answer):
    return Leaf(answer=answer, counts={answer: 10.0})


TREE = Split(
    feature="train_error",
    threshold=1.0,
    low=leaf(LOW),
    high=Split(
        feature="cka",
        threshold=0.5,
        low=leaf(LOW),
        high=Split(feature="log_hessian_trace", threshold=5.0, low=leaf(LOW), high=leaf(HIGH)),
    ),
)


def small_tree(tree=TREE, features=("train_error", "cka", "log_hessian_trace"), **changes):
    fields = {
        "task": "temperature", "method": "cart", "protocol": "standard-1", "groups": 30,
        "classes": (HIGH, LOW), "ranges": {}, "provenance": {},
    }  # fmt: skip
    return SavedTree(tree=tree, features=features, **{**fields, **changes})
