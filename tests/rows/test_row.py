"""Rows: nothing but finite numbers and text enters, and JSON gives back exactly what it got."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mdtree.rows import (
    Copy,
    GroupFailure,
    Measured,
    Missing,
    Provenance,
    Row,
    mean_over_members,
)
from mdtree.rows.row import row_from_json, row_to_json

PLAIN = {"format": 1, "group": "g", "protocol": "standard-1", "facts": {}, "quantities": {}}

numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(codec="utf-8"), max_size=20)
names = words.filter(bool)
values = st.one_of(
    st.builds(
        Measured,
        value=numbers,
        stderr=st.none() | numbers,
        members=st.none() | st.lists(numbers, max_size=3).map(tuple),
    ),
    st.builds(Missing, missing=words),
)
provenances = st.builds(
    Provenance,
    weights=st.dictionaries(words, words, max_size=3),
    recipe=words,
    metrics=st.lists(words, max_size=3).map(tuple),
    seed=st.integers(),
    device=words,
    seconds=numbers,
    versions=st.dictionaries(words, words, max_size=3),
    data=st.none() | words,
    notes=st.lists(words, max_size=3).map(tuple),
    copies=st.none() | st.dictionaries(words, st.builds(Copy, of=words, sha256=words), max_size=3),
)
rows = st.builds(
    Row,
    format=st.just(1),
    group=names,
    protocol=names,
    facts=st.dictionaries(words, st.booleans() | st.integers() | numbers | words, max_size=4),
    quantities=st.dictionaries(words, values, max_size=4),
    provenance=st.none() | provenances,
    failure=st.none() | st.builds(GroupFailure, kind=words, reason=words),
)


@given(rows)
@settings(deadline=None, derandomize=True)
def test_a_row_survives_json_exactly(row):
    text = row_to_json(row)
    again = row_from_json(text)
    assert row == again
    kinds = {name: type(value) for name, value in row.facts.items()}
    assert kinds == {name: type(value) for name, value in again.facts.items()}
    assert text == row_to_json(again)
    assert b"\n" not in text


def test_a_line_says_only_what_is_known():
    row = Row(**PLAIN | {"quantities": {"cka": Measured(value=0.5)}})
    assert json.loads(row_to_json(row)) == PLAIN | {"quantities": {"cka": {"value": 0.5}}}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_not_finite_enters(number):
    with pytest.raises(ValidationError):
        Measured(value=number)
    with pytest.raises(ValidationError):
        Measured(value=1.0, stderr=number)
    with pytest.raises(ValidationError):
        Measured(value=1.0, members=(1.0, number))
    with pytest.raises(ValidationError):
        Row(**PLAIN | {"facts": {"width": number}})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ["facts", "quantities"])
def test_no_number_that_is_not_finite_is_read(number, place):
    text = json.dumps(PLAIN | {place: {"x": "HERE" if place == "facts" else {"value": "HERE"}}})
    row_from_json(text.replace('"HERE"', "1").encode())
    with pytest.raises(ValidationError):
        row_from_json(text.replace('"HERE"', number).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"quantities": {"cka": {"value": 1.0, "unit": "%"}}},
        {"quantities": {"cka": {"value": 1.0, "missing": "both"}}},
        {"failure": {"kind": "x", "reason": "y", "cause": "z"}},
        {"group": ""},
        {"group": None},
        {"facts": {"width": None}},
        {"facts": {"width": [8]}},
    ],
)
def test_an_unknown_key_or_a_wrong_kind_is_no_row(change):
    row_from_json(json.dumps(PLAIN).encode())
    with pytest.raises(ValidationError):
        row_from_json(json.dumps(PLAIN | change).encode())


def test_bytes_of_file_names_that_are_no_text_are_spelt_out():
    name = b"seed-\xff.pt".decode(errors="surrogateescape")
    row = Row(
        **PLAIN | {"group": name, "failure": GroupFailure(kind="x", reason=f"{name} is gone")}
    )
    assert row.group == r"seed-\udcff.pt"
    assert row == row_from_json(row_to_json(row))


def test_files_that_were_counted_once_are_named_beside_their_member():
    known = Provenance(
        weights={"a": "1", "b": "2"},
        copies={"c": Copy(of="a", sha256="1"), "d": Copy(of="b", sha256="3" * 999)},
        recipe="",
        metrics=(),
        seed=0,
        device="",
        seconds=0.0,
        versions={},
    )
    assert known.files == {"a": "1", "b": "2", "c": "1", "d": "3" * 999}
    assert known.counted_once == ["c is identical to a", "d holds the same weights as b"]


def test_a_mean_over_members_by_hand():
    """Of 1, 2, 6: the mean is 3, the variance (4 + 1 + 9) / 2 = 7, the error sqrt(7 / 3)."""
    combined = mean_over_members([1.0, 2.0, 6.0], single_stderr=99.0)
    assert isinstance(combined, Measured)
    assert combined.value == 3.0
    assert combined.stderr == pytest.approx(math.sqrt(7 / 3), rel=1e-15)
    assert combined.members == (1.0, 2.0, 6.0)


def test_the_mean_over_one_member_keeps_its_own_error():
    assert mean_over_members([4.0], single_stderr=0.5) == Measured(
        value=4.0, stderr=0.5, members=(4.0,)
    )
    assert mean_over_members([4.0], single_stderr=None) == Measured(value=4.0, members=(4.0,))
    assert mean_over_members([4.0], single_stderr=math.inf) == Measured(value=4.0, members=(4.0,))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, math.nan], "not finite for 1 of 2 checkpoints"),
        ([math.inf, -math.inf, math.nan], "not finite for 3 of 3 checkpoints"),
        ([1e308, 1e308], "the values of the checkpoints are too large to average"),
    ],
)
def test_a_mean_that_is_not_finite_is_missing_with_its_reason(values, reason):
    assert mean_over_members(values, single_stderr=None) == Missing(missing=reason)


@given(st.lists(numbers, min_size=1, max_size=5))
@settings(deadline=None, derandomize=True)
def test_a_mean_over_finite_members_never_fails(values):
    assert isinstance(mean_over_members(values, single_stderr=None), Measured | Missing)
