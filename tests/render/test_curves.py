"""Curves: every point lies where its numbers say, and a bulk ends where random matrices end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mdtree.render.curves import bulk_of, density, profile
from tests.support.reports import HOSTILE, detail, grid, numbers_in, parsed, points_of


def row(**details):
    return replace(grid()[0], details=details)


def path(*lines):
    return detail("pair", "t", "train_error", "train_loss", lines=lines)


def nodes(*lines):
    return detail("member", "eigenvalue", "weight", lines=lines)


def error(group):
    return parsed(profile(group, "train_error", "training error, %").drawing)


def spectrum(*lines):
    return parsed(density(row(hessian_density=nodes(*lines))).drawing)


def test_a_profile_by_hand():
    group = row(curve=path(("p", 1.0, 0.0, 0), ("p", 0.0, 100.0, 0), ("p", 0.25, 60.0, 0)))
    picture = error(group)
    assert points_of(picture.one("path", class_="curved")) == [(0, 0), (25, 40), (100, 100)]
    dots = [(dot["cx"], dot["cy"]) for dot in picture.find("circle")]
    assert dots == [("0%", "0%"), ("25%", "40%"), ("100%", "100%")]
    assert [text.text for text in picture.find("text", class_="tick end")] == [
        "0",
        "20",
        "40",
        "60",
        "80",
        "100",
    ]


def test_every_pair_has_its_own_curve_and_line():
    two = path(("p", 0, 1, 0), ("q", 0, 2, 0), ("p", 1, 3, 0), ("q", 1, 4, 0))
    picture = error(row(curve=two, line=two))
    for kind in ("curved", "straight"):
        points = [points_of(drawn) for drawn in picture.find("path", class_=kind)]
        assert points == [[(0, 75), (100, 25)], [(0, 50), (100, 0)]]


def test_the_straight_line_alone_is_a_picture_too():
    assert error(row(line=path(("p", 0, 1, 0), ("p", 1, 1, 0)))).find("path", class_="curved") == []


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"curve": path(("p", 0.0, 1.0, 1.0))},
        {"curve": detail("t", "train_error", lines=[(0, 1), (1, 1)])},
        {"curve": path(("p", 0.0, None, 1.0), ("p", 1.0, "high", 1.0))},
    ],
)
def test_what_makes_no_curve_makes_no_picture(details):
    assert profile(row(**details), "train_error", "error") is None


def test_a_curve_of_zeros_lies_on_the_ground_of_a_scale_of_one_percent():
    picture = error(row(curve=path(("p", 0, 0.0, 0.0), ("p", 1, 0.0, 0.0))))
    assert points_of(picture.one("path", class_="curved")) == [(0, 100), (100, 100)]
    assert picture.find("text", class_="tick end")[-1].text == "1"


def test_nothing_lies_outside_of_the_picture():
    wild = path(("p", -3.0, 1e99, 0), ("p", 0.5, -1e99, 0), ("p", 7.0, 5.0, 0))
    for x, y in points_of(error(row(curve=wild)).one("path", class_="curved")):
        assert 0 <= x <= 100
        assert 0 <= y <= 100


def test_a_lone_eigenvalue_has_its_weight_for_height():
    """Axes: from 10^-3 to 1, and three widths beyond both ends: 66 widths for the range of 60."""
    picture = spectrum(("a", 0.0, 0.2), ("a", 60.0, 0.001))
    hill = points_of(picture.one("path", class_="curved"))
    assert min(y for x, y in hill if x < 50) == pytest.approx(-100 * math.log10(0.2) / 3, abs=0.3)
    assert min(hill, key=lambda point: point[1])[0] == pytest.approx(100 * 3 / 66, abs=0.3)
    assert min(y for x, y in hill if x > 50) == pytest.approx(100, abs=0.3)
    dots = [(float(dot["cx"][:-1]), float(dot["cy"][:-1])) for dot in picture.find("circle")]
    assert dots == [pytest.approx((4.55, 23.3)), pytest.approx((95.45, 100))]


def test_neighbours_add_up():
    """At their middle, two nodes half a width apart are exp(-1/32) of their sum."""
    lines = [("a", 0.0, 0.25), ("a", 0.5, 0.25), ("a", 60.0, 0.005)]
    picture = spectrum(*lines)
    top = min(y for _, y in points_of(picture.one("path", class_="curved")))
    assert top == pytest.approx(-100 * math.log10(0.5 * math.exp(-1 / 32)) / 3, abs=0.2)


def test_members_are_averaged():
    """Halves of 0.2 and 0.02 are the ends of an axis from 0.01 to 0.1."""
    picture = spectrum(("a", 0.0, 0.2), ("b", 60.0, 0.02))
    assert [float(dot["cy"][:-1]) for dot in picture.find("circle")] == [0, 100]
    assert min(y for _, y in points_of(picture.one("path", class_="curved"))) < 0.3


@pytest.mark.parametrize(
    "lines",
    [
        [("a", 5.0, 1.0)],
        [("a", 0.0, 1.0)],
        [("a", -1e99, 0.5), ("a", 1e99, 0.5)],
        [("a", 1e-300, 1e-300), ("a", 0.0, 1e-12)],
        [("a", 1.0, 1.0), ("a", 2.0, -0.5), ("a", 3.0, 0.0), ("a", None, 1.0)],
    ],
)
def test_any_spectrum_has_finite_places(lines):
    picture = spectrum(*lines)
    for drawn in picture.find("path"):
        assert all(0 <= number <= 100 for number in numbers_in(drawn["d"]))
    assert picture.find("circle")


def test_no_spectrum_no_picture():
    assert density(row()) is None
    assert density(row(hessian_density=nodes(("a", 1.0, 0.0)))) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    group = row(
        curve=path((name, 0, 1, 1), (name, 1, 1, 1)), hessian_density=nodes((name, 1.0, 1.0))
    )
    for picture in (error(group), parsed(density(group).drawing)):
        assert {element.tag for element in picture.find()} <= {
            "svg",
            "title",
            "line",
            "text",
            "path",
            "circle",
        }


def test_outliers_are_named_in_the_picture_and_its_text():
    """Ninety-nine shares of 0 and one of 100: the edge is 1 + 3 sqrt 99, which is 30.8."""
    lines = [("a", 0.0, 0.99), ("a", 100.0, 0.01)]
    figure = density(row(hessian_density=nodes(*lines)))
    words = "the bulk reaches from 0 to 30.8; 1 outlier beyond it, the largest 100"
    assert figure.lead.endswith(f"{words[0].upper()}{words[1:]}.")
    picture = parsed(figure.drawing)
    assert picture.children[0]["aria-label"].endswith(words)
    (apart,) = picture.find("circle", class_="apart")
    assert apart.text == "100: share 0.01, an outlier"
    assert len(picture.find("circle", class_="on")) == 1
    (edge,) = picture.find("line", class_="edge")
    place = 100 * (30.85 + 5) / 110  # three widths, of 100 / 60, beyond both ends
    assert float(edge["x1"].rstrip("%")) == pytest.approx(place, abs=0.1)
    texts = [text.text for text in picture.find("text", class_="label")]
    assert texts == ["outliers →", "← bulk"]


def test_outliers_below_and_none_at_all():
    below = density(row(hessian_density=nodes(("a", 0.0, 0.99), ("a", -100.0, 0.01))))
    assert "from -30.8 to 0; 1 outlier beyond it, the largest -100" in below.lead
    texts = parsed(below.drawing).find("text", class_="label end")
    assert [text.text for text in texts] == ["← outliers", "bulk →"]
    plain = density(row(hessian_density=nodes(("a", 0.0, 0.5), ("b", 1.0, 0.5))))
    assert "The bulk reaches from 0 to 1, and no Ritz value stands beyond it." in plain.lead
    assert parsed(plain.drawing).find("line", class_="edge") == []
    two = [(m, x, w) for m in "ab" for x, w in ((0.0, 0.99), (100.0, 0.01))]
    assert "2 outliers of 2 networks beyond it" in density(row(hessian_density=nodes(*two))).lead


def even(values):
    return [(float(value), 1 / len(values)) for value in values]


def test_the_edge_by_hand():
    """Ninety-nine zeros and a hundred: the mean is 1, the variance 99."""
    bulk = bulk_of([(0.0, 0.99), (100.0, 0.01)])
    assert (bulk.low, bulk.high) == pytest.approx((1 - 3 * 99**0.5, 1 + 3 * 99**0.5))
    assert [bulk.is_beyond(value) for value in (0.0, 30.8, 30.9, 100.0, -29.0)] == [
        False, False, True, True, True
    ]  # fmt: skip


def test_weights_need_not_add_up_to_one():
    nodes = [(0.0, 0.5), (4.0, 0.25), (9.0, 0.125)]
    doubled = bulk_of([(value, 2 * weight) for value, weight in nodes])
    assert doubled.high == pytest.approx(bulk_of(nodes).high)


def test_random_matrices_have_no_outlier_and_what_is_added_to_them_is_one():
    random = np.random.default_rng(0)
    square = random.normal(size=(200, 200))
    symmetric = (square + square.T) / 400**0.5
    tall = random.normal(size=(400, 200))
    for matrix in (symmetric, tall.T @ tall / 400, square.T @ square / 200):
        bulk = bulk_of(even(np.linalg.eigvalsh(matrix)))
        assert not any(bulk.is_beyond(value) for value in np.linalg.eigvalsh(matrix))
    spike = np.ones((200, 1)) / 200**0.5
    values = np.linalg.eigvalsh(symmetric + 12 * spike @ spike.T)
    bulk = bulk_of(even(values))
    assert [value for value in values if bulk.is_beyond(value)] == [values[-1]]


def test_equal_eigenvalues_are_a_bulk():
    bulk = bulk_of([(2.0, 0.5), (2.0, 0.5)])
    assert not bulk.is_beyond(2.0)
