from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, linregress

from mdtree.spectra import SeriesModel, rankings


def family(name, errors, **numbers):
    return [
        SeriesModel(
            name=f"{name}{place}",
            family=name,
            error=error,
            numbers={key: values[place] for key, values in numbers.items()},
        )
        for place, error in enumerate(errors)
    ]


# Table of Martin, Peng and Mahoney 2021 for VGG, errors and alpha-hat with two digits
VGG = [30.98, 30.07, 28.41, 27.62, 29.62, 28.45, 26.63, 25.76]
HAT = [3.42, 3.32, 3.24, 3.05, 3.29, 3.20, 3.05, 2.77]
BAR = [2.57, 2.69, 2.89, 2.97, 2.75, 2.95, 3.10, 3.08]


def test_the_published_series_is_ranked_as_in_the_paper():
    """Table 1 has for alpha-hat: RMSE 0.48, R2 0.92, tau -0.93 (against accuracy)."""
    (hat, bar) = rankings(family("vgg", VGG, alpha_hat=HAT, alpha=BAR))
    assert hat.tau == pytest.approx(0.93, abs=0.03)
    assert hat.r2 == pytest.approx(0.92, abs=0.02)
    assert hat.rmse == pytest.approx(0.48, abs=0.05)
    assert bar.tau < -0.8  # better models have the larger alpha here
    assert not hat.few


def test_figures_are_those_of_scipy():
    source = np.random.default_rng(0)
    x, y = source.random(17), source.random(17)
    (ranking,) = rankings(family("a", y.tolist(), x=x.tolist()))
    line = linregress(x, y)
    assert ranking.tau == pytest.approx(kendalltau(x, y).statistic)
    assert ranking.p_value == pytest.approx(kendalltau(x, y).pvalue)
    assert ranking.r2 == pytest.approx(line.rvalue**2)
    rest = y - line.slope * x - line.intercept
    assert ranking.rmse == pytest.approx(np.sqrt(np.mean(rest**2)))


def test_families_are_ranked_apart():
    """Within both, smaller is better; over all, larger would be."""
    members = family("a", [1, 2, 3, 4, 5], x=[1, 2, 3, 4, 5])
    members += family("b", [11, 12, 13, 14, 15], x=[-9, -8, -7, -6, -5])
    ranked = rankings(members)
    assert [ranking.family for ranking in ranked] == ["a", "b"]
    assert [ranking.tau for ranking in ranked] == pytest.approx([1, 1])
    assert [ranking.models for ranking in ranked] == [5, 5]


@pytest.mark.parametrize(("count", "few"), [(3, True), (4, True), (5, False)])
def test_fewer_than_five_models_are_few(count, few):
    (ranking,) = rankings(family("a", range(count), x=range(count)))
    assert ranking.few is few
    assert ranking.tau == pytest.approx(1)


def test_what_cannot_be_ranked_says_why():
    assert rankings(family("a", [1, 2], x=[1, 2]))[0].reason == "needs 3 models, found 2"
    assert rankings(family("a", [1, 2, 3], x=[1, 1, 1]))[0].reason == "all values are equal"
    assert rankings(family("a", [1, 1, 1], x=[1, 2, 3]))[0].reason == "all values are equal"
    (ranking,) = rankings(family("a", [1, 2, 3, 4], x=[1, None, float("nan"), 2]))
    assert ranking.reason == "needs 3 models, found 2"
    assert rankings([]) == ()


def test_models_without_a_number_are_left_out_of_its_ranking_only():
    ranked = rankings(family("a", [1, 2, 3, 4, 5], x=[1, None, 3, 4, 5], y=[5, 4, 3, 2, 1]))
    assert [(r.number, r.models) for r in ranked] == [("x", 4), ("y", 5)]
    assert [r.tau for r in ranked] == pytest.approx([1, -1])
