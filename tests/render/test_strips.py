"""Strips: a mark stands where its rank among the training groups is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mdtree.render.page import report_page
from mdtree.render.strips import Mark, marks, scales, strip_of
from mdtree.render.svg import Markup
from mdtree.rows import Missing
from mdtree.trees import FEATURES, TrainingDistribution
from mdtree.trees.node import KNOWN
from tests.support.reports import grid, group, judged, parsed, section, tree

LEFT, WIDE = 7.0, 86.0  # percent: where the training groups begin, and how far they reach


def mark(value, quantiles=tuple(range(41)), *, feature="train_error", stderr=0.0, thresholds=()):
    return Mark(
        feature=feature,
        quantiles=tuple(map(float, quantiles)),
        value=value,
        stderr=stderr,
        thresholds=thresholds,
        text=f"{value}",
    )


def drawn(mark):
    """Read the picture of a mark with the scale that it uses."""
    saved = replace(
        tree(), features=(mark.feature,), population=None, ranges={mark.feature: mark.quantiles}
    )
    (scale,) = scales(saved, "scale")
    drawing = strip_of(mark, "scale")["drawing"]
    used = f'<use href="#scale-{mark.feature}"/>'
    assert used in drawing
    return parsed(Markup(drawing.replace(used, scale)))


def place(element, *keys):
    return tuple(float(element[key].rstrip("%")) for key in keys)


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (0, 0.0),
        (40, 1.0),
        (20, 0.5),
        (10.5, 10.5 / 40),
        (-0.1, -14 / 3 / 86),
        (1e9, 1 + 14 / 3 / 86),
    ],
)
def test_a_mark_stands_at_its_rank_and_beside_all_groups_if_it_is_beyond(value, share):
    (position,) = place(drawn(mark(value)).one("use", href="#mark"), "x")
    assert position == pytest.approx(LEFT + WIDE * share, abs=0.01)


def test_a_value_that_many_groups_share_is_in_their_middle():
    quantiles = [0] * 21 + list(range(1, 21))
    (position,) = place(drawn(mark(0, quantiles)).one("use", href="#mark"), "x")
    assert position == pytest.approx(LEFT + WIDE / 4, abs=0.01)


def test_the_error_bar_ends_at_the_ranks_of_its_ends():
    bar = drawn(mark(20, stderr=4)).one("line")
    assert place(bar, "x1", "x2") == pytest.approx((LEFT + WIDE * 0.4, LEFT + WIDE * 0.6), abs=0.01)
    assert drawn(mark(20)).find("line") == []


def test_the_bands_are_all_and_most_and_half_of_the_groups():
    bands = {rect["class"]: place(rect, "x", "width") for rect in drawn(mark(1)).find("rect")}
    for name, low, high in (("all", 0, 1), ("most", 0.05, 0.95), ("half", 0.25, 0.75)):
        assert bands[name] == pytest.approx((LEFT + WIDE * low, WIDE * (high - low)), abs=0.02)


def test_a_range_alone_has_no_bands_and_goes_in_a_straight_line():
    line = drawn(mark(2.5, (0, 10)))
    assert [rect["class"] for rect in line.find("rect")] == ["all"]
    assert place(line.one("use", href="#mark"), "x") == (LEFT + WIDE / 4,)
    assert [text.text for text in line.find("text")] == ["0", "10"]
    where = strip_of(mark(2.5, (0, 10)), "scale")["where"]
    assert where == "inside the range of the training groups"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1, "below all training groups"),
        (0, "in the lowest 5 %"),
        (5, "in the lower quarter"),
        (20, "in the middle half"),
        (35, "in the upper quarter"),
        (40, "in the highest 5 %"),
        (41, "above all training groups"),
    ],
)
def test_where_a_value_lies_is_told_in_words(value, words):
    assert strip_of(mark(value), "scale")["where"] == words


def test_what_the_tree_asks_is_marked():
    cut = drawn(mark(1, thresholds=(10.0, 30.0))).find("use", href="#cut")
    assert [place(stroke, "x") for stroke in cut] == [(LEFT + WIDE / 4,), (LEFT + WIDE * 0.75,)]
    assert cut[0].text == "the tree asks: at most 10 %?"


def test_logarithms_are_labelled_with_the_numbers_themselves():
    trace = mark(math.log(10), (0.0, math.log(100)), feature="log_hessian_trace")
    assert [text.text for text in drawn(trace).find("text")] == ["1", "100"]
    assert strip_of(trace, "scale")["name"] == "Hessian trace"


def test_equal_groups_are_no_crash():
    assert place(drawn(mark(3, [3] * 41)).one("use", href="#mark"), "x") == (50,)
    assert place(drawn(mark(4, (3, 3))).one("use", href="#mark"), "x")[0] > 93


def test_marks_hold_what_the_judge_saw():
    row = grid()[7]
    verdict = judged(row)
    by_feature = {strip.feature: strip for strip in marks(row, tree(), verdict.clues)}
    assert set(by_feature) == set(tree().features)
    assert list(by_feature)[: len(verdict.clues)] == [clue.feature for clue in verdict.clues]
    for clue in verdict.clues:
        strip = by_feature[clue.feature]
        assert (clue.value, clue.threshold) == (strip.value, strip.thresholds[0])
        assert strip.stderr == pytest.approx(clue.stderr or 0.0)
    assert all(strip.thresholds == () for strip in list(by_feature.values())[len(verdict.clues) :])


def test_no_training_group_is_beyond_the_training_groups():
    """Quantiles in a tree are rounded; its ranges are not."""
    for row in grid():
        verdict = judged(row)
        assert not [strip for strip in marks(row, tree(), verdict.clues) if strip.beyond]


def test_ranges_serve_where_the_tree_has_no_quantiles():
    row = grid()[0]
    bare = replace(tree(), population=None)
    shown = list(marks(row, bare, ()))
    assert {strip.feature: strip.quantiles for strip in shown} == tree().ranges
    assert list(marks(row, replace(bare, ranges={}), ())) == []


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (Missing(missing="the loss is not finite"), "not measured: the loss is not finite"),
        (None, "not measured"),
    ],
)
def test_what_was_not_measured_has_a_reason_and_no_mark(quantity, words):
    row = grid()[0]
    quantities = {name: value for name, value in row.quantities.items() if name != "cka"}
    row = replace(row, quantities=quantities | ({"cka": quantity} if quantity else {}))
    strip = next(strip for strip in marks(row, tree(), ()) if strip.feature == "cka")
    assert (strip.value, strip.text) == (None, words)
    assert drawn(strip).find("use", href="#mark") == []
    line = section("Measurements", judged(row), row, tree()).one("ul", class_="plain absent")
    assert line.text == f"CKA : {words}"


def test_what_was_not_measured_is_one_line_for_each_reason():
    row = grid()[0]
    lost = dict.fromkeys(("cka", "connectivity"), Missing(missing="one network"))
    row = replace(row, quantities={**row.quantities, **lost})
    part = section("Measurements", judged(row), row, tree())
    absent = part.one("ul", class_="plain absent")
    assert len(absent.find("li")) == 1
    names = absent.one("b").text.split(", ")
    assert {"CKA", "connectivity"} <= set(names)
    assert absent.text.endswith(": not measured: one network")
    shown = {name.text for strip in part.one("ul", class_="strips").find("li")
             for name in strip.find("b")[:1]}  # fmt: skip
    assert not shown & set(names)
    assert len(shown) + len(names) == len(tree().features)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.23e21, "1.2·10²¹"),
        (-2.28e21, "-2.3·10²¹"),
        (1e9, "1·10⁹"),
        (5.26e-6, "5.3·10⁻⁶"),
        (0.0, "0"),
        (999_999.0, "999,999"),
        (0.0034, "0.0034"),
    ],
)
def test_the_ends_of_a_range_are_short_however_large_they_are(value, words):
    ends = (value, value + 3 * abs(value) + 1)
    texts = [text.text for text in drawn(mark(0.5, ends)).find("text")]
    assert texts[0] == words


def test_a_number_that_has_no_logarithm_is_no_mark():
    row = group("x", {"hessian_trace": (-3.0, 1.0), "train_error": (1.0, 0.1)})
    by_feature = {strip.feature: strip for strip in marks(row, tree(), ())}
    assert by_feature["log_hessian_trace"].value is None
    assert by_feature["log_hessian_trace"].text == "-3.0 ± 1.0, which has no logarithm"
    assert drawn(by_feature["log_hessian_trace"]).find("use", href="#mark") == []


def test_a_small_factor_is_told_as_an_error_bar():
    by_feature = {strip.feature: strip for strip in marks(grid()[0], tree(), ())}
    assert FEATURES["log_hessian_share"].logarithm
    assert by_feature["log_hessian_share"].text == "0.2000 ± 0.0019"  # a factor of 1.0097


def test_a_question_whether_a_value_is_known_is_no_place():
    clue = replace(judged(grid()[0]).clues[0], threshold=KNOWN)
    assert next(iter(marks(grid()[0], tree(), [clue]))).thresholds == ()


@pytest.mark.parametrize("name", ["half", "most", "mark", "cut"])
def test_the_legend_has_the_signs_of_the_strips(name):
    page = parsed(report_page([judged(grid()[0])], [grid()[0]], {"ours": tree()}))
    assert f"key {name}" in page.kinds
    used = {use["href"] for use in page.find("use")}
    shapes = [e for e in page.one("defs").find() if e.attributes.get("class") == name]
    assert shapes
    assert name in ("half", "most") or f"#{name}" in used


def test_a_mark_has_the_level_of_the_population():
    quantiles = tuple(np.linspace(-3, 5, 41) ** 3)
    population = TrainingDistribution(
        quantiles={"cka": quantiles}, names=(), correlation=(), limit=1.0
    )
    for value in (-30.0, -27.0, 0.0, 1.0, 77.7, 125.0):
        assert mark(value, quantiles).level(value) == population.level("cka", value)
