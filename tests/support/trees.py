"""Trees by hand, from leaves and questions."""

from __future__ import annotations

from mdtree.trees import Leaf, SavedTree, Split

LOW, HIGH = "temperature_low", "temperature_high"


def leaf(answer="x", *, gains=None, ways=None, **counts):
    return Leaf(answer=answer, counts=counts, gains=gains or {}, ways=ways or {})


def leaf_of_ten(answer):
    return leaf(answer, **{answer: 10.0})


def split(feature, threshold, low, high, missing="low"):
    return Split(feature=feature, threshold=threshold, low=low, high=high, missing=missing)


def cka_split(low, high, *, feature="cka", threshold=0.5):
    return split(feature, threshold, low, high)


TREE = split(
    "train_error",
    1.0,
    leaf_of_ten(LOW),
    split(
        "cka",
        0.5,
        leaf_of_ten(LOW),
        split("log_hessian_trace", 5.0, leaf_of_ten(LOW), leaf_of_ten(HIGH)),
    ),
)


def small_tree(tree=TREE, features=("train_error", "cka", "log_hessian_trace"), **changes):
    fields = {
        "task": "temperature", "method": "cart", "protocol": "standard-1", "groups": 30,
        "classes": (HIGH, LOW), "ranges": {}, "provenance": {},
    }  # fmt: skip
    return SavedTree(tree=tree, features=features, **{**fields, **changes})
