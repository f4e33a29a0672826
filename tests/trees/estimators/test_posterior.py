"""Our tree as an estimator: mixed shapes, missing features, scikit-learn's customs, honesty."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from mdtree.evaluation import calibration_error
from mdtree.exceptions import MdtreeError
from mdtree.rows import rows_from_csv
from mdtree.trees import LANDSCAPE, PosteriorTree, PublishedTree, feature_matrix
from mdtree.trees.examples import labelled
from mdtree.trees.posterior import posterior

COLD, HOT = "temperature_low", "temperature_high"
PEAK, CONNECTED = LANDSCAPE.index("connectivity_peak"), LANDSCAPE.index("connectivity")
TRACE, ERROR = LANDSCAPE.index("log_hessian_trace"), LANDSCAPE.index("train_error")


def runs(count=60, seed=0):
    """Networks that interpolate are cold; of the others, those better on the curve are hot."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, len(LANDSCAPE)))
    X[:, ERROR] = np.where(rng.random(count) < 0.4, 0.001, 10)
    X[:, CONNECTED] = rng.choice([-6.0, 6.0], count)
    X[:, PEAK], X[:, TRACE] = -12, 6
    cold = (X[:, ERROR] < 1) | (X[:, CONNECTED] < 0)
    return X, np.where(cold, COLD, HOT)


@pytest.fixture(scope="module")
def table(published_table):
    rows, answers, _ = labelled(
        rows_from_csv(published_table, protocol="paper-1").rows, "temperature"
    )
    cells = np.array([[row.facts["data_amount"], row.facts["width"]] for row in rows])
    return feature_matrix(rows, LANDSCAPE), np.array(answers), cells


def test_rows_made_by_the_rule_are_told_apart():
    X, y = runs()
    assert PosteriorTree().fit(X, y).score(*runs(seed=1)) == 1


def test_rows_are_judged_by_the_shapes_whose_features_they_have():
    """Without signed connectivity the published shape answers; without pairs, the error."""
    X, y = runs(200)
    tree = PosteriorTree().fit(X, y)
    parts = [(weight, posterior(binned)) for weight, binned in tree.components_]
    asked = X[:4].copy()
    asked[1, CONNECTED] = np.nan
    asked[2, [CONNECTED, PEAK]] = np.nan
    asked[3] = np.nan
    columns = {name: number for number, name in enumerate(LANDSCAPE)}
    first, published, error = (judge.predict_proba(asked, columns) for _, judge in parts)
    wanted = [
        0.90 * first[0] + 0.09 * published[0] + 0.01 * error[0],
        (0.09 * published[1] + 0.01 * error[1]) / 0.10,
        error[2],
        [0.5, 0.5],
    ]
    assert tree.predict_proba(asked) == pytest.approx(np.array(wanted), abs=1e-12)


def test_shapes_that_no_training_row_can_answer_are_left_out():
    X, y = runs()
    X[:, CONNECTED] = np.nan
    tree = PosteriorTree().fit(X, y)
    assert [weight for weight, _ in tree.components_] == [0.09, 0.01]


def test_rows_without_any_feature_of_the_task_are_refused():
    X, y = runs()
    X[:, ERROR] = np.nan
    with pytest.raises(ValueError, match="the data has train_loss, log_hessian_top") as stop:
        PosteriorTree().fit(X, y)
    assert "no line has all features of a shape of task 'temperature'" in str(stop.value)
    assert "the shapes need train_error + connectivity or " in str(stop.value)


def test_the_training_error_alone_is_enough_to_ask_with():
    X, y = runs()
    tree = PosteriorTree(features=["train_error"]).fit(X[:, [ERROR]], y)
    assert [weight for weight, _ in tree.components_] == [0.01]
    assert tree.predict([[0.001], [50]]).tolist() == [COLD, HOT]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task": "temprature"}, MdtreeError, "did you mean 'temperature'"),
        ({"features": ["train_error"]}, ValueError, "9 columns"),
        ({"task": "width"}, ValueError, "is not an answer of task 'width'"),
    ],
)
def test_wrong_words_are_refused(changes, error, words):
    with pytest.raises(error, match=words):
        PosteriorTree(**changes).fit(*runs())


@pytest.mark.parametrize("task", ["temperature", "width", "data", "failure"])
def test_a_check_of_scikit_learn_fails_only_where_it_brings_columns_or_labels_of_its_own(task):
    checks = check_estimator(PosteriorTree(task=task), on_fail=None, on_skip=None)
    assert "passed" in {check["status"] for check in checks}
    for check in checks:
        if check["status"] == "failed":
            text = story(check["exception"])
            assert (
                "columns, so features must name each once" in text or "is not an answer of" in text
            )


