"""Plain verdicts: JSON that its schema describes, with everything in it."""

from __future__ import annotations

import json
from dataclasses import fields

import jsonschema
import pytest

from mdtree.diagnosis import Diagnoser, Verdict, headline, schema, to_plain_data
from mdtree.rows import Row
from mdtree.trees.bundled import find_tree, shipped_rows

NAME = "digits-standard-1"


@pytest.fixture(scope="module")
def verdicts():
    diagnoser = Diagnoser(find_tree(NAME), name=NAME)
    bare = Row(format=1, group="bare", protocol="standard-1", facts={}, quantities={})
    return [diagnoser(row) for row in (*shipped_rows(NAME)[::20], bare)]


def test_every_verdict_is_json_of_the_schema(verdicts):
    content = {"format": 1, "verdicts": [to_plain_data(verdict) for verdict in verdicts]}
    text = json.dumps(content, allow_nan=False)
    jsonschema.validate(json.loads(text), schema())


def test_nothing_of_a_verdict_is_left_out(verdicts):
    for verdict in verdicts:
        absent = {"target", "coarse"}  # the user names none, and all is precise
        names = {field.name for field in fields(Verdict)} - absent
        assert to_plain_data(verdict).keys() == names | {"advice", "headline"}
        assert to_plain_data(verdict)["probabilities"] == pytest.approx(verdict.probabilities)


def test_the_headline_is_the_sentence_of_the_page_and_the_schema_describes_it(verdicts):
    described = schema()["$defs"]["Verdict"]["properties"]["headline"]
    assert described["type"] == "string"
    assert described["description"]
    for verdict in verdicts:
        assert to_plain_data(verdict)["headline"] == headline(verdict)


@pytest.mark.parametrize(
    "change", [{"headline": None}, {"mode": 3}, {"probability": "high"}, {"clues": None}]
)
def test_the_schema_refuses_what_is_no_verdict(verdicts, change):
    content = {"format": 1, "verdicts": [{**to_plain_data(verdicts[0]), **change}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema())
