"""The population: distances against scipy, levels by hand, and limits that flag one group in 20."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import norm

from mdtree.trees import TrainingDistribution, mixed, training_distribution

NAMES = ("a", "b", "c", "d")
EVEN = tuple(np.linspace(0, 1, 41))  # the level of a value is the value
R = ((1.0, 0.6, 0.1), (0.6, 1.0, -0.3), (0.1, -0.3, 1.0))
WHOLE = TrainingDistribution(
    quantiles=dict.fromkeys("abc", EVEN), names=("a", "b", "c"), correlation=R, limit=1.2
)


def sample(count, *, rho=0.5, seed=0):
    """Normal features that share a part, one of them bent; any two have the correlation rho."""
    rng = np.random.default_rng(seed)
    drawn = math.sqrt(1 - rho) * rng.normal(size=(count, 4))
    drawn += math.sqrt(rho) * rng.normal(size=(count, 1))
    drawn[:, 1] = np.exp(drawn[:, 1])
    return drawn


def outside(population, groups, names=NAMES):
    """Percent of the groups that are farther away than the limit."""
    lines = np.full((len(groups), len(population.names)), np.nan)
    for name, column in zip(names, groups.T, strict=True):
        lines[:, population.names.index(name)] = column
    distances, limits = population.distances(lines)
    assert not np.isnan(distances).any()
    first = dict(zip(names, map(float, groups[0]), strict=True))
    assert population.distance(first) == pytest.approx((distances[0], limits[0]))
    return 100 * np.mean(distances > limits)


@pytest.mark.parametrize(
    "values",
    [{"a": 0.3, "b": 0.9, "c": 0.05}, {"a": 0.7, "c": 0.2}, {"b": 0.98}, {"a": 0.5, "b": math.nan}],
)
def test_the_distance_is_that_of_mahalanobis_between_normal_scores(values):
    known = [n for n, name in enumerate("abc") if not math.isnan(values.get(name, math.nan))]
    scores = [norm.ppf(values["abc"[n]]) for n in known]
    inverse = np.linalg.inv(np.array(R)[np.ix_(known, known)] + 0.05 * np.eye(len(known)))
    expected = mahalanobis(scores, np.zeros(len(known)), inverse) / math.sqrt(len(known))
    assert WHOLE.distance(values)[0] == pytest.approx(expected)


def test_beyond_the_ends_a_score_goes_on_in_units_of_the_spread():
    spread = 0.9 / (norm.ppf(0.95) - norm.ppf(0.05))
    far, near = norm.ppf(0.98) + 3 / spread, norm.ppf(0.02) - 0.5 / spread
    assert WHOLE.distance({"a": 4.0})[0] == pytest.approx(far / math.sqrt(1.05))
    assert WHOLE.distance({"a": -0.5})[0] == pytest.approx(-near / math.sqrt(1.05))


@pytest.mark.parametrize("values", [{}, {"a": math.nan}, {"z": 1.0}])
def test_a_group_without_features_has_no_distance(values):
    assert WHOLE.distance(values) is None


@pytest.mark.parametrize(
    ("value", "level"),
    [(-1, 0), (0, 0.15), (0.5, 0.35), (1, 0.5), (2, 0.8), (3, 1), (9, 1)],
)
def test_a_level_is_the_share_below_and_the_middle_of_equal_groups(value, level):
    distribution = TrainingDistribution(
        quantiles={"a": (0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3)}, names=(), correlation=(), limit=math.inf
    )
    assert distribution.level("a", value) == pytest.approx(level)


def test_what_is_missing_or_not_described_has_no_level():
    assert WHOLE.level("a", math.nan) is None
    assert WHOLE.level("z", 0.5) is None


@pytest.mark.parametrize("rho", [0, 0.5, 0.9])
def test_one_group_in_twenty_is_outside(rho):
    population = training_distribution(sample(3000, rho=rho), NAMES)
    assert 4 < outside(population, sample(3000, rho=rho)) < 6
    assert 3 < outside(population, sample(1500, rho=rho, seed=1)) < 7


@pytest.mark.parametrize("known", ["a", "b", "ab", "cd", "abd"])
@pytest.mark.parametrize("rho", [0, 0.5])
def test_of_groups_that_are_known_in_part_about_as_many_are_outside(rho, known):
    population = training_distribution(sample(3000, rho=rho), NAMES)
    columns = [NAMES.index(name) for name in known]
    groups = sample(1500, rho=rho, seed=1)[:, columns]
    assert 2 < outside(population, groups, known) < 8


def test_few_groups_do_not_call_every_fourth_new_one_an_outsider():
    """A group is beyond the ends of thirty others much more often than of three thousand."""
    flagged = [
        outside(training_distribution(sample(30, seed=n), NAMES), sample(50, seed=100 + n))
        for n in range(20)
    ]
    assert 2 < np.mean(flagged) < 10


def test_the_limit_of_one_feature_is_that_of_a_normal_score():
    assert WHOLE.distance({"b": 0.5})[1] == pytest.approx(norm.ppf(0.975) / math.sqrt(1.05))


@pytest.mark.parametrize("known", ["ab", "ac", "bc"])
def test_the_limit_of_some_features_is_scaled_as_simulated_normal_scores_are(known):
    def simulated(matrix):
        drawn = np.random.default_rng(0).multivariate_normal(np.zeros(len(matrix)), matrix, 200_000)
        inverse = np.linalg.inv(matrix + 0.05 * np.eye(len(matrix)))
        return math.sqrt(
            np.quantile(np.einsum("ij,jk,ik->i", drawn, inverse, drawn) / len(matrix), 0.95)
        )

    columns = ["abc".index(name) for name in known]
    part = simulated(np.array(R)[np.ix_(columns, columns)]) / simulated(np.array(R))
    limit = WHOLE.distance(dict.fromkeys(known, 0.5))[1]
    assert limit == pytest.approx(1.2 * part, rel=0.02)


def test_a_group_that_breaks_the_correlation_is_outside_though_no_single_value_is():
    population = training_distribution(sample(500, rho=0.95)[:, [0, 2]], ("a", "c"))
    one, limit = population.distance({"a": 1.5, "c": -1.5})
    other, _ = population.distance({"a": 1.5, "c": 1.5})
    assert other < limit < one


def test_units_make_no_difference():
    groups = sample(400)
    one, other = (training_distribution(g, NAMES) for g in (groups, groups * 1000 - 7))
    asked = dict(zip(NAMES, (1.0, 3.0, -2.0, 4.0), strict=True))
    scaled = {name: 1000 * value - 7 for name, value in asked.items()}
    assert one.distance(asked) == pytest.approx(other.distance(scaled), rel=2e-3)


def test_features_that_do_not_vary_or_that_few_groups_have_are_not_looked_at():
    groups = sample(60)
    groups[:, 2] = 5.0
    groups[:31, 3] = np.nan
    population = training_distribution(groups, NAMES)
    assert population.names == ("a", "b")
    assert population.quantiles.keys() == set(NAMES)


def test_too_few_whole_groups_have_levels_and_no_distance():
    groups = sample(20)
    groups[::2, 0] = groups[1:6:2, 1] = np.nan
    groups[0, 0] = 0.0  # eleven have a, seventeen b, seven both and one more
    assert training_distribution(groups[1:], NAMES[:2]).distance({"a": 1.0}) is None
    assert training_distribution(groups[:7], NAMES).level("c", 1e9) == 1
    assert training_distribution(groups, NAMES[:2]).distance({"a": 1.0}) is not None


@pytest.mark.parametrize("shape", [(0, 4), (0, 0), (3, 0)])
def test_without_numbers_there_is_no_population(shape):
    assert training_distribution(np.empty(shape), NAMES[: shape[1]]) is None
    assert training_distribution(np.full((9, 4), np.nan), NAMES) is None


def test_where_nearly_all_groups_are_alike_another_one_is_outside():
    groups = np.full((100, 1), 5.0)
    groups[:2, 0] = 4.0, 6.0
    population = training_distribution(groups, ("a",))
    assert population.distance({"a": 5.0}) < population.distance({"a": 4.5})
    distance, limit = population.distance({"a": 6.0})
    assert distance > limit > 0


@pytest.mark.parametrize("huge", [1e308, 1.7976931348623157e308, math.inf])
def test_huge_numbers_are_far_away_and_finite(huge):
    groups = np.vstack([sample(40), np.full((1, 4), huge), np.full((1, 4), -huge)])
    for population in (
        training_distribution(groups, NAMES),
        training_distribution(sample(40), NAMES),
    ):
        distance, limit = population.distance(dict.fromkeys(NAMES, huge))
        assert 0 < limit < math.inf
        assert 0 < distance < math.inf
    assert distance > 1000 * limit
    tiny = replace(WHOLE, quantiles=dict.fromkeys("abc", (0.0, 5e-324)))
    assert 1000 < tiny.distance({"a": -huge, "b": huge})[0] < math.inf


def test_a_mixture_counts_each_population_by_its_groups():
    low, high = (
        replace(WHOLE, quantiles=dict.fromkeys("abc", tuple(np.linspace(start, start + 1, 41))))
        for start in (0, 2)
    )
    both = mixed(low, 300, replace(high, limit=1.4), 100)  # theirs is 1.2
    assert both.level("a", 0.5) == pytest.approx(0.375, abs=0.01)
    assert both.level("a", 1.5) == pytest.approx(0.75, abs=0.02)
    assert both.level("a", 2.5) == pytest.approx(0.875, abs=0.01)
    assert (both.quantiles["a"][0], both.quantiles["a"][-1]) == (0, 3)
    assert both.limit == pytest.approx(1.25)
    np.testing.assert_allclose(both.correlation, R)


def test_two_halves_of_one_population_are_nearly_the_whole():
    groups = sample(1200)
    both = mixed(
        training_distribution(groups[:600], NAMES),
        600,
        training_distribution(groups[600:], NAMES),
        600,
    )
    whole = training_distribution(groups, NAMES)
    np.testing.assert_allclose(both.correlation, whole.correlation, atol=0.03)
    assert both.level("a", 0.7) == pytest.approx(whole.level("a", 0.7), abs=0.02)
    assert 2 < outside(both, sample(2000, seed=1)) < 8


def test_a_population_that_does_not_go_with_the_other_gives_way():
    few = TrainingDistribution(
        quantiles={"a": (0.0, 1.0)}, names=(), correlation=(), limit=math.inf
    )
    other = TrainingDistribution(
        quantiles={"b": EVEN}, names=("b",), correlation=((1.0,),), limit=1
    )
    assert mixed(WHOLE, 5, None, 100) is WHOLE
    assert mixed(None, 0, WHOLE, 100) is WHOLE
    assert mixed(None, 0, None, 3) is None
    assert mixed(WHOLE, 5, few, 100) is WHOLE  # the larger one knows no distance
    assert mixed(few, 100, WHOLE, 5) is WHOLE
    assert mixed(WHOLE, 50, other, 10) is WHOLE
    assert mixed(WHOLE, 10, other, 50) is other
    assert mixed(few, 3, replace(few), 5).names == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"quantiles": {"a": (1.0, 0.5), "b": EVEN, "c": EVEN}}, "quantiles of a must rise"),
        ({"quantiles": {"a": (0, math.nan, 1), "b": EVEN, "c": EVEN}}, "quantiles of a must rise"),
        ({"quantiles": {"a": (1.0,), "b": EVEN, "c": EVEN}}, "quantiles of a must rise"),
        ({"quantiles": {"a": (1.0, 1.0), "b": EVEN, "c": EVEN}}, "a, which has no spread"),
        ({"names": ("a", "b", "z")}, "z, which has no spread"),
        ({"names": ("a", "b", "b")}, "uses a feature twice"),
        ({"names": ("a", "b")}, "must be 2 by 2"),
        ({"names": ()}, "must be 0 by 0"),
        ({"correlation": ()}, "must be 3 by 3"),
        ({"correlation": (R[0], R[1], R[2][:2])}, "must be 3 by 3"),
        ({"correlation": (R[0], R[1], (0.2, -0.3, 1.0))}, "must be symmetric"),
        ({"correlation": ((math.nan, 0.6, 0.1), *R[1:])}, "must be symmetric"),
        ({"correlation": ((math.inf, 0.6, 0.1), *R[1:])}, "must be symmetric"),
        ({"correlation": ((9.0, 0.6, 0.1), *R[1:])}, "with themselves must be 1"),
        ({"correlation": ((1, 0.9, 0.9), (0.9, 1, -0.9), (0.9, -0.9, 1))}, "contradict each other"),
        ({"correlation": ((1, 1e300, 0), (1e300, 1, 0), (0, 0, 1))}, "contradict each other"),
        *(({"limit": limit}, "limit .* positive") for limit in (0, -1, math.nan, math.inf)),
    ],
)
def test_tables_that_make_no_sense_are_refused(changed, reason):
    with pytest.raises(ValueError, match=reason):
        replace(WHOLE, **changed)
