"""Boosted trees: by hand, walked one by one, and tables that do not belong together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mdtree.trees.boosted_trees import DEEPEST, NEVER_ABOVE, BoostedTrees

CLASSES = ("data_small", "model_small", "none")


def made(**given):
    """Three classes with a tree of one question each."""
    whole = {
        "classes": CLASSES,
        "starts": np.array([0.1, -0.2, 0.0]),
        "features": np.array([[0], [1], [1]]),
        "thresholds": np.array([[0.5], [-1.0], [NEVER_ABOVE]]),
        "missing_low": np.array([[True], [False], [True]]),
        "values": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    }
    return BoostedTrees(**{**whole, **given})


def drawn(rng, *, classes=CLASSES, rounds=6, depth=3, scales=4):
    """Draw trees, some of whose questions send all groups one way."""
    owners = len(classes) - (len(classes) == 2)
    shape = owners * rounds, 2**depth - 1
    thresholds = rng.normal(size=shape).round(3)
    thresholds[rng.random(shape) < 0.2] = NEVER_ABOVE
    return BoostedTrees(
        classes=classes,
        starts=rng.normal(size=owners),
        features=rng.integers(scales, size=shape),
        thresholds=thresholds,
        missing_low=rng.random(shape) < 0.5,
        values=rng.normal(size=(shape[0], shape[1] + 1)),
    )


def walked(trees, line):
    """Return the chances of one line, walked tree by tree and question by question."""
    owners = len(trees.starts)
    scores = [0.0] * (len(trees.classes) - owners) + [float(start) for start in trees.starts]
    rounds = len(trees.features) // owners
    for number in range(len(trees.features)):
        place = 0
        while place < trees.features.shape[1]:
            value = line[trees.features[number, place]]
            if math.isnan(value):
                is_low = bool(trees.missing_low[number, place])
            else:
                is_low = value <= trees.thresholds[number, place]
            place = 2 * place + (1 if is_low else 2)
        owner = len(trees.classes) - owners + number // rounds
        scores[owner] += trees.values[number, place - trees.features.shape[1]]
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


@pytest.mark.parametrize(
    ("line", "scores"),
    [
        ((0.5, -1.0), (1.1, 2.8, 5.0)),  # at most the threshold is low
        ((0.6, -0.9), (2.1, 3.8, 5.0)),
        ((math.nan, math.nan), (1.1, 3.8, 5.0)),
        ((9.0, 9.0), (2.1, 3.8, 5.0)),
    ],
)
def test_chances_are_those_of_the_formula(line, scores):
    chances = made().chances(np.array([line]))
    total = sum(map(math.exp, scores))
    expected = [math.exp(score) / total for score in scores]
    assert [float(chances[name][0]) for name in CLASSES] == pytest.approx(expected)


def test_of_two_classes_the_second_has_trees():
    trees = made(
        classes=CLASSES[:2],
        starts=np.array([0.3]),
        features=np.array([[0], [1]]),
        thresholds=np.array([[0.5], [-1.0]]),
        missing_low=np.ones((2, 1), dtype=bool),
        values=np.array([[1.0, 2.0], [3.0, 4.0]]),
    )
    chances = trees.chances(np.array([[0.0, 0.0]]))
    assert chances["model_small"] == pytest.approx([1 / (1 + math.exp(-5.3))])
    assert chances["data_small"] == pytest.approx(1 - chances["model_small"])


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2]])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
def test_many_lines_are_walked_as_one_by_one(depth, classes, count):
    rng = np.random.default_rng(depth * count)
    trees = drawn(rng, classes=classes, depth=depth)
    lines = rng.normal(size=(count, 4))
    lines[rng.random(lines.shape) < 0.3] = np.nan
    given = np.column_stack([trees.chances(lines)[name] for name in classes])
    assert given == pytest.approx(np.array([walked(trees, line) for line in lines]))
    assert given.sum(axis=1) == pytest.approx(np.ones(count))


def test_no_lines_have_no_chances():
    assert [len(values) for values in made().chances(np.zeros((0, 2))).values()] == [0, 0, 0]


def test_scores_may_be_large():
    trees = made(values=np.array([[800.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert float(trees.chances(np.zeros((1, 2)))["data_small"][0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "given",
    [
        {"features": np.zeros((3, 2), dtype=int)},
        {"features": np.zeros((3, 0), dtype=int)},
        {"features": np.array([[0], [-1], [1]])},
        {"features": np.zeros((3, 2 ** (DEEPEST + 1) - 1), dtype=int)},
        {"thresholds": np.zeros((3, 2))},
        {"missing_low": np.zeros((2, 1), dtype=bool)},
        {"values": np.zeros((3, 3))},
        {"starts": np.zeros(2)},
        {"classes": CLASSES[:1], "starts": np.zeros(1)},
        {"classes": (*CLASSES, "temperature_low"), "starts": np.zeros(4)},
    ],
)
def test_tables_that_do_not_belong_together_are_refused(given):
    with pytest.raises(ValueError, match="boosted tree"):
        made(**given)


def test_too_few_features_are_refused():
    with pytest.raises(ValueError, match="ask for feature 1, of 1"):
        made().chances(np.zeros((2, 1)))
