"""The published method, against the reference implementation's own figures, and its edges."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from mdtree.exceptions import MdtreeError
from mdtree.failure_modes import TASKS
from mdtree.labelling import room_for_improvement
from mdtree.rows import rows_from_csv
from mdtree.trees import (
    LANDSCAPE,
    PUBLISHED,
    PublishedTree,
    feature_matrix,
    leaves,
    template_features,
)
from mdtree.trees.node import weight_of
from mdtree.trees.template import answers
from tests.support.paths import DATA

SETTINGS = (
    "temperature-random-96",
    "temperature-random-12",
    "temperature-data-at-most-1",
    "temperature-width-at-most-2",
    "temperature-cka-random-96",
    "width-random-1",
    "width-data-at-most-1",
    "data-random-1",
)
TASK_OF = {"bs_failure": "temperature", "width_vs_batch": "width", "data_vs_batch": "data"}
LOW, HIGH = "temperature_low", "temperature_high"


@pytest.fixture(scope="module")
def table(published_table):
    rows = rows_from_csv(published_table, protocol="paper-1").rows
    rooms = room_for_improvement(rows)
    labels = {
        task: np.array([str(TASKS[task].answer(room)) for room in rooms])
        for task in TASK_OF.values()
    }
    cells = np.array([[row.facts["data_amount"], row.facts["width"]] for row in rows])
    reference = json.loads((DATA / "reference_fit_clean.json").read_text())
    return rows, cells, labels, reference


def drawn(setting, cells, seed):
    """Say which rows the reference was trained on: NumPy's legacy global generator chose them."""
    np.random.seed(seed)  # noqa: NPY002 - the published generator
    choice = np.random.choice
    data, width = cells.T
    kind, factor = setting["sampling"], setting["factor"]
    if kind == "data_limit":
        return data <= 5000 * factor
    if kind == "width_limit":
        return width <= factor
    allowed = cells[width >= (setting["min_width"] or 0)]
    if kind == "random":
        known = np.unique(allowed, axis=0)
        picked = known[choice(len(known), factor, replace=False)]
        return np.array([any((cell == pick).all() for pick in picked) for cell in cells])
    column = {"random_data": 0, "random_width": 1}[kind]
    known = np.unique(allowed[:, column])
    return np.isin(cells[:, column], known[choice(len(known), factor, replace=False)])


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("name", SETTINGS)
def test_thresholds_and_accuracies_are_those_of_the_reference(table, name, number):
    rows, cells, labels, reference = table
    assert set(reference) == set(SETTINGS)
    setting = reference[name]
    task = TASK_OF[setting["label"]]
    shape = "temperature-cka" if "cka" in name else task
    matrix, y = feature_matrix(rows, template_features(PUBLISHED[shape])), labels[task]
    part = (y != "None") & (cells[:, 1] >= (setting["min_width"] or 0))
    learnt = drawn(setting, cells, setting["seeds"][number]) & part
    assert learnt.sum() == setting["train_rows"][number]
    assert part.sum() == setting["test_rows"]
    fitted = PublishedTree(shape=shape).fit(matrix[learnt], y[learnt])
    assert fitted.thresholds_ == pytest.approx(setting["thresholds"][number], abs=1e-6)
    accuracy = fitted.score(matrix[part], y[part])
    assert accuracy == pytest.approx(setting["accuracy"][number], abs=1e-6)


def test_a_check_of_scikit_learn_fails_only_where_it_brings_labels_that_are_no_answer():
    checks = check_estimator(PublishedTree(), on_fail=None, on_skip=None)
    assert "passed" in {check["status"] for check in checks}
    for check in checks:
        if check["status"] == "failed":
            assert "is not an answer of shape 'temperature'" in story(check["exception"])


def story(error):
    """Tell the message of an exception, and those of what it came from."""
    return f"{error} {story(error.__context__)}" if error is not None else ""


@pytest.mark.parametrize(
    ("shape", "starts"),
    [
        ("temperature", [0.5, -10, 7]),
        ("temperature-cka", [0.5, -10, 0.5]),
        ("width", [0.5, -10, -10]),
        ("data", [0.5, -10, 7, -10, 7, 7]),
    ],
)
def test_without_search_the_thresholds_are_the_published_starts(shape, starts):
    X = np.zeros((1, len(template_features(PUBLISHED[shape]))))
    fitted = PublishedTree(shape=shape, search="none").fit(X, answers(PUBLISHED[shape])[:1])
    assert fitted.thresholds_.tolist() == starts


def by_construction(seed=0, *, at=(0.6, -12, 6.5), gap=(0, 0, 0)):
    """Rows that the shape `temperature` separates, with no row within the gaps."""
    rng = np.random.default_rng(seed)
    X = rng.uniform([0, -40, 3], [3, 0, 10], size=(400, 3))
    X = X[(np.abs(X - at) >= gap).all(axis=1)]
    low = (X[:, 0] <= at[0]) | ((X[:, 1] <= at[1]) & (X[:, 2] > at[2]))
    return X, np.where(low, LOW, HIGH)


