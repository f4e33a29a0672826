"""Least squares: equal to scikit-learn's ridge regression, and to leaving items out by hand."""

from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV

from mdtree.baselines import least_squares


def problem(items, features, classes=3, seed=0):
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (items,), generator=source)
    centres = torch.randn(classes, features, generator=source)
    return centres[labels] + 1.5 * torch.randn(items, features, generator=source), labels


@pytest.mark.parametrize(("items", "features"), [(90, 7), (31, 30), (30, 31), (24, 55)])
def test_it_is_the_ridge_regression_whose_items_left_out_are_predicted_best(items, features):
    seen, labels = problem(items, features)
    asked, _ = problem(50, features, seed=1)
    fit = least_squares(seen, labels, 3)
    lines = ((seen - seen.mean(0)) / seen.std(0, correction=0)).double().numpy()
    wanted = np.eye(3)[labels.numpy()]
    eigenvalues = np.linalg.eigvalsh(lines.T @ lines if features <= items else lines @ lines.T)
    ridges = np.logspace(-6, 2, 17) * eigenvalues.mean()
    rival = RidgeCV(alphas=ridges, store_cv_results=True).fit(lines, wanted)
    assert np.allclose(fit.weights.numpy(), rival.coef_.T, atol=1e-8)
    asked_lines = (asked.double().numpy() - fit.mean.numpy()) / fit.scale.numpy()
    assert (fit.classes_of(asked).numpy() == rival.predict(asked_lines).argmax(1)).mean() == 1


def test_an_item_that_is_left_out_is_predicted_as_by_a_fit_without_it():
    """The formula against fits to the others, for a ridge that is given."""
    left_out = import_module("mdtree.baselines.least_squares")._left_out
    seen, labels = problem(20, 30)
    lines = seen.double() - seen.double().mean(0)
    wanted = torch.nn.functional.one_hot(labels, 3).double()
    ridge, centred = 3.0, wanted - wanted.mean(0)
    inverse = torch.linalg.inv(lines @ lines.T + ridge * torch.eye(20).double())
    own = (lines @ lines.T @ inverse).diagonal()
    by_hand = []
    for item in range(20):
        others = [other for other in range(20) if other != item]
        mean, offset = lines[others].mean(0), wanted[others].mean(0)
        x, y = lines[others] - mean, wanted[others] - offset
        weights = torch.linalg.solve(x.T @ x + ridge * torch.eye(30).double(), x.T @ y)
        by_hand.append(((lines[item] - mean) @ weights + offset - wanted[item]).square().mean())
    assert float(left_out(ridge * inverse @ centred, own)) == pytest.approx(
        float(torch.stack(by_hand).mean())
    )


def test_features_that_never_change_count_for_nothing():
    seen, labels = problem(40, 5)
    wider = torch.cat([seen, torch.full((40, 2), 7.0)], 1)
    asked, _ = problem(30, 5, seed=2)
    other = torch.cat([asked, torch.full((30, 2), 1e6)], 1)
    expected = least_squares(seen, labels, 3).classes_of(asked)
    assert torch.equal(least_squares(wider, labels, 3).classes_of(other), expected)


def test_constant_features_leave_the_most_frequent_class():
    fit = least_squares(torch.ones(5, 4), torch.tensor([0, 2, 2, 1, 2]), 3)
    assert fit.classes_of(torch.zeros(3, 4)).tolist() == [2, 2, 2]


def test_a_single_class_is_named_always():
    fit = least_squares(torch.randn(6, 2), torch.zeros(6, dtype=torch.long), 1)
    assert fit.classes_of(torch.randn(4, 2)).tolist() == [0] * 4


def test_many_classes_are_solved_in_parts_with_the_same_result(monkeypatch):
    module = import_module("mdtree.baselines.least_squares")
    for items in (40, 9):  # more items than features, and fewer
        seen, labels = problem(items, 20)
        whole = least_squares(seen, labels, 3).weights
        monkeypatch.setattr(module, "_COLUMNS", 4)
        assert torch.allclose(least_squares(seen, labels, 3).weights, whole, atol=1e-12)
        monkeypatch.undo()
