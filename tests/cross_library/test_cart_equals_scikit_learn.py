"""CART as data predicts exactly as the tree of scikit-learn from which it was read."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from mdtree.failure_modes import TASKS
from mdtree.labelling import room_for_improvement
from mdtree.rows import rows_from_csv
from mdtree.trees import LANDSCAPE, CartTree, feature_matrix
from mdtree.trees.node import weight_of
from tests.support.cases import drawn_classes


@pytest.mark.parametrize("missing", [0, 0.2, 0.7])
@pytest.mark.parametrize("seed", range(8))
def test_it_predicts_exactly_as_scikit_learn_also_with_missing_values(seed, missing):
    X, y = drawn_classes(seed, missing=missing)
    asked = np.vstack([X, drawn_classes(seed + 100, lines=300, missing=0.3)[0] + 0.03])
    ours = CartTree(max_depth=2 + seed % 4, seed=seed).fit(X, y)
    theirs = DecisionTreeClassifier(max_depth=2 + seed % 4, random_state=seed).fit(X, y)
    assert (ours.predict(asked) == theirs.predict(asked)).all()
    np.testing.assert_allclose(
        ours.predict_proba(asked), theirs.predict_proba(asked), rtol=0, atol=1e-12
    )


def test_it_predicts_as_scikit_learn_on_the_published_table(published_table):
    rows = rows_from_csv(published_table, protocol="paper-1").rows
    X = feature_matrix(rows, LANDSCAPE)
    y = np.array([TASKS["failure"].answer(room) for room in room_for_improvement(rows)])
    ours = CartTree(features=LANDSCAPE).fit(X[::3], y[::3])
    theirs = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X[::3], y[::3])
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert weight_of(ours.tree_) == len(X[::3])