def test_rows_split_at_the_starts_are_separated_exactly_without_a_search():
    X, y = by_construction(at=(0.5, -10, 7))
    assert PublishedTree(search="none").fit(X, y).score(X, y) == 1


def test_rows_with_a_wide_gap_around_each_threshold_are_separated_exactly_by_the_search():
    X, y = by_construction(gap=(0.35, 4, 1))
    assert PublishedTree().fit(X, y).score(X, y) == 1


@pytest.mark.parametrize("shape", PUBLISHED)
def test_rows_far_from_all_thresholds_are_separated_exactly_by_every_shape(shape):
    levels = {
        "train_error": (0.01, 0.99, 40.0),
        "connectivity_peak": (-29.0, -0.5),
        "log_hessian_trace": (4.5, 8.5),
        "cka": (0.25, 0.75),
    }
    grid = np.meshgrid(*(levels[name] for name in template_features(PUBLISHED[shape])))
    X = np.stack([axis.ravel() for axis in grid], axis=1)
    hidden = PublishedTree(shape=shape, search="none")
    y = hidden.fit(X, [answers(PUBLISHED[shape])[0]] * len(X)).predict(X)
    assert set(y) == set(hidden.classes_)
    assert PublishedTree(shape=shape).fit(X, y).predict(X).tolist() == y.tolist()


def test_leaves_count_the_groups_that_end_in_them():
    X, y = by_construction(2)
    tree = PublishedTree().fit(X, y).tree_
    assert weight_of(tree) == len(X)
    assert sum(leaf.counts[LOW] for leaf in leaves(tree)) == (y == LOW).sum()


@pytest.mark.parametrize("search", ["published", "none"])
@pytest.mark.parametrize("only", [LOW, HIGH])
def test_one_class_only_still_knows_both_answers(search, only):
    X, _ = by_construction(3)
    fitted = PublishedTree(search=search).fit(X, [only] * len(X))
    assert fitted.classes_.tolist() == [HIGH, LOW]
    assert set(fitted.predict(X)) <= {HIGH, LOW}
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)


def test_two_rows_are_enough_and_equal_ones_too():
    for X in ([[0, -1, 5], [2, -1, 5]], [[1, 1, 1], [1, 1, 1]]):
        assert len(PublishedTree().fit(X, [LOW, HIGH]).predict(X)) == 2


def test_rows_with_missing_features_are_left_out_and_go_the_way_of_most_others():
    X, y = by_construction(4)
    holes = np.full((5, 3), np.nan)
    holes[0, 0] = holes[1, 1] = holes[2, 2] = 1
    mixed = PublishedTree().fit(np.vstack([holes, X]), [LOW] * 5 + y.tolist())
    assert mixed.tree_ == PublishedTree().fit(X, y).tree_
    assert weight_of(mixed.tree_.high) > weight_of(mixed.tree_.low)
    assert mixed.predict([[np.nan, -1, 5], [3, -1, 5]]).tolist() == [HIGH, HIGH]


def test_rows_that_all_miss_something_are_refused_by_the_search():
    with pytest.raises(ValueError, match="no line has all of train_error, connectivity_peak"):
        PublishedTree().fit([[1, 1, np.nan], [1, np.nan, 1]], [LOW, HIGH])


def test_infinite_values_are_refused_and_huge_ones_are_not():
    with pytest.raises(ValueError, match="infinity"):
        PublishedTree().fit([[1, 1, np.inf]], [LOW])
    fitted = PublishedTree().fit([[1e308, -1e308, 1e308]], [HIGH])
    assert fitted.predict([[0, 0, 0]]).tolist() == [LOW]


def test_a_label_that_is_no_answer_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"'temperature_lo' is not an answer .* did you mean"):
        PublishedTree().fit([[1, 1, 1]], ["temperature_lo"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shape": "temprature"}, r"shape 'temprature' is unknown, did you mean 'temperature'\?"),
        ({"search": "exact"}, "search must be 'published' or 'none', got 'exact'"),
    ],
)
def test_an_unknown_shape_or_search_is_refused(given, message):
    with pytest.raises(MdtreeError, match=message):
        PublishedTree(**given).fit([[1, 1, 1]], [LOW])


def test_columns_are_found_by_name_and_a_lacking_one_is_named():
    X, y = by_construction(5)
    names = ["log_hessian_trace", "train_error", "cka", "connectivity_peak"]
    shuffled = np.column_stack([X[:, 2], X[:, 0], np.zeros(len(X)), X[:, 1]])
    assert PublishedTree(features=names).fit(shuffled, y).tree_ == PublishedTree().fit(X, y).tree_
    names = ["train_error", "connectivity_peak", "log_hessian_trace"]
    with pytest.raises(ValueError, match="X has no column cka; it has train_error"):
        PublishedTree(shape="temperature-cka", features=names).fit(X, y)


def test_it_is_cloned_with_its_parameters():
    given = {"shape": "width", "search": "none", "features": LANDSCAPE}
    assert clone(PublishedTree(**given)).get_params() == given
