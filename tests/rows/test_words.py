"""The vocabularies: every word explains itself, and the published columns are the real ones."""

from __future__ import annotations

import csv
from dataclasses import astuple

import pytest

from mdtree.rows import (
    DEFAULT_PROTOCOL,
    FACTS,
    PROTOCOLS,
    QUANTITIES,
    TARGET,
    check_facts,
)


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_a_quantity_says_in_one_line_each_what_it_is_and_what_low_and_high_mean(quantity):
    assert quantity.name.isidentifier()
    for text in (quantity.meaning, quantity.low, quantity.high):
        assert text == text.strip()
        assert text
        assert "\n" not in text
        assert not text.endswith(".")
    assert quantity.low != quantity.high
    assert not any("\n" in str(text) for text in astuple(quantity))


def test_quantities_are_found_by_their_names_and_no_two_share_a_published_column():
    assert [quantity.name for quantity in QUANTITIES.values()] == list(QUANTITIES)
    published = [q.published for q in QUANTITIES.values() if q.published is not None]
    assert len(set(published)) == len(published) == 9


def test_no_word_is_both_a_fact_and_a_quantity():
    assert FACTS.keys() & QUANTITIES.keys() == set()


def test_the_published_columns_are_in_the_published_table(published_table):
    with published_table.open(newline="") as file:
        header = next(csv.reader(file))
    assert {quantity.published for quantity in QUANTITIES.values()} - {None} <= set(header)


def test_only_the_hessian_is_published_as_a_logarithm():
    logs = {name for name, quantity in QUANTITIES.items() if quantity.published_log}
    assert logs == {"hessian_top", "hessian_trace"}


def test_protocols_have_a_version_and_the_default_is_one_of_them():
    assert DEFAULT_PROTOCOL in PROTOCOLS
    assert all(name.rpartition("-")[2].isdigit() for name in PROTOCOLS)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("widht", "width"),
        ("wdith", "width"),
        ("batchsize", "batch_size"),
        ("batch-size", "batch_size"),
        ("lerning_rate", "learning_rate"),
        ("epoch", "epochs"),
        ("weights_decay", "weight_decay"),
    ],
)
def test_a_misspelt_fact_is_a_fault_that_names_the_known_one(wrong, meant):
    assert check_facts({wrong: 1}) == [f"fact {wrong!r} is unknown, did you mean {meant!r}?"]


@pytest.mark.parametrize(
    "name",
    ["depth", "optimizer", "train_accuracy", "batch_size_test", "weight_decay_bn", "data_augment"],
)
def test_any_other_name_may_be_a_fact(name):
    assert check_facts({name: "yes"}) == []


@pytest.mark.parametrize("name", [name for name in FACTS if name not in {TARGET, "classes"}])
def test_a_known_fact_is_a_number_of_at_least_0(name):
    assert [fault for number in (0, 1, 0.5, 99) for fault in check_facts({name: number})] == []
    for value in (-1, -0.5, "8", True):
        assert check_facts({name: value}) == [
            f"fact {name!r} must be a number of at least 0, got {value!r}"
        ]


def test_classes_are_counted():
    assert [fault for number in (2, 10, 1000.0) for fault in check_facts({"classes": number})] == []
    for value in (0, 1, 2.5, 10**9, float("inf"), "ten", True, -3):
        assert check_facts({"classes": value}) == [
            f"fact 'classes' must be a whole number, 2 to 1000000, got {value!r}"
        ]


def test_a_target_is_a_percentage():
    assert [fault for number in (0, 1.01, 95, 100) for fault in check_facts({TARGET: number})] == []
    assert check_facts({TARGET: 100.5}) == [
        "fact 'target_accuracy' must be a percentage, 0 to 100, got 100.5"
    ]
    assert check_facts({TARGET: -1}) == [
        "fact 'target_accuracy' must be a percentage, 0 to 100, got -1"
    ]
    for share in (0.95, 1):
        assert check_facts({TARGET: share}) == [
            f"fact 'target_accuracy' is in percent: write 95 for 95 %; got {share}"
        ]


@pytest.mark.parametrize("value", [-1, float("nan"), "95", True, 500, 10**400])
def test_an_accuracy_is_a_percentage(value):
    (fault,) = check_facts({TARGET: value})
    assert fault.startswith("fact 'target_accuracy' must be a percentage, 0 to 100, got ")
    (fault,) = check_facts({"test_accuracy": value})
    assert fault.startswith("fact 'test_accuracy' must be a ")
    assert check_facts({"test_accuracy": 0.5}) == []


def test_all_faults_of_facts_are_listed():
    assert len(check_facts({"widht": 1, "batch_size": "big", "width": 8, "epohcs": 2})) == 3
