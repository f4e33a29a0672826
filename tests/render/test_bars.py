"""Bars: as long as their numbers, with the interval where there is one."""

from __future__ import annotations

import pytest

from mdtree.diagnosis import Gain
from tests.support.reports import article, grid, judged, section


def gain(mean, low=None, high=None, **parts):
    parts = {"remedy": "add_data", "mode": "data_small", **parts}
    return Gain(mean=mean, low=low, high=high, **parts)


def ends(line):
    return tuple(float(line.attributes.get(key, "0").rstrip("%")) for key in ("x1", "x2"))


def drawn(*gains):
    return section("What each single change gains", judged(grid()[0], gains=gains)).find("li")


def test_probabilities_are_sorted_and_share_one_scale():
    probabilities = {"none": 0.25, "data_small": 0.7, "model_small": 0.05}
    verdict = judged(grid()[0], probabilities=probabilities, confidence=0.6)
    lines = article(verdict).one("ul", class_="bars").find("li")
    assert [line.text for line in lines] == ["data small 70 %", "none 25 %", "model small 5 %"]
    assert [line["class"] for line in lines] == [
        "mode-data_small",
        "mode-none",
        "mode-model_small",
    ]
    assert [ends(line.one("line", class_="thick")) for line in lines] == [(0, 70), (0, 25), (0, 5)]
    assert {line.one("use", href="#needed")["x"] for line in lines} == {"60%"}


def test_an_answer_of_another_name_is_grey():
    verdict = judged(grid()[0], probabilities={"temperature": 1.0, '"><b>': 0.0})
    lines = article(verdict).one("ul", class_="bars").find("li")
    assert {line["class"] for line in lines} == {"mode-other"}


def test_gains_and_their_intervals_share_one_scale():
    first, second = drawn(gain(5.0, 0.0, 10.0), gain(2.5))
    assert ends(first.one("line", class_="thick")) == (0, 50)
    assert ends(first.one("line", class_="whisker")) == (0, 100)
    assert [cap["x"] for cap in first.find("use", href="#cap")] == ["0%", "100%"]
    assert ends(second.one("line", class_="thick")) == (0, 25)
    assert second.find("line", class_="whisker") == []
    assert [line.one("span", class_="value").text for line in (first, second)] == [
        "+5.0 (0.0 to 10.0)",
        "+2.5",
    ]


def test_a_loss_goes_to_the_left_of_zero():
    (line,) = drawn(gain(-5.0, -10.0, 10.0))
    assert ends(line.one("line", class_="thick")) == (25, 50)
    assert "-5.0 (-10.0 to 10.0)" in line.text


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "add data"),
        ({"fact": "batch_size", "old": 1024.0, "new": 256.0}, "add data batch size 1024 → 256"),
        ({"fact": "width", "factor": 2.0}, "add data width times 2"),
        ({"fact": "width"}, "add data"),
    ],
)
def test_a_change_is_told_as_far_as_it_is_known(parts, words):
    (line,) = drawn(gain(1.0, **parts))
    assert words == line.one("span", class_="name").text


@pytest.mark.parametrize("mean", [0.0, 1e-300, 1e300, -1e300])
def test_any_gain_can_be_drawn(mean):
    (line,) = drawn(gain(mean, mean, mean))
    assert all(0 <= end <= 100 for stroke in line.find("line") for end in ends(stroke))
