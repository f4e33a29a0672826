"""The picture of a surface: bands, networks and lines lie where their numbers say."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from mdtree.render.surface import surface
from tests.support.reports import HOSTILE, detail, grid, numbers_in, parsed, points_of

SIDE = 320


def row(lines, members=(), columns=("x", "y", "train_loss", "train_error")):
    details = {"surface": detail(*columns, lines=lines)}
    if members:
        names = ("member", "x", "y", "train_loss", "train_error")
        details["surface_members"] = detail(*names, lines=members)
    return replace(grid()[0], details=details)


def figure(*args, column="train_loss", **kwargs):
    return surface(row(*args, **kwargs), column, "training loss")


def drawn(*args, **kwargs):
    return parsed(figure(*args, **kwargs).drawing)


def plain(function, steps=range(5)):
    return [(x, y, function(x, y), 1.0) for x, y in product(steps, repeat=2)]


def test_levels_of_a_loss_are_round_and_logarithmic():
    picture = drawn(plain(lambda x, _: 0.03 * 10.0**x))
    texts = [text.text for text in picture.find("text", class_="tick")]
    # 0.03 to 300: two levels in each of the four decades
    assert texts == ["0.1", "0.3", "1", "3", "10", "30", "100"]


def test_a_contour_by_hand():
    """The loss 10^(x - 1) on 0 to 2: the level 1 lies in the middle, 0.5 at x = 1 + log10 0.5."""
    picture = drawn(plain(lambda x, _: 10.0 ** (x - 1), steps=range(3)))
    levels = [points_of(line) for line in picture.find("path", class_="level")]
    titles = [band.text for band in picture.find("path", class_="height")]
    at = titles.index("training loss above 1")
    assert {x for x, _ in levels[at]} == {SIDE / 2}
    half = titles.index("training loss above 0.5")
    (place,) = {x for x, _ in levels[half]}
    assert place == pytest.approx(SIDE / 2 * 0.69897, abs=0.01)


def test_levels_are_linear_where_the_loss_hardly_changes_or_is_negative_and_for_errors():
    near = drawn(plain(lambda x, _: 1.0 + x / 10))
    assert [t.text for t in near.find("text", class_="tick")] == [
        "1.05", "1.1", "1.15", "1.2", "1.25", "1.3", "1.35"
    ]  # fmt: skip
    below = drawn(plain(lambda x, _: x - 2.0))
    assert [t.text for t in below.find("text", class_="tick")] == [
        "-1.5",
        "-1",
        "-0.5",
        "0",
        "0.5",
        "1",
        "1.5",
    ]
    error = drawn(
        [(x, y, 1.0, 20.0 * x) for x, y in product(range(3), repeat=2)], column="train_error"
    )
    assert [t.text for t in error.find("text", class_="tick")] == [
        "5", "10", "15", "20", "25", "30", "35"
    ]  # fmt: skip


def test_a_loss_of_zero_is_below_all_levels():
    picture = drawn(plain(lambda x, _: float(x)))
    levels = [t.text for t in picture.find("text", class_="tick")]
    assert 1 < len(levels) <= 9
    assert all(1e-6 < float(level) < 4 for level in levels)


def test_a_flat_surface_has_no_bands():
    picture = drawn(plain(lambda *_: 2.0))
    assert picture.find("path") == []


def test_bands_darken_evenly():
    picture = drawn(plain(lambda x, _: 10.0**x))
    paper, shades = 1.0, []
    for band in picture.find("path", class_="height"):
        paper *= 1 - float(band["fill-opacity"])
        shades.append(1 - paper)
    steps = [b - a for a, b in zip([0.0, *shades], shades, strict=False)]
    assert shades[-1] == pytest.approx(0.85, abs=0.02)
    assert max(steps) - min(steps) < 0.03
    assert [box["fill-opacity"] for box in picture.find("rect", class_="height")] == [
        band["fill-opacity"] for band in picture.find("path", class_="height")
    ]


def test_networks_are_dots_with_names_and_neighbours_are_joined():
    members = [("a", 0.0, 0.0, 0.5, 1), ("b", 4.0, 0.0, None, None), ("c", 2.0, 1.0, 0.25, 1)]
    picture = drawn(plain(lambda x, y: 1.0 + x + y), members)
    dots = [(float(dot["cx"]), float(dot["cy"])) for dot in picture.find("circle")]
    assert dots == [(0, SIDE), (SIDE, SIDE), (SIDE / 2, SIDE * 3 / 4)]
    assert [dot.text for dot in picture.find("circle")] == [
        "a: training loss 0.5",
        "b",
        "c: training loss 0.25",
    ]
    lines = [points_of(line) for line in picture.find("path", class_="straight")]
    assert lines == [dots[:2], dots[1:]]
    texts = picture.find("text")
    labels = [t.text for t in texts if t.attributes.get("class", "").startswith("label")]
    assert labels == ["a", "b", "c"]


def test_it_says_what_it_shows():
    made = figure(plain(lambda x, y: 1.0 + x + y))
    assert made.note is None
    picture = parsed(made.drawing).children[0]
    assert picture["aria-label"] == "training loss on a plane in weight space, from 1 to 9"
    assert picture["role"] == "img"
    assert made.size == (float(picture["width"]), float(picture["height"]))


@pytest.mark.parametrize(
    ("places", "curve", "words"),
    [
        ([], [], "On a plane in weight space. "),
        ([(0, 0)], [], "Along two random directions from the network (dot). "),
        ([(0, 0)] * 2, [], "Along two random directions from the network (dots, at one place). "),
        (
            [(0, 0), (4, 0)],
            [],
            "On a plane through 2 networks (dots) and along one random direction. ",
        ),
        (
            [(0, 0), (4, 0)],
            [(0.0, 0.0), (4.0, 0.0)],
            "On the plane through 2 networks (dots) and the trained curve between them. ",
        ),
        ([(0, 0), (4, 0), (2, 3)], [], "On the plane through 3 networks (dots). "),
    ],
)
def test_the_caption_says_what_the_plane_goes_through(places, curve, words):
    members = [(f"m{n}", *place, 1.0, 1.0) for n, place in enumerate(places)]
    bent = row(plain(lambda x, y: 1.0 + x + y), members)
    if curve:
        table = detail("x", "y", lines=curve)
        bent = replace(bent, details={**bent.details, "surface_curve": table})
    lead = surface(bent, "train_loss", "training loss").lead
    assert lead.startswith(words)
    assert ("Dashed" in lead) == (len(places) > 1)
    assert ("Solid: the trained curve." in lead) == bool(curve)
    assert "the higher the loss" in lead
    assert "the higher the error" in surface(bent, "train_error", "training error, %").lead


def test_points_that_are_not_finite_are_the_highest_and_counted():
    lines = plain(lambda x, y: None if (x, y) == (4, 4) else 1.0 + x + y)
    made = figure(lines)
    assert made.note == "1 of 25 points are not finite; they are drawn as the highest."
    numbers_in(parsed(made.drawing).find("path")[0]["d"])


@pytest.mark.parametrize(
    "lines",
    [
        [(0.0, 0.0, 1.0, 1.0)],
        [(0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)],  # two corners of four
        [(float(x), 0.0, 1.0, 1.0) for x in range(9)],
        [("left", "down", 1.0, 1.0)] * 4,
        [(x, y, None, None) for x, y in product(range(3), repeat=2)],
        [(x, y, 1e300, None) for x, y in product(range(3), repeat=2)],
        [(x, y, 1.0, None) for x, y in product(range(90), repeat=2)],  # larger than is drawn
    ],
)
def test_what_is_no_grid_of_numbers_is_not_drawn(lines):
    assert figure(lines) is None


@pytest.mark.parametrize("side", [5e-324, 1e-300, 1e99])
@pytest.mark.parametrize("most", [5e-324, 1e-300, 1e99])
def test_numbers_of_any_size_are_drawn(side, most):
    lines = [(x * side, y * side, (x + y) * most / 4, 1.0) for x, y in product(range(3), repeat=2)]
    made = figure(lines)
    if made is not None:
        parsed(made.drawing)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_networks_are_text(name):
    made = figure(plain(lambda x, y: 1.0 + x + y), [(name, 0.0, 0.0, 1.0, 1.0)])
    picture = parsed(made.drawing)
    assert len(picture.find("circle")) == 1
    assert picture.find("script") == picture.find("img") == []
    assert made.drawing.isprintable()


def test_the_trained_curve_is_drawn_where_it_lies():
    bent = row(plain(lambda x, y: 1.0 + x + y))
    line = [(0.0, 0.0, 0.0), (0.5, 2.0, 4.0), (1.0, 4.0, 0.0)]
    curve = detail("t", "x", "y", lines=line)
    picture = parsed(
        surface(
            replace(bent, details={**bent.details, "surface_curve": curve}),
            "train_loss",
            "training loss",
        ).drawing
    )
    (path,) = picture.find("path", class_="curved")
    assert points_of(path) == [(0, SIDE), (SIDE / 2, 0), (SIDE, SIDE)]


def test_a_curve_of_other_columns_is_not_drawn():
    bent = row(plain(lambda x, y: 1.0 + x + y))
    for curve in (
        detail("t", "x", lines=[(0.0, 1.0)]),
        detail("t", "x", "y", lines=[(0.0, "a", None), (1.0, 1.0, 1.0)]),
    ):
        hostile = replace(bent, details={**bent.details, "surface_curve": curve})
        assert not parsed(surface(hostile, "train_loss", "l").drawing).find("path", class_="curved")
