"""Grown shapes: questions come from the data, and many of them are averaged."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.trees import PosteriorTree, probabilities, read_tree, template_features, write_tree
from mdtree.trees.bundled import shipped_rows
from mdtree.trees.estimators.cart import grow_template
from mdtree.trees.fit import fit_tree, usual_method
from mdtree.trees.template import questions_of

FEATURES = ("train_error", "connectivity", "cka", "log_hessian_top")
CLASSES = ("temperature_high", "temperature_low")


def sample(count, seed=0):
    """High where a network does not fit and its outputs are alike, or fits and they are not.

    No single question helps: the two features only say something together.
    """
    rng = np.random.default_rng(seed)
    matrix = np.column_stack(
        [
            10 ** rng.uniform(-2, 2, count),
            rng.normal(size=count),
            rng.uniform(size=count),
            rng.normal(size=count),
        ]
    )
    high = (matrix[:, 0] > 1.3) == (matrix[:, 2] > 0.4)
    return matrix, np.where(high, *CLASSES)


def fitted(matrix, labels, **changes):
    return PosteriorTree(features=FEATURES, family="grown", most_cuts=5, **changes).fit(
        matrix, labels
    )


def test_questions_that_no_published_shape_asks_are_found():
    tree = fitted(*sample(300))
    matrix, labels = sample(400, seed=1)
    assert (tree.predict(matrix) == labels).mean() > 0.9
    published = PosteriorTree(features=FEATURES).fit(*sample(300))
    assert (published.predict(matrix) == labels).mean() < 0.65


def test_the_shares_of_the_shapes_add_up_and_equal_shapes_are_one():
    matrix, labels = sample(80)
    family = grow_template(matrix, (labels == CLASSES[1]).astype(int), CLASSES, FEATURES, depth=1)
    shares = [share for share, _ in family.shapes]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert len({shape for _, shape in family.shapes}) == len(family.shapes)


def test_the_same_groups_grow_the_same_shapes_and_another_seed_others():
    matrix, labels = sample(80)
    codes = (labels == CLASSES[1]).astype(int)
    one, same = (grow_template(matrix, codes, CLASSES, FEATURES, seed=3) for _ in range(2))
    assert one == same
    assert one != grow_template(matrix, codes, CLASSES, FEATURES, seed=4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_way_down_is_longer_than_the_depth(depth):
    matrix, labels = sample(200)
    codes = (labels == CLASSES[1]).astype(int)
    for _, shape in grow_template(matrix, codes, CLASSES, FEATURES, depth=depth).shapes:
        assert sum(1 for _ in questions_of(shape)) <= 2**depth - 1
        assert all(ask.bounds[0] <= ask.start <= ask.bounds[1] for ask in questions_of(shape))


def test_a_feature_that_is_never_known_is_never_asked_for():
    matrix, labels = sample(120)
    matrix[:, 1] = np.nan
    tree = fitted(matrix, labels)
    asked = {name for _, binned in tree.components_ for name in template_features(binned.shape)}
    assert "connectivity" not in asked
    assert np.isfinite(tree.predict_proba(matrix)).all()


def test_whether_a_feature_is_known_is_no_question():
    matrix, labels = sample(120)
    matrix[:, 1] = np.where(labels == CLASSES[0], 0.5, np.nan)  # it would tell all
    codes = (labels == CLASSES[1]).astype(int)
    family = grow_template(matrix, codes, CLASSES, FEATURES)
    asked = (
        {ask.feature for _, shape in family.shapes for ask in questions_of(shape)}
        if family
        else set()
    )
    assert "connectivity" not in asked


@pytest.mark.parametrize("what", ["one class", "groups that are all alike"])
def test_where_nothing_tells_groups_apart_the_published_questions_are_asked(what):
    matrix, labels = sample(30)
    if what == "one class":
        labels[:] = CLASSES[0]
    else:
        matrix[:] = 1.0
    codes = (labels == CLASSES[1]).astype(int)
    assert grow_template(matrix, codes, CLASSES, FEATURES) is None
    asked = {binned.shape for _, binned in fitted(matrix, labels).components_}
    usual = PosteriorTree(features=FEATURES).fit(matrix, labels)
    assert asked == {binned.shape for _, binned in usual.components_}


def test_a_grown_tree_is_read_as_it_was_written(tmp_path):
    rows = shipped_rows("digits-standard-1")
    saved = fit_tree(rows, task="temperature")
    assert saved.method == "grown"
    write_tree(tmp_path / "t.json", saved)
    read = read_tree(tmp_path / "t.json")
    matrix = saved.matrix(rows)
    assert probabilities(read, matrix) == pytest.approx(probabilities(saved, matrix), abs=1e-12)


def test_beliefs_about_the_published_numbers_are_for_them_alone():
    assert [usual_method(name) for name in ("paper-1", "standard-1")] == ["posterior", "grown"]
