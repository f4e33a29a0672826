"""Forests of gains in tree files: broken and hostile ones are refused in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mdtree.exceptions import TreeError
from mdtree.trees import probabilities, read_tree, write_tree
from tests.support.small_gain_models import constant, gain_tree, question

QUESTION = "0 0.5 > 2;0.1;0.4"  # cka above 0.5, or missing: a gain of 0.4
GAINS = {
    "scale": {"power": 2, "floor": 0.1, "none": 1.5, "noise": 0.05},
    "levels": {"0.8": 0.5, "0.9": 0.25},
    "spread": {"add_data": [{"expected": 0.2, "low": 0, "high": 0.5}]},
    "forest": {"add_data": [QUESTION, "0.2"], "enlarge_model": ["0.3", "1 -2 < 2;0;1"]},
}
WHOLE = {
    "format": 1,
    "task": "resources",
    "method": "gains",
    "protocol": "standard-1",
    "classes": ["data_small", "model_small"],
    "features": ["cka", "log_noise"],
    "groups": 30,
    "ranges": {},
    "provenance": {},
    "tree": {"answer": "data_small", "counts": {"data_small": 30}},
    "gains": GAINS,
}
LEFT_OUT = object()


def changed(*path, to):
    """The whole file with one place of its gains changed, or left out."""
    content = json.loads(json.dumps(WHOLE))
    part = content["gains"]
    for step in path[:-1]:
        part = part[step]
    if to is LEFT_OUT:
        del part[path[-1]]
    else:
        part[path[-1]] = to
    return json.dumps(content)


@pytest.fixture
def read(tmp_path):
    def reading(text):
        (tmp_path / "tree.json").write_text(text)
        return read_tree(tmp_path / "tree.json")

    return reading


@pytest.fixture
def refusal(read, tmp_path):
    def message(text):
        with pytest.raises(TreeError) as stop:
            read(text)
        assert str(stop.value).startswith(str(tmp_path / "tree.json"))
        assert "\n" not in str(stop.value)
        assert len(str(stop.value)) < len(str(tmp_path)) + 400
        return str(stop.value)

    return message


def test_the_whole_file_is_read(read):
    model = read(json.dumps(WHOLE)).gain_model
    gains = model.forest.gains(np.array([[0.5, -3.0], [0.6, -1.0], [np.nan, np.nan]]))
    assert gains["add_data"] == pytest.approx([0.15, 0.3, 0.3])
    assert gains["enlarge_model"] == pytest.approx([0.15, 0.65, 0.15])
    assert (model.scale.power, model.scale.noise, model.levels["0.9"]) == (2, 0.05, 0.25)
    assert model.range_of("add_data", 0.9).high == 0.5


def test_a_file_without_levels_and_ranges_has_answers_all_the_same(read):
    bare = {**WHOLE, "gains": {**GAINS, "levels": {}, "spread": {}}}
    saved = read(json.dumps(bare))
    assert probabilities(saved, np.zeros((1, 2))).sum() == pytest.approx(1)
    assert saved.gain_model.range_of("add_data", 0.2) is None


@pytest.mark.parametrize(
    ("path", "to", "reason"),
    [
        (("scale",), LEFT_OUT, "gains.scale: Field required"),
        (("scale",), [], "gains.scale: Input should be"),
        (("scale", "power"), LEFT_OUT, "gains.scale.power: Field required"),
        (("scale", "power"), 0, "greater than"),
        (("scale", "floor"), -0.1, "greater than"),
        (("scale", "none"), 1e300, "less than"),
        (("scale", "noise"), "much", "gains.scale.noise: Input should be a valid number"),
        (("scale", "more"), 1, "gains.scale.more: Unexpected keyword"),
        (("levels",), LEFT_OUT, "gains.levels: Field required"),
        (("levels",), [0.5], "gains.levels: Input should be"),
        (("levels", "0.9"), 2, "less than or equal to 1"),
        (("levels", "0.9"), -0.1, "greater than or equal to 0"),
        (("levels", "0.9"), None, "gains.levels.0.9: Input should be"),
        (("levels", "often"), 0.5, "its level of 'often' is for no coverage"),
        (("levels", "nan"), 0.5, "its level of 'nan' is for no coverage"),
        (("levels", "90"), 0.5, "its level of '90' is for no coverage"),
        (("levels", ""), 0.5, "its level of '' is for no coverage"),
        (("spread",), LEFT_OUT, "gains.spread: Field required"),
        (("spread", "pray"), [], "the gain of 'pray', which is no remedy"),
        (("spread", "add_data"), [{"expected": 1}], "low: Field required"),
        (("spread", "add_data"), [GAINS["spread"]["add_data"][0]] * 1001, "at most 1000 items"),
        (("spread", "add_data", 0, "low"), 0.6, "must rise, from 0 to 1"),
        (("spread", "add_data", 0, "low"), -0.1, "must rise, from 0 to 1"),
        (("spread", "add_data", 0, "high"), 1e300, "must rise, from 0 to 1"),
        (("spread", "add_data", 0, "expected"), 1e301, "less than or equal"),
        (("forest",), LEFT_OUT, "gains.forest: Field required"),
        (("forest",), {}, "a tree for each remedy"),
        (("forest",), {"pray": ["0.5"]}, "the gain of 'pray', which is no remedy"),
        (("forest", "add_data"), [], "at least 1 item"),
        (("forest", "add_data"), QUESTION, "gains.forest.add_data: Input should be"),
        (("forest", "add_data"), [7], "gains.forest.add_data.0: Input should be a valid string"),
        (("forest", "add_data"), ["0"] * 10_001, "at most 10000 items"),
        (("more",), 1, "gains.more: Unexpected keyword"),
    ],
)
def test_a_fault_is_named_with_its_place(refusal, path, to, reason):
    assert reason in refusal(changed(*path, to=to))


def test_ranges_that_fall_are_refused(refusal):
    ranges = [{"expected": end, "low": 0, "high": 1} for end in (0.5, 0.2)]
    assert "its ranges of the gain of add_data must rise" in refusal(
        changed("spread", "add_data", to=ranges)
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "could not convert"),
        (";", "could not convert"),
        (" ", "four words, an answer one"),
        ("0.1;", "could not convert"),
        ("much", "could not convert"),
        ("nan", "finite"),
        ("-inf", "finite"),
        ("1e999", "finite"),
        ("-5", "expects a gain of add_data that is no part of an error"),
        ("1.5", "no part of an error"),
        ("1e300", "no part of an error"),
        ("0 0.5 > 2;0.1", "behind it"),
        ("0 0.5 > 2", "end in leaves"),
        ("0 0.5 > 2;0.1;-0.4", "no part of an error"),
        ("0 0.5 ? 2;0.1;0.2", "four words, an answer one"),
        ("0 0.5 >< 2;0.1;0.2", "four words, an answer one"),
        ("0 0.5 2;0.1;0.2", "four words, an answer one"),
        ("0 0.5 > 2 2;0.1;0.2", "four words, an answer one"),
        ("0  0.5 > 2;0.1;0.2", "four words, an answer one"),
        ("0 nan > 2;0.1;0.2", "finite"),
        ("0 1e999 > 2;0.1;0.2", "finite"),
        ("0 x > 2;0.1;0.2", "could not convert"),
        ("0.5 0.5 > 2;0.1;0.2", "'0.5' is no column"),
        ("-1 0.5 > 2;0.1;0.2", "'-1' is no column"),
        ("-5 0.5 > 2;0.1;0.2", "'-5' is no column"),
        ("1_0 0.5 > 2;0.1;0.2", "'1_0' is no column"),
        ("2 0.5 > 2;0.1;0.2", "asks for more features than it has"),
        ("99999999999999999999999 0.5 > 2;0.1;0.2", "asks for more features"),
        (f"{2**63} 0.5 > 2;0.1;0.2", "asks for more features"),
        ("9" * 5000 + " 0.5 > 2;0.1;0.2", "cannot be read"),
        ("0 0.5 > 0;0.1;0.2", "behind it"),
        ("0 0.5 > 1;0.1;0.2", "behind it"),
        ("0 0.5 > 3;0.1;0.2", "behind it"),
        ("0 0.5 > -2;0.1;0.2", "behind it"),
        ("0 0.5 > 2.0;0.1;0.2", "invalid literal"),
        ("0 0.5 > 99999999999999999999999;0.1;0.2", "cannot be read"),
        ("0 0.5 > 2;0 0.5 > 1;0.1", "behind it"),
    ],
)
def test_a_line_that_is_no_tree_is_refused(refusal, text, reason):
    assert reason in refusal(changed("forest", "add_data", to=["0.1", text]))


def test_a_long_chain_of_questions_is_read_and_its_walks_end(read):
    count = 20_000
    chain = ";".join([f"0 0.5 > {count + 1}"] * count + ["0.1", "0.2"])
    model = read(changed("forest", "add_data", to=[chain])).gain_model
    gains = model.forest.gains(np.array([[0.0, 0.0], [1.0, 0.0]]))["add_data"]
    assert gains == pytest.approx([0.1, 0.2])


def places(part, path=()):
    """List the way to every value, containers included."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