def story(error):
    """Tell the message of an exception, and those of what it came from."""
    return f"{error} {story(error.__context__)}" if error is not None else ""


def test_infinite_values_are_refused_and_huge_ones_are_values():
    X, y = runs()
    X[0] = np.where(X[0] < 0, -1e308, 1e308)
    assert PosteriorTree().fit(X, y).predict_proba(X).sum(axis=1) == pytest.approx(np.ones(60))
    X[0, ERROR] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        PosteriorTree().fit(X, y)


def test_a_prior_of_other_classes_or_columns_is_refused():
    X, y = runs()
    prior = PosteriorTree().fit(X, y).components_
    with pytest.raises(ValueError, match="the prior has the classes temperature_high"):
        PosteriorTree(task="width", prior=prior).fit(X, ["temperature"] * 60)
    few = ["train_error", "cka"]
    with pytest.raises(ValueError, match="X has no column connectivity, connectivity_peak, log_h"):
        PosteriorTree(features=few, prior=prior).fit(X[:, :2], y)


def test_continuing_with_no_whole_row_changes_nothing():
    X, y = runs()
    prior = PosteriorTree().fit(X, y)
    same = PosteriorTree(prior=prior.components_).fit(np.full((3, X.shape[1]), np.nan), y[:3])
    assert same.predict_proba(X) == pytest.approx(prior.predict_proba(X), abs=1e-12)


def test_scikit_learns_customs():
    X, y = runs(80)
    tree = PosteriorTree(most_cuts=10)
    assert clone(tree).get_params() == tree.get_params()
    assert tree.set_params(most_cuts=5).most_cuts == 5
    with pytest.raises(NotFittedError):
        tree.predict(X)
    assert cross_val_score(tree, X, y, cv=4).mean() > 0.95
    same = make_pipeline(FunctionTransformer(), tree).fit(X, y)
    assert same.predict_proba(X) == pytest.approx(tree.predict_proba(X))
    assert tree.classes_.tolist() == [HOT, COLD]


@pytest.mark.parametrize("answer", [COLD, HOT])
def test_one_class_alone_does_not_make_it_certain(answer):
    X, _ = runs(12)
    chances = PosteriorTree().fit(X, [answer] * 12).predict_proba(X)
    assert chances.max() < 1
    assert chances.sum(axis=1) == pytest.approx(np.ones(12))


def test_two_rows_are_enough_to_ask_with():
    X, y = runs(60)
    two = [int(np.argmax(y == COLD)), int(np.argmax(y == HOT))]
    assert PosteriorTree().fit(X[two], y[two]).score(X, y) == 1


def test_ten_own_runs_move_a_prior():
    """Where own networks are connected only above 3 points, the tree learns it."""
    X, y = runs(40)
    prior = PosteriorTree().fit(X, y)
    own, _ = runs(20, seed=3)
    own[:, ERROR], own[:, CONNECTED] = 10, np.repeat([1.0, 6.0], 10)
    labels = np.repeat([COLD, HOT], 10)
    assert prior.score(own, labels) == 0.5
    adapted = PosteriorTree(prior=prior.components_).fit(np.tile(own, (4, 1)), np.tile(labels, 4))
    before, after = (tree.predict_proba(own[:10])[:, 1].mean() for tree in (prior, adapted))
    assert after > before + 0.2


@pytest.mark.parametrize("cells", [1, 8])
def test_it_carries_to_other_cells_and_is_as_sure_as_it_is_right(cells, table):
    matrix, labels, grid = table
    known = np.unique(grid, axis=0)
    rng = np.random.default_rng(11)
    ours, published, gaps = [], [], []
    for _ in range(12):
        drawn = known[rng.choice(len(known), cells, replace=False)]
        learn = (grid[:, None] == drawn[None]).all(axis=2).any(axis=1)
        tree = PosteriorTree().fit(matrix[learn], labels[learn])
        right = tree.predict(matrix[~learn]) == labels[~learn]
        ours.append(right.mean())
        gaps.append(calibration_error(tree.predict_proba(matrix[~learn]).max(axis=1), right))
        rival = PublishedTree(features=LANDSCAPE).fit(matrix[learn], labels[learn])
        published.append(rival.score(matrix[~learn], labels[~learn]))
    assert min(ours) > 0.92
    assert np.mean(ours) > np.mean(published)
    assert np.mean(gaps) < 0.08
