"""Verdicts of a tree that has learnt gains: saved, read, and asked."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from mdtree.diagnosis import UNSURE, Diagnoser, schema, to_plain_data
from mdtree.exceptions import TreeError
from mdtree.failure_modes import REMEDIES
from mdtree.rows import Measured, Missing, write_rows
from mdtree.trees import probabilities, read_tree, write_tree
from mdtree.trees.bundled import reference_collection, shipped_rows
from mdtree.trees.fit import fit_tree, relative_gains


@pytest.fixture(scope="module")
def rows():
    return reference_collection()["segment"]


@pytest.fixture(scope="module")
def saved(rows):
    return fit_tree(rows, task="failure", method="gains")


@pytest.fixture(scope="module")
def file(saved, tmp_path_factory):
    path = tmp_path_factory.mktemp("trees") / "gains.json"
    write_tree(path, saved)
    return path


@pytest.fixture(scope="module")
def verdicts(saved, rows):
    diagnoser = Diagnoser(saved, name="gains")
    return [(row, diagnoser(row)) for row in rows[::5]]


def changed(row, **quantities):
    return replace(row, quantities={**row.quantities, **quantities})


def test_what_was_written_is_read_with_the_same_answers(saved, file, rows):
    again = read_tree(file)
    matrix = saved.matrix(rows)
    assert probabilities(again, matrix) == pytest.approx(probabilities(saved, matrix), abs=1e-9)
    assert again.gain_model.levels == saved.gain_model.levels
    assert again.gain_model.spread == saved.gain_model.spread


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.pop("scale"),
        lambda part: part["scale"].update(power=0),
        lambda part: part["scale"].update(noise="much"),
        lambda part: part["levels"].update({"0.9": 2}),
        lambda part: part["means"].update(add_data=1.5),
        lambda part: part["means"].pop("add_data"),
        lambda part: part["means"].update(pray=0.5),
        lambda part: part.update(means={}, weights={}),
        lambda part: part.update(width=0),
        lambda part: part["weights"].update(add_data=[]),
        lambda part: part["weights"].update(add_data="0.5"),
        lambda part: part["weights"].update(add_data=[0.1] * 3),
        lambda part: part["weights"].update(add_data=[10**400] * part["count"]),
        lambda part: part["quantiles"].popitem(),
        lambda part: part["quantiles"].update(prayers=[0.1]),
        lambda part: part["quantiles"].update(cka=[0.2, 0.1]),
        lambda part: part["quantiles"].update(cka=[]),
        lambda part: part.pop("count"),
        lambda part: part.update(count=part["count"] + 1),
        lambda part: part.update(centres=part["centres"][:-8]),
        lambda part: part.update(centres=["nan " * len(part["quantiles"])]),
        lambda part: part.update(centres=7),
    ],
)
def test_a_tree_of_gains_that_cannot_be_one_is_refused(file, tmp_path, change):
    content = json.loads(file.read_text())
    change(content["gains"])
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TreeError, match=r"broken\.json is not a "):
        read_tree(path)


def test_no_gain_is_larger_than_the_test_error(verdicts):
    for row, verdict in verdicts:
        error = row.quantities["test_error"].value
        assert all(0 <= gain.mean <= error + 1e-9 for gain in verdict.gains)
        assert all(0 <= gain.low <= gain.high <= error + 1e-9 for gain in verdict.gains)


def test_the_verdict_is_the_largest_gain(verdicts):
    for _, verdict in verdicts:
        if verdict.mode not in (UNSURE, "none"):
            assert verdict.mode == REMEDIES[verdict.gains[0].remedy]


def test_sets_of_answers_begin_with_the_likeliest_and_grow_with_their_coverage(verdicts):
    for _, verdict in verdicts:
        assert verdict.answers["0.8"][0] == verdict.answers["0.9"][0] == verdict.likely
        assert set(verdict.answers["0.8"]) <= set(verdict.answers["0.9"])


def test_a_group_unlike_all_others_has_no_smaller_sets(saved, rows):
    diagnoser = Diagnoser(saved, name="gains")
    far = changed(rows[0], hessian_top=Measured(value=1e9), hessian_trace=Measured(value=1e12))
    verdict = diagnoser(far)
    assert verdict.outlier.outside
    level = saved.gain_model.levels["0.9"] / 2
    others = {name for name, share in verdict.probabilities.items() if share >= level}
    assert set(verdict.answers["0.9"]) == others | {verdict.likely}


def test_without_a_test_error_there_is_a_verdict_and_no_gain(saved, rows):
    bare = changed(rows[0], test_error=Missing(missing="no test data"))
    verdict = Diagnoser(saved, name="gains")(bare)
    assert verdict.gains == ()
    assert verdict.likely in saved.classes
    assert "error_rate" in {missing.metric for missing in verdict.missed}


def test_rows_from_before_the_new_quantities_are_used_as_they_are():
    """They know no error of chance: what is measured in it is missing, and no more."""
    old = shipped_rows("digits-standard-1")
    saved = fit_tree(old, task="failure", method="gains")
    verdict = Diagnoser(saved, name="gains")(old[0])
    assert sum(verdict.probabilities.values()) == pytest.approx(1)


def test_verdicts_are_json_of_the_schema(verdicts):
    content = {"format": 1, "verdicts": [to_plain_data(verdict) for _, verdict in verdicts]}
    jsonschema.validate(json.loads(json.dumps(content, allow_nan=False)), schema())


@pytest.fixture(scope="module")
def with_facts(rows):
    return Diagnoser(fit_tree(rows, task="failure", method="gains", facts=True), name="facts")


def test_a_recipe_that_is_not_known_is_asked_for_and_not_needed(with_facts, rows):
    """What its features tell is made up for by the others, and nothing but facts is missed."""
    same = 0
    for row in rows[::5]:
        whole, bare = with_facts(row), with_facts(replace(row, facts={}))
        (lack,) = (missing for missing in bare.missed if missing.metric == "facts")
        assert {"log_temperature", "log_steps", "log_edge"} <= set(lack.features)
        assert 0 <= lack.flips <= 1
        assert "facts" not in {missing.metric for missing in whole.missed}
        same += bare.likely == whole.likely
    assert same / len(rows[::5]) > 0.8


def test_facts_alone_make_a_verdict_whose_json_is_of_the_schema(with_facts, rows):
    """Without any measurement it is a guess, and says what to measure."""
    alone = with_facts(replace(rows[0], quantities={}))
    assert alone.gains == ()
    assert {"error_rate", "hessian", "similarity"} <= {each.metric for each in alone.missed}
    nothing = with_facts(replace(rows[0], quantities={}, facts={}))
    assert nothing.mode == UNSURE
    content = {"format": 1, "verdicts": [to_plain_data(each) for each in (alone, nothing)]}
    jsonschema.validate(json.loads(json.dumps(content, allow_nan=False)), schema())


def test_the_outlook_is_one_answer_for_each_draw_of_what_is_missing(with_facts, rows):
    line = with_facts.line(replace(rows[0], facts={}))
    features = ("log_temperature", "log_steps")
    outcomes, shares = with_facts.ensemble.outlook(line, features)
    assert outcomes.sum(axis=1) == pytest.approx(np.ones(len(outcomes)))
    assert shares.sum() == pytest.approx(1.0)
    assert len(np.unique(outcomes[:, 0])) > 10  # they differ, as what is drawn does
    known = with_facts.line(rows[0])
    again, _ = with_facts.ensemble.outlook(known, features)
    one = with_facts.ensemble.probabilities(known[None])
    assert again == pytest.approx(np.repeat(one, len(again), axis=0))


def test_the_command_shows_the_tree_that_explains(mdtree, file, tmp_path):
    ran = mdtree("tree", "show", file, "--svg", tmp_path / "tree.svg")
    assert (ran.code, ran.err) == (0, "")
    assert "gains, protocol standard-1, fitted on 81 groups" in ran.out
    assert " points" in ran.out
    assert (tmp_path / "tree.svg").read_text().startswith("<svg")


def test_relative_gains_are_parts_of_the_test_error_and_unknown_at_the_ends(rows):
    from mdtree.labelling import room_for_improvement

    rooms = room_for_improvement(rows)
    gains = relative_gains(rows, rooms)
    for number, (row, room) in enumerate(zip(rows, rooms, strict=True)):
        for remedy, values in gains.items():
            if remedy in room.unknown:
                assert values[number] != values[number]  # NaN
            else:
                points = values[number] * row.quantities["test_error"].value
                assert points == pytest.approx(room.gains[remedy], abs=1e-6)


def test_the_command_fits_and_diagnoses(mdtree, rows, tmp_path):
    measured, tree = tmp_path / "rows.jsonl", tmp_path / "tree.json"
    write_rows(measured, rows)
    assert mdtree("fit", measured, "--tree", "gains", "--out", tree).code == 0
    ran = mdtree("diagnose", measured, "--group", rows[0].group, "--tree", tree)
    assert ran.code == 0
    assert "90 % prediction set: " in ran.out
    assert "more data or a larger network? " in ran.out
    shown = json.loads(mdtree("diagnose", measured, "--tree", tree, "--json").out)
    assert len(shown["verdicts"]) == len(rows)
