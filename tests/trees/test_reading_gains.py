"""Regressions of gains in tree files: broken and hostile ones are refused in words."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import partial
from statistics import NormalDist

import numpy as np
import pytest

from mdtree.exceptions import TreeError
from mdtree.trees import probabilities, read_tree, write_tree
from mdtree.trees.file_numbers import packed
from mdtree.trees.kernel_regression import KernelRegression, QuantileScale
from tests.support.small_gain_models import constant, gain_tree, question
from tests.support.tree_files import LEFT_OUT, changed_text, places

PLACE = NormalDist().inv_cdf(0.75)  # of the second of two quantiles; the first has -PLACE
GAINS = {
    "scale": {"power": 2, "floor": 0.1, "none": 1.5, "noise": 0.05},
    "levels": {"0.8": 0.5, "0.9": 0.25},
    "spread": {"add_data": [{"expected": 0.2, "low": 0, "high": 0.5}]},
    "width": 0.5,
    "means": {"add_data": 0.2, "enlarge_model": 0.3},
    "quantiles": {"log_noise": [-4, -2], "cka": [0.1, 0.5]},
    "weights": {"add_data": [0.1, -0.2, 0.3], "enlarge_model": [0, 0.5, 0]},
    "centres": ["0 0.5", "-1 0", "1.5 -0.25"],
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
changed = partial(changed_text, WHOLE, "gains")


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
    gains = model.regression.values(np.array([[0.5, -3.0], [0.0, np.nan], [np.nan, np.nan]]))
    whole = [
        math.exp(-0.5 * ((0 - noise) ** 2 + (PLACE - cka) ** 2) / 2)
        for noise, cka in ((0, 0.5), (-1, 0), (1.5, -0.25))
    ]
    part = [math.exp(-0.5 * (-PLACE - cka) ** 2) for cka in (0.5, 0, -0.25)]
    assert gains["add_data"] == pytest.approx(
        [0.2 + 0.1 * near[0] - 0.2 * near[1] + 0.3 * near[2] for near in (whole, part)] + [0.2]
    )
    assert gains["enlarge_model"] == pytest.approx([0.3 + 0.5 * whole[1], 0.3 + 0.5 * part[1], 0.3])
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
        (("levels", "often"), 0.5, "its coverage 'often' is not a number between 0 and 1"),
        (("levels", "nan"), 0.5, "its coverage 'nan' is not a number between 0 and 1"),
        (("levels", "90"), 0.5, "its coverage '90' is not a number between 0 and 1"),
        (("levels", ""), 0.5, "its coverage '' is not a number between 0 and 1"),
        (("spread",), LEFT_OUT, "gains.spread: Field required"),
        (("spread", "pray"), [], "the gain of 'pray', which is not a remedy"),
        (("spread", "add_data"), [{"expected": 1}], "low: Field required"),
        (("spread", "add_data"), [GAINS["spread"]["add_data"][0]] * 1001, "at most 1000 items"),
        (("spread", "add_data", 0, "low"), 0.6, "must rise, from 0 to 1"),
        (("spread", "add_data", 0, "low"), -0.1, "must rise, from 0 to 1"),
        (("spread", "add_data", 0, "high"), 1e300, "must rise, from 0 to 1"),
        (("spread", "add_data", 0, "expected"), 1e301, "less than or equal"),
        (("width",), LEFT_OUT, "gains.width: Field required"),
        (("width",), 0, "greater than or equal"),
        (("width",), -1, "greater than or equal"),
        (("width",), 1e13, "less than or equal"),
        (("width",), "wide", "gains.width: Input should be a valid number"),
        (("means",), LEFT_OUT, "gains.means: Field required"),
        (("means",), {}, "a mean for each target"),
        (("means", "add_data"), LEFT_OUT, "a mean for each target"),
        (("means", "pray"), 0.5, "a mean for each target"),
        (("means", "add_data"), -0.1, "mean of add_data must be from 0 to 1"),
        (("means", "add_data"), 1.1, "from 0 to 1"),
        (("means", "add_data"), 10**400, "gains.means.add_data: Input should be"),
        (("weights",), LEFT_OUT, "gains.weights: Field required"),
        (("weights",), {}, "a mean for each target"),
        (("weights", "add_data"), [], "one weight for each centre"),
        (("weights", "add_data"), [0.1, 0.2], "one weight for each centre"),
        (("weights", "add_data"), [0.1] * 4, "one weight for each centre"),
        (("weights", "add_data"), [0.1] * 10_001, "at most 10000 items"),
        (("weights", "add_data"), "0.1 0.2 0.3", "packed numbers are m2, f4 or f8"),
        (("weights", "add_data", 1), 1e301, "less than or equal"),
        (("weights", "add_data", 1), None, "gains.weights.add_data.1: Input should be"),
        (("quantiles",), LEFT_OUT, "gains.quantiles: Field required"),
        (("quantiles",), {}, "one number for each column"),
        (("quantiles", "cka"), LEFT_OUT, "one number for each column"),
        (("quantiles", "train_error"), [0, 1], "'train_error', which is not among its features"),
        (("quantiles", ""), [0, 1], "'', which is not among its features"),
        (("quantiles", "cka"), [], "at least 1 item"),
        (("quantiles", "cka"), [0.5, 0.1], "must not fall"),
        (("quantiles", "cka"), [0.5] * 1001, "at most 1000 items"),
        (("quantiles", "cka", 0), -1e301, "greater than or equal"),
        (("quantiles", "cka", 0), "low", "gains.quantiles.cka.0: Input should be a valid number"),
        (("centres",), LEFT_OUT, "gains.centres: Field required"),
        (("centres",), [], "one weight for each centre"),
        (("centres",), ["0 0"] * 4, "one weight for each centre"),
        (("centres",), ["0 0 0"] * 3, "one number for each column"),
        (("centres",), ["0"] * 3, "one number for each column"),
        (("centres",), ["0 0"] * 10_001, "at most 10000 items"),
        (("centres",), "0 0.5", "packed centres need their `count`"),
        (("centres", 1), [0, 1], "gains.centres.1: Input should be a valid string"),
        (("centres", 1), 7, "gains.centres.1: Input should be a valid string"),
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


@pytest.mark.parametrize("line", ["1", "1 1 1"])
def test_centres_of_unequal_length_are_refused(refusal, line):
    assert "must all have the same length" in refusal(changed("centres", 2, to=line))


@pytest.mark.parametrize(
    "word",
    ["", "much", "nan", "-inf", "1e999", "1e7", "-1000001", "0x1", "9" * 5000, "1,5", "é", "\0"],
)
@pytest.mark.parametrize("line", ["{} 0.5", "0.5 {}"])
def test_a_word_that_is_no_number_of_a_centre_is_refused(refusal, line, word):
    assert "is not a number up to 1e+06" in refusal(changed("centres", 1, to=line.format(word)))


@pytest.mark.parametrize("features", [["cka", "cka", "log_noise"], ["cka", "log_noise", "cka"]])
def test_features_that_are_named_twice_are_refused(refusal, features):
    assert "features must be one or more distinct" in refusal(
        json.dumps({**WHOLE, "features": features})
    )


def test_a_key_twice_is_the_last_of_them(read):
    """As JSON has it; no list of the other is mixed in."""
    text = json.dumps(WHOLE).replace('"width": 0.5', '"width": 7.0, "width": 0.5')
    assert text.count('"width"') == 2
    matrix = np.array([[0.2, -3.0]])
    assert probabilities(read(text), matrix) == pytest.approx(
        probabilities(read(json.dumps(WHOLE)), matrix)
    )


@pytest.mark.parametrize(
    "nothing", [{"centres": []}, {"centres": [], "quantiles": {}}], ids=["no centre", "no column"]
)
def test_without_centres_the_means_are_expected(read, tmp_path, nothing):
    """Such is what groups that nothing tells apart are fitted with."""
    gains = {**GAINS, "weights": {"add_data": [], "enlarge_model": []}, **nothing}
    saved = read(json.dumps({**WHOLE, "gains": gains}))
    write_tree(tmp_path / "again.json", saved)
    for model in (saved.gain_model, read_tree(tmp_path / "again.json").gain_model):
        told = model.regression.values(np.array([[0.2, -3.0], [np.nan, 1.0]]))
        assert told["add_data"] == pytest.approx([0.2, 0.2])
        assert told["enlarge_model"] == pytest.approx([0.3, 0.3])


def test_a_file_larger_than_any_tree_is_refused(refusal):
    assert "is not a tree: it is larger than 16777216 bytes" in refusal(
        changed("centres", to=["0 0" + " 0" * 2**23])
    )


@pytest.mark.parametrize("count", [10_000, 9_999])
def test_as_many_centres_as_are_allowed_are_read_and_asked(read, count):
    content = json.loads(json.dumps(WHOLE))
    content["gains"] |= {
        "centres": ["0 0"] * count,
        "weights": {"add_data": [1 / count] * count, "enlarge_model": [0] * count},
    }
    told = read(json.dumps(content)).gain_model.regression.values(np.array([[0.3, -3.0]]))
    assert told["add_data"] == pytest.approx([1.0])  # 0.2 and 1, which is more than there is


ODD = (
    None, True, -1, 0, 1, 0.5, 1e300, -1e300, 1e308, 10**400, "", "1", "0 0", "1e6 -1e6", [], {},
    [[]], ["0 0"] * 3, LEFT_OUT,
)  # fmt: skip


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
        for gains in saved.gain_model.regression.values(matrix).values():
            assert ((gains >= 0) & (gains <= 1)).all()
        write_tree(tmp_path / "again.json", saved)
        again = probabilities(read_tree(tmp_path / "again.json"), matrix)
        assert again == pytest.approx(shares)


@pytest.mark.parametrize(
    ("gains", "reason"),
    [
        (constant(1.5), "mean of add_data must be from 0 to 1"),
        (question(2, 0.5, 0.1, 0.2), "asks for more features than it has"),
    ],
)
def test_a_regression_that_could_not_be_read_again_is_not_written(tmp_path, gains, reason):
    path = tmp_path / "tree.json"
    path.write_text("an earlier tree")
    with pytest.raises(TreeError, match=f"cannot be written; .*{reason}"):
        write_tree(path, gain_tree({"add_data": gains}))
    assert path.read_text() == "an earlier tree"


def test_a_file_too_large_to_be_read_is_not_written(tmp_path):
    large = gain_tree({"add_data": constant(0.1)}, provenance={"rows": "x" * 2**24})
    with pytest.raises(TreeError, match="its file would be larger than 16777216 bytes"):
        write_tree(tmp_path / "tree.json", large)
    assert not (tmp_path / "tree.json").exists()


def test_every_digit_that_is_written_is_read(tmp_path):
    """Centres to ten digits, and all others as they are."""
    rng = np.random.default_rng(0)
    quantiles = np.sort([1e-9, -123456.7, 1e300, 1 / 3, -1e300])
    ours = KernelRegression(
        scales={1: QuantileScale(quantiles=quantiles), 0: QuantileScale(quantiles=quantiles / 7)},
        centres=rng.normal(size=(5, 2)) * [1.0, 1e-7],
        width=1 / 7,
        means={"add_data": 1 / 3},
        weights={"add_data": rng.normal(size=5) * 1e-5},
    )
    tree = gain_tree({"add_data": constant(0.1)})
    tree = replace(tree, gain_model=replace(tree.gain_model, regression=ours))
    write_tree(tmp_path / "tree.json", tree)
    theirs = read_tree(tmp_path / "tree.json").gain_model.regression
    assert theirs.columns == (1, 0)
    assert theirs.centres == pytest.approx(ours.centres, rel=1e-9)
    assert (theirs.width, theirs.means) == (ours.width, ours.means)
    assert theirs.weights["add_data"].tolist() == ours.weights["add_data"].tolist()
    for column, scale in ours.scales.items():
        assert theirs.scales[column].quantiles.tolist() == scale.quantiles.tolist()


PACKED = {
    **GAINS,
    "count": 3,
    "weights": {"add_data": packed(np.array([[0.1], [-0.2], [0.3]])), "enlarge_model": [0, 0.5, 0]},
    "centres": packed(np.array([[0, 0.5], [-1, 0], [1.5, -0.25]])),
}


def test_packed_numbers_are_those_of_earlier_files(read):
    plain, short = (read(json.dumps({**WHOLE, "gains": gains})) for gains in (GAINS, PACKED))
    lines = np.array([[0.5, -3.0], [0.0, np.nan]])
    for remedy, gains in plain.gain_model.regression.values(lines).items():
        assert gains == pytest.approx(short.gain_model.regression.values(lines)[remedy], abs=1e-12)


def test_a_file_of_an_earlier_version_trusts_no_chances(read):
    assert read(json.dumps(WHOLE)).gain_model.scale.trust == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 2}, "must be 2 x 2"),
        ({"count": 4}, "must be 4 x 2"),
        ({"count": -1}, "greater than or equal"),
        ({"count": 10_001}, "less than or equal"),
        ({"centres": "f4:"}, "must be 3 x 2"),
        ({"centres": "f4:!!!!"}, "cannot be read"),
        ({"count": True}, "valid integer"),
        ({"count": "3"}, "valid integer"),
        ({"weights": {**PACKED["weights"], "pray": packed(np.zeros((3, 1)))}}, "not a remedy"),
        ({"quantiles": {**GAINS["quantiles"], "prayers": [0.1]}}, "not among its features"),
        (
            {"weights": {**PACKED["weights"], "add_data": packed(np.full((3, 1), 1.7e308))}},
            "up to 1e\\+300",
        ),
        ({"centres": "f2:AAAA"}, "packed numbers are m2, f4 or f8"),
        ({"centres": packed(np.zeros((3, 3)))}, "must be 3 x 2"),
        ({"centres": packed(np.full((3, 2), np.nan))}, "centres must be numbers"),
        ({"centres": packed(np.full((3, 2), 1e7))}, "centres must be numbers"),
        ({"centres": packed(np.zeros((1 << 14, 256)))}, "must be 3 x 2"),
        ({"centres": packed(np.zeros((3, 2))) + "AAAA"}, "cannot be read|must be 3 x 2"),
        ({"weights": {**PACKED["weights"], "add_data": packed(np.zeros((2, 1)))}}, "must be 3 x 1"),
        ({"weights": {**PACKED["weights"], "add_data": packed(np.full((3, 1), np.inf))}}, "finite"),
    ],
)
def test_packed_numbers_that_do_not_fit_are_refused(refusal, change, words):
    assert re.search(words, refusal(json.dumps({**WHOLE, "gains": {**PACKED, **change}})))


BOOSTED = {
    "classes": ["data_small", "model_small"],
    "starts": [0.5],
    "trees": 2,
    "depth": 1,
    "features": packed(np.array([[0.0], [1.0]])),
    "thresholds": packed(np.array([[0.25], [-0.5]])),
    "missing_low": packed(np.array([[1.0], [0.0]])),
    "values": packed(np.array([[1.0, 2.0], [-3.0, 3.0]])),
}


def test_boosted_trees_are_read_and_answer_with_the_regression(read):
    """The scale of `log_noise` has the number 0, that of `cka` has the number 1."""
    model = read(json.dumps({**WHOLE, "gains": {**GAINS, "boosted": BOOSTED}})).gain_model
    lines = np.array([[0.1, -4.0], [0.5, -2.0], [np.nan, np.nan]])  # cka, log_noise
    given = model.boosted.chances(model.regression.scaled(lines))["model_small"]
    scores = [0.5 + 1.0 - 3.0, 0.5 + 2.0 + 3.0, 0.5 + 1.0 + 3.0]
    assert given == pytest.approx([1 / (1 + math.exp(-score)) for score in scores])
    alone = replace(model, boosted=None)
    features, classes = ("cka", "log_noise"), ("data_small", "model_small")
    both = model.probabilities(lines, features, classes)
    product = np.sqrt(
        alone.probabilities(lines, features, classes) * np.column_stack([1 - given, given])
    )
    assert both == pytest.approx(product / product.sum(axis=1, keepdims=True), rel=1e-6)


def test_boosted_trees_are_written_as_they_are_read(read, tmp_path):
    saved = read(json.dumps({**WHOLE, "gains": {**GAINS, "boosted": BOOSTED}}))
    write_tree(tmp_path / "again.json", saved)
    first, second = (
        each.gain_model.boosted for each in (saved, read_tree(tmp_path / "again.json"))
    )
    assert (first.classes, first.starts.tolist()) == (second.classes, second.starts.tolist())
    for name in ("features", "thresholds", "missing_low", "values"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ["data_small"]}, "at least 2 items"),
        ({"classes": ["data_small", "data_small"]}, "answer 'data_small', which is no class"),
        ({"classes": ["data_small", "pray"]}, "answer 'pray', which is no class"),
        ({"classes": ["data_small", "none"]}, "'none', which is not among its classes"),
        ({"starts": []}, "each class needs a start"),
        ({"starts": [1e301]}, "less than or equal"),
        ({"trees": 0}, "greater than or equal"),
        ({"trees": 3}, "must be 3 x 1"),
        ({"trees": 10**6}, "less than or equal"),
        ({"trees": 100_000, "depth": 8}, "more than 262144 leaves"),
        ({"depth": 2}, "must be 2 x 3"),
        ({"depth": 0}, "greater than or equal"),
        ({"depth": 99}, "less than or equal"),
        ({"features": packed(np.array([[0.0], [2.0]]))}, "must ask for one of 2 features"),
        ({"features": packed(np.array([[0.0], [0.5]]))}, "must ask for one of 2 features"),
        ({"features": packed(np.array([[0.0], [np.nan]]))}, "must ask for one of 2 features"),
        ({"thresholds": packed(np.array([[0.0], [np.inf]]))}, "numbers up to 1e\\+06"),
        ({"values": packed(np.array([[0.0, 1.0], [np.nan, 2.0]]))}, "numbers up to 1e\\+06"),
        ({"missing_low": "m2:"}, "packed numbers"),
        ({"values": [1.0]}, "valid string"),
        ({"more": 1}, "Unexpected keyword"),
    ],
)
def test_broken_boosted_trees_are_refused_in_words(refusal, change, words):
    gains = {**GAINS, "boosted": {**BOOSTED, **change}}
    assert re.search(words, refusal(json.dumps({**WHOLE, "gains": gains})))
