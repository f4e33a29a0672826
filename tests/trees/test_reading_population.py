"""Populations and ways in tree files: hostile ones are refused in words, with their place."""

from __future__ import annotations

import json

import pytest

from mdtree.exceptions import TreeError
from mdtree.trees import read_tree

LEAF = {
    "answer": "a",
    "counts": {"a": 3},
    "gains": {"add_data": 1.5},
    "ways": {"add_data": {"low": 0.1, "high": 3, "fact": "data_amount", "factor": 2}},
}
POPULATION = {
    "quantiles": {"cka": [0, 0.25, 1], "train_error": [0, 0, 3]},
    "names": ["cka", "train_error"],
    "correlation": [[1, -0.5], [-0.5, 1]],
    "limit": 1.25,
}
WHOLE = {
    "format": 1,
    "task": "temperature",
    "method": "cart",
    "protocol": "paper-1",
    "classes": ["a", "b"],
    "features": ["cka", "train_error"],
    "groups": 3,
    "ranges": {},
    "provenance": {},
    "tree": LEAF,
    "population": POPULATION,
}


@pytest.fixture
def read(tmp_path):
    def reading(content):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "tree.json").write_text(text)
        return read_tree(tmp_path / "tree.json")

    return reading


@pytest.fixture
def refusal(read):
    def message(content):
        with pytest.raises(TreeError) as stop:
            read(content)
        assert "\n" not in str(stop.value)
        return str(stop.value)

    return message


def population(**changed):
    return {**WHOLE, "population": {**POPULATION, **changed}}


def test_the_whole_file_is_read(read):
    tree = read(WHOLE)
    assert tree.population.quantiles["train_error"] == (0, 0, 3)
    assert tree.population.correlation == ((1, -0.5), (-0.5, 1))
    assert tree.population.limit == 1.25
    way = tree.tree.ways["add_data"]
    assert (way.low, way.high, way.fact, way.factor) == (0.1, 3, "data_amount", 2)


def test_a_file_without_a_population_is_a_tree_all_the_same(read):
    assert read({k: v for k, v in WHOLE.items() if k != "population"}).population is None
    assert read({**WHOLE, "population": {"quantiles": {}}}).population.distance({"cka": 1}) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"quantiles": {"cka": [1, 0], "train_error": [0, 1]}}, "the quantiles of cka must rise"),
        ({"quantiles": {"cka": [1], "train_error": [0, 1]}}, "the quantiles of cka must rise"),
        ({"quantiles": {"cka": [], "train_error": [0, 1]}}, "the quantiles of cka must rise"),
        ({"quantiles": {"cka": [1, 1], "train_error": [0, 1]}}, "cka, which has no spread"),
        ({"quantiles": {"cka": [0, 1]}}, "train_error, which has no spread"),
        ({"quantiles": {**POPULATION["quantiles"], "luck": [0, 1]}}, "asks for 'luck'"),
        ({"quantiles": {**POPULATION["quantiles"], "cka": [0] * 1001}}, "at most 1000 items"),
        ({"quantiles": {**POPULATION["quantiles"], "cka": ["0", "x"]}}, "valid number"),
        ({"quantiles": {**POPULATION["quantiles"], "cka": [-1e301, 0]}}, "greater than or equal"),
        ({"quantiles": [0, 1]}, "population.quantiles: Input should be"),
        ({"names": ["cka", "luck"]}, "luck, which has no spread"),
        ({"names": ["cka", "cka"]}, "uses a feature twice"),
        ({"names": ["cka"]}, "must be 1 by 1"),
        ({"names": []}, "must be 0 by 0"),
        ({"correlation": []}, "must be 2 by 2"),
        ({"correlation": [[1, 0.5], [0.5]]}, "must be 2 by 2"),
        ({"correlation": [[1, 0.5, 0], [0.5, 1, 0]]}, "must be 2 by 2"),
        ({"correlation": [[1, 0.5], [0.4, 1]]}, "must be symmetric"),
        ({"correlation": [[1, 1.2], [1.2, 1]]}, "contradict each other"),
        ({"correlation": [[1, 1e308], [1e308, 1]]}, "contradict each other"),
        ({"correlation": [[2, 0], [0, 2]]}, "with themselves must be 1"),
        ({"limit": 0}, "greater than 0"),
        ({"limit": -1}, "greater than 0"),
        ({"limit": None}, "population.limit: Input should be a valid number"),
        ({"limit": "far"}, "population.limit: Input should be a valid number"),
        ({"mean": 0}, "population.mean: Unexpected keyword argument"),
    ],
)
def test_a_population_that_makes_no_sense_is_refused(refusal, changed, reason):
    assert reason in refusal(population(**changed))


def test_a_distance_needs_a_limit(refusal):
    without = {key: part for key, part in POPULATION.items() if key != "limit"}
    assert "the limit of its distance must be positive" in refusal({**WHOLE, "population": without})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999", "1e999"])
@pytest.mark.parametrize("place", ["0.25", "1.25", "-0.5"])
def test_what_is_no_finite_number_is_refused(refusal, place, number):
    refused = refusal(json.dumps(WHOLE).replace(place, number))
    assert "no JSON" in refused or "finite" in refused or "equal to" in refused


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"gains": {"luck": 1}}, "a leaf holds the gain of 'luck', which is not a remedy"),
        ({"ways": {"luck": {"low": 0, "high": 1}}}, "'luck', which is not a remedy"),
        ({"ways": {"add_data": {"low": 0}}}, "high: Field required"),
        ({"ways": {"add_data": {"low": 0, "high": 1, "factor": 0}}}, "greater than 0"),
        ({"ways": {"add_data": {"low": 0, "high": 1, "factor": -2}}}, "greater than 0"),
        ({"ways": {"add_data": {"low": 0, "high": 1, "factor": 1e300}}}, "less than or equal"),
        ({"ways": {"add_data": {"low": 0, "high": 1, "fact": 5}}}, "fact: Input should be"),
        ({"ways": {"add_data": {"low": 0, "high": 1, "more": 5}}}, "more: Unexpected keyword"),
        ({"ways": {"add_data": 3}}, "ways.add_data: Input should be"),
    ],
)
def test_gains_and_ways_that_make_no_sense_are_refused(refusal, changed, reason):
    assert reason in refusal({**WHOLE, "tree": {**LEAF, **changed}})
