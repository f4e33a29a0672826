from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.spectra import PowerLaw, fit_power_law, powerlaw
from tests.support.cases import SPECTRA, marchenko_pastur, pareto


def plainly(values):
    """Look at all values from every different one up; sums have no rounding."""
    x = sorted(map(float, values))
    fits = []
    for start in sorted(set(x))[:-1]:
        tail = [value for value in x if value >= start]
        n = len(tail)
        alpha = 1 + n / math.fsum(math.log(value / start) for value in tail)
        distance = max(
            abs(1 - (value / start) ** (1 - alpha) - i / n) for i, value in enumerate(tail)
        )
        fits.append((distance, start, alpha, n))
    return min(fits)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SPECTRA)
def test_the_fit_is_the_best_of_all_starts(name, seed):
    values = SPECTRA[name](seed)

    distance, xmin, alpha, tail = plainly(values)

    law = fit_power_law(values)
    assert (xmin, tail) == (law.xmin, law.tail)
    assert alpha == pytest.approx(law.alpha, rel=1e-11)
    assert distance == pytest.approx(law.distance, abs=1e-11)
    assert (alpha - 1) / math.sqrt(tail) == pytest.approx(law.stderr, rel=1e-11)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=40).filter(lambda x: len(set(x)) > 1))
def test_no_start_is_better_however_often_values_repeat(values):
    law = fit_power_law(np.array(values))

    distance, *_ = plainly(values)
    alpha = 1 + law.tail / sum(math.log(v / law.xmin) for v in values if v > law.xmin)
    assert distance == pytest.approx(law.distance, abs=1e-12)
    assert sum(value >= law.xmin for value in values) == law.tail
    assert alpha == pytest.approx(law.alpha, rel=1e-12)


@pytest.mark.parametrize("alpha", [1.5, 2, 3.3, 5, 9])
def test_a_drawn_exponent_comes_back(alpha):
    """Within 3 standard errors; the start is fitted as well, so 1 of 20 may be outside."""
    laws = [
        fit_power_law(pareto(alpha, 1000, seed, xmin=0.3))
        for seed in range(int(100 * alpha), int(100 * alpha) + 40)
    ]

    errors = np.array([(law.alpha - alpha) / law.stderr for law in laws])
    assert np.mean(np.abs(errors) < 3) >= 0.95
    assert abs(np.median(errors)) < 1


def test_the_tail_is_found_above_another_body():
    body = np.random.default_rng(0).uniform(0, 1, 1500)

    law = fit_power_law(np.concatenate([body, pareto(2.5, 500, 1)]))

    assert law.xmin == pytest.approx(1, rel=0.3)
    assert abs(law.alpha - 2.5) < 3 * law.stderr


def test_the_unit_of_the_values_changes_the_start_alone():
    values = pareto(3, 300, 0)
    law = fit_power_law(values)

    for unit in (1e-200, 1e-12, 7.0, 1e150):
        scaled = fit_power_law(unit * values)
        assert unit * law.xmin == pytest.approx(scaled.xmin)
        assert law.tail == scaled.tail
        assert law.alpha == pytest.approx(scaled.alpha, rel=1e-12)


def test_powers_of_the_values_divide_the_exponent():
    """x -> x^k makes p(x) ~ x^-(1 + (alpha - 1) / k), at the same distance."""
    values = pareto(3, 300, 0)
    law, cubed = fit_power_law(values), fit_power_law(values**3)

    assert law.tail == cubed.tail
    assert 1 + (law.alpha - 1) / 3 == pytest.approx(cubed.alpha, rel=1e-12)
    assert law.distance == pytest.approx(cubed.distance, abs=1e-12)


def test_order_does_not_matter_and_the_values_stay_as_they_are():
    values = pareto(3, 100, 0)
    before = values.copy()

    assert fit_power_law(values) == fit_power_law(np.sort(values)[::-1])
    assert np.array_equal(before, values)


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0], [0.1] * 50])
def test_nothing_is_fitted_to_less_than_two_different_values(values):
    assert fit_power_law(np.array(values)) is None


def test_two_values_by_hand():
    law = fit_power_law(np.array([1, math.e]))

    expected = PowerLaw(
        alpha=3, stderr=math.sqrt(2), xmin=1, distance=1 - math.exp(-2) - 0.5, tail=2
    )
    assert vars(expected) == pytest.approx(vars(law))


def test_three_values_by_hand():
    """1 + 3 / (0.5 + 2.5) = 2; a start at the second value has a distance of 0.36, as any two."""
    law = fit_power_law(np.exp([0, 0.5, 2.5]))

    distance = (1 - math.exp(-2.5)) - 2 / 3
    expected = PowerLaw(alpha=2, stderr=1 / math.sqrt(3), xmin=1, distance=distance, tail=3)
    assert vars(expected) == pytest.approx(vars(law))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1e5, np.nextafter(1e5, 2e5)]),  # their logarithms are equal
        1e-8 * (1 + 1e-15 * np.arange(3000)),
        np.append(np.full(20_000, 3e-4), 3e-4 * (1 + 1e-13)),  # sums of logarithms would cancel
    ],
    ids=["neighbours", "close", "all but one equal"],
)
def test_values_that_hardly_differ_are_fitted_without_a_warning(values):
    law = fit_power_law(values)

    assert math.isfinite(law.alpha)
    assert law.alpha > 1e9
    assert 0 < law.distance <= 1


def test_one_larger_value_among_thousands_of_equal_ones_by_hand():
    law = fit_power_law(np.append(np.full(5000, 0.3), 0.6))

    assert pytest.approx(1 + 5001 / math.log(2), rel=1e-14) == law.alpha
    assert pytest.approx(4999 / 5001) == law.distance


@pytest.mark.parametrize("name", ["lognormal", "square"])
def test_few_tails_are_looked_at_as_a_whole(name, monkeypatch):
    looked, real = [], powerlaw._distance

    def counted(logs, start, alpha):
        looked.append(start)
        return real(logs, start, alpha)

    monkeypatch.setattr(powerlaw, "_distance", counted)
    values = {
        "lognormal": np.random.default_rng(0).lognormal(0, 2, 4000),
        "square": marchenko_pastur(600, 600, 0),
    }[name]
    fit_power_law(values)

    assert len(looked) < len(values) / 20
