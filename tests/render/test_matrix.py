"""Matrices: a cell for every known pair, and no more cells than eyes can tell apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.render.matrix import layers_matrix, members_matrix
from tests.support.reports import HOSTILE, detail, grid, parsed


def members(*lines):
    return _drawn(members_matrix, "pairs", ("a", "b", "cka"), lines)


def layers(*lines):
    return _drawn(layers_matrix, "layers", ("row", "column", "cka"), lines)


def _drawn(draw, name, columns, lines):
    figure = draw(replace(grid()[0], details={name: detail(*columns, lines=lines)}))
    return None if figure is None else parsed(figure.drawing)


def cells(picture):
    """Give (x, y, opacity) of every cell."""
    return [
        tuple(float(cell[key]) for key in ("x", "y", "fill-opacity"))
        for cell in picture.find("rect", class_="cell")
    ]


def test_both_halves_of_the_matrix_are_filled_and_the_diagonal_is_not():
    picture = members(("a", "b", 0.5), ("a", "c", 1.0), ("b", "c", 0.25))
    assert cells(picture) == [
        (46, 0, 0.3),
        (92, 0, 0.6),
        (0, 46, 0.3),
        (92, 46, 0.15),
        (0, 92, 0.6),
        (46, 92, 0.15),
    ]
    assert [text.text for text in picture.find("text")][:3] == ["0.50", "1.00", "0.50"]


def test_networks_are_named_in_the_order_of_the_matrix():
    details = {"pairs": detail("a", "b", "cka", lines=[("a", "c", 1.0), ("a", "b", 0.5)])}
    assert members_matrix(replace(grid()[0], details=details)).names == ["a", "c", "b"]


def test_ordered_pairs_keep_their_own_numbers():
    picture = members(("a", "b", 0.5), ("b", "a", 0.4))
    assert [text.text for text in picture.find("text")] == ["0.50", "0.40"]


def test_what_is_not_known_is_left_empty():
    picture = members(("a", "b", None), ("a", "c", 0.5), ("b", "c", "much"))
    assert [cell.text for cell in picture.find("g")] == [
        "a with c: 0.500 0.50",
        "c with a: 0.500 0.50",
    ]


@pytest.mark.parametrize("value", [-0.2, 1.7, -1e99, 1e99])
def test_cka_beyond_its_range_is_drawn_as_its_end(value):
    assert 0 <= cells(members(("a", "b", value)))[0][2] <= 1


def test_layers_of_two_networks_need_not_match():
    picture = layers(("x", "p", 0.1), ("x", "q", 0.2), ("x", "r", 0.3))
    assert picture.one("svg")["viewbox"] == "0 0 138.00 46.00"
    assert [round(ink / 0.6, 2) for *_, ink in cells(picture)] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("along", ["row", "column"])
def test_many_layers_are_drawn_as_means_of_blocks(along):
    """70 by 70 layers in blocks of 3: 24 by 24 cells, the last of them of one line."""
    values = [(0.0, None, 1.0)[number % 3] for number in range(70)]
    lines = [
        (f"r{i}", f"c{k}", values[i if along == "row" else k]) for i in range(70) for k in range(70)
    ]
    picture = layers(*lines)
    placed = [(x, y, ink) if along == "column" else (y, x, ink) for x, y, ink in cells(picture)]
    last = max(place for place, *_ in placed)
    assert len(placed) == 24**2
    assert {ink for place, _, ink in placed if place < last} == {0.5}
    assert {ink for place, _, ink in placed if place == last} == {0.0}
    assert "each cell the mean of 3 by 3" in picture.one("svg")["aria-label"]
    assert picture.find("text") == []


def test_nothing_known_no_picture():
    assert members(("a", "b", None)) is None
    assert layers(("a", "b", None)) is None
    assert members_matrix(grid()[0]) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    picture = members((name, "b", 0.5))
    tags = {"svg", "title", "rect", "g", "text"}
    assert {element.tag for element in picture.find()} == tags