ODD = (None, True, -1, 0, 1, 0.5, 1e308, 10**400, "", "1", "0 0 > 2;0;1", [], {}, [[]], LEFT_OUT)


@pytest.mark.parametrize("path", list(places(GAINS)), ids=lambda path: ".".join(map(str, path)))
def test_whatever_stands_there_is_used_or_refused(read, tmp_path, path):
    for value in ODD:
        try:
            saved = read(changed(*path, to=value))
        except TreeError:
            continue
        matrix = np.array([[0.2, -3.0], [np.nan, np.nan], [1e300, 1e300]])
        shares = probabilities(saved, matrix)
        assert shares.sum(axis=1) == pytest.approx(np.ones(3))
        assert saved.gain_model.votes(matrix, saved.features, saved.classes).shape == (3, 2)
        write_tree(tmp_path / "again.json", saved)
        again = probabilities(read_tree(tmp_path / "again.json"), matrix)
        assert again == pytest.approx(shares)


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (constant(1.5), "no part of an error"),
        (question(2, 0.5, 0.1, 0.2), "asks for more features than it has"),
    ],
)
def test_a_forest_that_could_not_be_read_again_is_not_written(tmp_path, tree, reason):
    path = tmp_path / "tree.json"
    path.write_text("an earlier tree")
    with pytest.raises(TreeError, match=f"cannot be written, .*{reason}"):
        write_tree(path, gain_tree({"add_data": [tree]}))
    assert path.read_text() == "an earlier tree"


def test_a_file_too_large_to_be_read_is_not_written(tmp_path):
    large = gain_tree({"add_data": [constant(0.1)]}, provenance={"rows": "x" * 2**24})
    with pytest.raises(TreeError, match="its file would be larger than 16777216 bytes"):
        write_tree(tmp_path / "tree.json", large)
    assert not (tmp_path / "tree.json").exists()


def test_every_digit_that_is_written_is_read(tmp_path):
    trees = [question(0, number, 0.1234, 0.9999) for number in (1e-9, -123456.7, 1e300, 1 / 3)]
    write_tree(tmp_path / "tree.json", gain_tree({"add_data": trees, "enlarge_model": [trees[0]]}))
    read_trees = read_tree(tmp_path / "tree.json").gain_model.forest.trees["add_data"]
    for one, other in zip(trees, read_trees, strict=True):
        assert other.number == pytest.approx(one.number, rel=1e-9)
        assert other.feature.tolist() == one.feature.tolist()
        assert other.high.tolist() == one.high.tolist()
        assert other.missing_high.tolist() == one.missing_high.tolist()
