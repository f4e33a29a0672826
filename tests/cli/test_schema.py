"""`mdtree schema`: JSON Schemas that real files fulfil and mistakes do not."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import jsonschema
import pytest

from mdtree.diagnosis import Verdict
from mdtree.recipes import data, read_recipe
from mdtree.recipes.part import Part
from mdtree.recipes.yaml import read_yaml
from mdtree.rows import FACTS, Row
from mdtree.rows.row import row_to_json
from tests.support.paths import DATA, ROOT
from tests.support.reports import whole_row

CONFIGS = ROOT / "configs"
KINDS = {"measure": "recipe", "zoo": "zoo"}  # how the name of a config begins -> its schema
ROWS = DATA / "before_renaming" / "rows.jsonl"
LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")


@pytest.fixture
def schema(mdtree):
    def printed(kind):
        ran = mdtree("schema", kind)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return printed


@pytest.fixture
def validator(schema):
    return lambda kind: jsonschema.Draft202012Validator(schema(kind))


def without_descriptions(part):
    """Leave out what pydantic before 2.13 does not read from docstrings."""
    if isinstance(part, dict):
        return {k: without_descriptions(v) for k, v in part.items() if k != "description"}
    return [without_descriptions(inner) for inner in part] if isinstance(part, list) else part


@pytest.mark.parametrize(
    "kind", ["recipe", "zoo", "rows", "diagnosis", "comparison", "confirmation"]
)
def test_each_is_a_schema_of_2020_12_without_titles_of_fields(schema, kind):
    content = schema(kind)
    jsonschema.Draft202012Validator.check_schema(content)
    assert content["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert next(iter(content["properties"])) == "format"
    assert not [key for key, field in content["properties"].items() if "title" in field]


def test_another_word_is_refused_with_those_that_are_known(mdtree):
    ran = mdtree("schema", "recipes")
    assert (ran.code, ran.out) == (2, "")
    assert "'recipe', 'zoo', 'rows', 'diagnosis'" in ran.err


@pytest.mark.parametrize("kind", ["diagnosis", "comparison", "confirmation"])
def test_whatever_holds_verdicts_describes_their_sentence(schema, kind):
    assert schema(kind)["$defs"]["Verdict"]["properties"]["headline"]["type"] == "string"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.name)
def test_recipes_and_zoos_to_copy_fulfil_their_schema(published, path):
    kind = "recipe" if path.name.startswith("measure") else "zoo"
    published[kind].validate(read_yaml(path).content)


@pytest.fixture(scope="module")
def published():
    return {
        kind: jsonschema.Draft202012Validator(
            json.loads((CONFIGS / f"{kind}.schema.json").read_text())
        )
        for kind in KINDS.values()
    }


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_schemas_beside_the_configs_are_those_of_the_command(schema, kind):
    beside = json.loads((CONFIGS / f"{kind}.schema.json").read_text())
    assert without_descriptions(beside) == without_descriptions(schema(kind))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_configs_name_their_schema_in_the_line_that_editors_read(path):
    (name,) = LINE.findall(path.read_text().splitlines()[0])
    assert name == f"{KINDS[path.name.partition('-')[0]]}.schema.json"
    assert (path.parent / name).is_file()


def test_a_recipe_with_that_line_is_read(tmp_path):
    path = tmp_path / "mdtree.yaml"
    path.write_text("# yaml-language-server: $schema=recipe.schema.json\nmodel: cnn\n")
    assert read_recipe(path).model.factory == "cnn"


@pytest.mark.parametrize(
    "content",
    [
        {"model": "cnn"},
        {"model": {"factory": "a.b:c", "kwargs": {"width": "$width", "deep": [1, None]}}},
        {"model": "cnn", "data": "animals", "loss": "mse"},
        {"model": "cnn", "data": "mine.data:make"},
        {"model": "cnn", "data": {"source": "mine.data:make", "kwargs": {"n": 3}}},
        {"model": "cnn", "data": {"source": "tensors", "train": "x.npz", "amount": "$amount"}},
        {"model": "cnn", "facts": {"width": 8, "colour": "red", "tall": True}},
        {"model": "cnn", "training": {"learning_rate": "$learning_rate", "batch_size": 8}},
    ],
)
def test_short_and_long_forms_fulfil_the_schema_and_are_read(validator, content, tmp_path):
    validator("recipe").validate(content)
    (tmp_path / "mdtree.yaml").write_text(json.dumps(content))
    assert read_recipe(tmp_path / "mdtree.yaml")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"model": 3},
        {"model": "cnn", "modle": "cnn"},
        {"model": "cnn", "format": 2},
        {"model": "cnn", "data": "tensors"},
        {"model": "cnn", "data": {"source": "tensors"}},
        {"model": "cnn", "data": {"train": "x.npz"}},
        {"model": "cnn", "data": {"source": "digits", "amount": 0}},
        {"model": "cnn", "facts": {"width": "wide"}},
        {"model": "cnn", "training": {"learning_rate": -1, "batch_size": 8}},
        {"model": "cnn", "groups": [{"name": "a", "files": []}]},
    ],
)
def test_mistakes_do_not_fulfil_the_schema(validator, content):
    assert list(validator("recipe").iter_errors(content))


def test_data_that_need_only_their_name_are_the_texts_of_the_schema(schema):
    (names, *_) = schema("recipe")["properties"]["data"]["anyOf"]
    kinds = [kind for kind in vars(data).values() if isinstance(kind, type)]
    sources = [kind for kind in kinds if issubclass(kind, Part) and "source" in kind.model_fields]
    assert names["enum"] == [
        kind.model_fields["source"].default
        for kind in sources
        if not any(field.is_required() for field in kind.model_fields.values())
    ]


def test_editors_are_told_what_keys_and_facts_mean(schema):
    recipe = schema("recipe")
    assert recipe["$defs"]["Digits"]["properties"]["amount"]["description"]
    assert recipe["$defs"]["GroupSpec"]["properties"]["files"]["description"].startswith("paths")
    assert recipe["properties"]["facts"]["properties"].keys() > FACTS.keys()


def test_real_rows_fulfil_the_schema_of_rows(validator):
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    rows.append(json.loads(row_to_json(whole_row())))
    held = validator("rows")
    for row in rows:
        held.validate(row)
        assert list(held.iter_errors({**row, "format": 2}))
        assert list(held.iter_errors({**row, "new": 2}))
    assert {field.name for field in fields(Row)} == held.schema["properties"].keys()


def test_what_diagnose_prints_fulfils_the_schema_of_the_diagnosis(validator, mdtree):
    ran = mdtree("diagnose", ROWS, "--json")
    assert ran.code == 0, ran.err
    content = json.loads(ran.out)
    held = validator("diagnosis")
    held.validate(content)
    assert len(content["verdicts"]) > 1
    properties = held.schema["$defs"]["Verdict"]["properties"]
    assert {field.name for field in fields(Verdict)} | {"advice", "headline"} == properties.keys()
    assert properties["probability"]["description"] == "of `likely`"
