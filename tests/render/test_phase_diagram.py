"""Phase diagrams as text and as SVG: read back with an XML reader, cell by cell."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest

from mdtree.exceptions import RowsError
from mdtree.failure_modes import FAILURE_MODES
from mdtree.labelling import Label
from mdtree.render.phase_diagram import phase_svg
from mdtree.render.phases import LETTERS, Cell, Phase, phase_text

SVG = "{http://www.w3.org/2000/svg}"
MODES = list(FAILURE_MODES)


def cell(accuracy, mode="none", severity=0.0, lead=9.0, group="g"):
    label = Label(mode=mode, accuracy=accuracy, gains={}, severity=severity, margin=1.0, lead=lead)
    return Cell(group=group, label=label)


def phase(cells, across="batch_size", down="width", zoo="", **shared):
    lines, columns = (tuple(sorted({place[i] for place in cells})) for i in (0, 1))
    frame = {"across": across, "down": down, "columns": columns, "lines": lines}
    return Phase(zoo=zoo, shared=shared, cells=cells, **frame)


SMALL = {
    (2.0, 8.0): cell(70.04, "temperature_high", 12.0, group="worst"),
    (2.0, 1024.0): cell(75, "model_small", 3.0, lead=0.5, group="noisy"),
    (16.0, 1024.0): cell(90, group="best"),
}


def grid(lines, columns):
    """All modes in turn, with gains of up to 100 points."""
    modes = itertools.cycle(MODES)
    cells = {}
    for number, place in enumerate(itertools.product(lines, columns)):
        severity = 100 * number / (len(lines) * len(columns))
        cells[place] = cell(100 - severity, next(modes), severity, lead=number % 2)
    return cells


def published():
    """The published grid: 10 diagrams of 13 x 13."""
    widths = (2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128)
    batches = (16, 24, 32, 44, 64, 92, 128, 180, 256, 364, 512, 724, 1024)
    cells = grid([float(w) for w in widths], [float(b) for b in batches])
    return [phase(cells, data_amount=5000.0 * n) for n in range(1, 11)]


class Picture:
    """What is drawn, in pixels."""

    def __init__(self, phases):
        self.root = ET.fromstring(phase_svg(phases))
        _, _, self.width, self.height = map(float, self.root.get("viewBox").split())
        # title -> [(box, text)]: first in the diagram of test accuracy, then in that of modes
        self.cells = {}
        for g in self.root.iter(f"{SVG}g"):
            title, rect, text = g
            self.cells.setdefault(title.text, []).append((rect, text))
        self.texts = list(self.root.iter(f"{SVG}text"))
        self.words = [text.text for text in self.texts]

    def at(self, group):
        (matching,) = [
            cells for title, cells in self.cells.items() if title.startswith(f"{group}: ")
        ]
        return matching


def box(rect):
    x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def extent(text):
    """Bounds of a text: letters are at most 0.64 of their size wide, on average, in any sans."""
    size, x, y = (float(text.get(key)) for key in ("font-size", "x", "y"))
    wide = 0.64 * size * len(text.text)
    left = x - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor")]
    if text.get("transform"):
        return x - 0.75 * size, y - wide / 2, x + 0.25 * size, y + wide / 2
    return left, y - 0.75 * size, left + wide, y + 0.25 * size


def overlapping(boxes):
    """Sweep from left to right."""
    pairs, active = [], []
    for rectangle in sorted(boxes):
        active = [other for other in active if other[2] > rectangle[0] + 0.01]
        pairs += [
            (other, rectangle)
            for other in active
            if other[1] < rectangle[3] and rectangle[1] < other[3]
        ]
        active.append(rectangle)
    return pairs


def contrast(one, other):
    """The contrast of two colours as WCAG 2 defines it; 4.5 is asked for small letters."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_text_has_accuracy_and_letter_in_each_cell_and_the_largest_value_on_top():
    assert phase_text([phase(SMALL, data_amount=50000.0)]) == (
        "data amount 50,000\n"
        "width \\ batch_size     8     1,024\n"
        "-------------------------------------\n"
        "16                            90.0 -\n"
        "2                   70.0 H    75.0 M?\n"
        "\n"
        "test accuracy in percent and failure mode: H temperature_high, L temperature_low, "
        "M model_small, D data_small, - none; ? inside the noise"
    )


def test_text_of_one_axis_is_one_line_without_a_title():
    cells = {(0.0, 0.05): cell(80), (0.0, 0.1): cell(85)}
    lines = phase_text([phase(cells, across="learning_rate", down=None)]).splitlines()
    assert lines[0].split() == ["learning_rate", "0.05", "0.1"]
    assert lines[2].split() == ["80.0", "-", "85.0", "-"]


def test_the_letters_are_those_of_the_modes_and_differ():
    assert list(LETTERS) == MODES
    assert len({*LETTERS.values()}) == len(MODES)


def test_each_group_is_drawn_in_both_diagrams_with_all_that_is_known_of_it():
    picture = Picture([phase(SMALL)])
    assert {title: [text.text for _, text in cells] for title, cells in picture.cells.items()} == {
        "worst: 70.04 %, temperature high, its remedy gains 12.00 points": ["70.0", "H 12.0"],
        "noisy: 75.00 %, model small, its remedy gains 3.00 points, inside the noise of 1.00": [
            "75.0",
            "M? 3.0",
        ],
        "best: 90.00 %, none": ["90.0", "-"],
    }


def test_larger_batches_stand_right_and_larger_widths_on_top():
    picture = Picture([phase(SMALL)])
    for which in (0, 1):
        worst, noisy, best = (box(picture.at(g)[which][0]) for g in ("worst", "noisy", "best"))
        assert worst[1] == noisy[1] > best[1]
        assert worst[0] < noisy[0] == best[0]
    assert box(picture.at("worst")[0][0])[2] < box(picture.at("worst")[1][0])[0]


def test_more_accurate_is_lighter_and_the_more_to_gain_the_stronger():
    cells = {(0.0, float(n)): cell(70 + n, "data_small", 12 - n, group=f"g{n}") for n in range(12)}
    picture = Picture([phase(cells, down=None)])
    for which in (0, 1):
        colours = [picture.at(f"g{n}")[which][0].get("fill") for n in range(12)]
        lights = [contrast(colour, "#000000") for colour in colours]
        assert sorted(lights) == lights
        assert len({*colours}) == 12


def test_each_mode_has_its_own_colour_which_the_legend_shows():
    cells = {(0.0, float(n)): cell(80, m, 5.0, group=m) for n, m in enumerate(MODES[:-1])}
    picture = Picture([phase(cells, down=None)])
    strongest = [picture.at(mode)[1][0].get("fill") for mode in MODES[:-1]]
    assert len({*strongest}) == len(MODES) - 1
    fills = {rect.get("fill") for rect in picture.root.findall(f"{SVG}rect")}
    assert fills >= {*strongest}
    for mode, meaning in FAILURE_MODES.items():
        assert LETTERS[mode] in picture.words
        assert f"{mode.replace('_', ' ')}: {meaning}" in picture.words


@pytest.mark.parametrize(("low", "high"), [(80, 80), (0, 100), (0, 0)])
def test_equal_groups_and_the_whole_range_have_colours(low, high):
    cells = {(0.0, 0.0): cell(low, group="low"), (0.0, 1.0): cell(high, group="high")}
    picture = Picture([phase(cells, down=None)])
    fills = [picture.at(name)[0][0].get("fill") for name in ("low", "high")]
    assert (low == high) is (fills[0] == fills[1])
    for rect in picture.root.iter(f"{SVG}rect"):
        assert re.fullmatch("#[0-9a-f]{6}", rect.get("fill"))


LONG = {
    "batch_size": [8.0, 1234567.0, 2.5e12],
    "learning_rate": [0.000316228, 0.1, 1.0],
}
GRIDS = {
    "small": [phase(SMALL)],
    "strip": [phase(grid([0.0], [8.0, 16.0, 1024.0]), down=None)],
    "published": published(),
    "many small": [
        phase(grid([1.0, 2.0], [1.0, 2.0]), learning_rate=0.000316228, data_amount=5000.0 * n)
        for n in range(1, 31)
    ],
    "two zoos": [
        phase(SMALL, zoo="digits", data_amount=300.0),
        phase(grid([1.0], [float(n) for n in range(1, 9)]), zoo="x" * 300, learning_rate=0.000316),
    ],
    "long numbers": [phase(grid(LONG["learning_rate"], LONG["batch_size"]), down="learning_rate")],
}


@pytest.mark.parametrize("name", GRIDS)
def test_nothing_overlaps_and_all_lies_inside_the_picture(name):
    phases = GRIDS[name]
    picture = Picture(phases)
    cells = [box(rect) for both in picture.cells.values() for rect, _ in both]
    texts = [extent(text) for text in picture.texts]

    assert len(cells) == 2 * sum(len(p.cells) for p in phases)
    assert overlapping(cells) == []
    assert overlapping(texts) == []
    for x, y, right, bottom in cells + texts:
        assert 0 <= x < right <= picture.width
        assert 0 <= y < bottom <= picture.height
    for both in picture.cells.values():
        for rect, text in both:
            (left, top, right, bottom), inner = box(rect), extent(text)
            assert left <= inner[0] < inner[2] <= right
            assert top <= inner[1] < inner[3] <= bottom


@pytest.mark.parametrize("name", GRIDS)
def test_letters_can_be_read_on_their_cells(name):
    for both in Picture(GRIDS[name]).cells.values():
        for rect, text in both:
            assert contrast(rect.get("fill"), text.get("fill")) >= 4.5


def test_diagrams_wrap_into_lines_and_the_paper_is_white():
    picture = Picture(GRIDS["many small"])
    assert picture.width <= 1600
    assert picture.height < 30 * 100  # several stand side by side
    tops = {float(t.get("y")) for t in picture.texts if t.text.startswith("learning rate")}
    assert 1 < len(tops) < 30
    paper = picture.root.find(f"{SVG}rect")
    assert (0, 0, picture.width, picture.height) == box(paper)
    assert paper.get("fill") == "#ffffff"


def test_a_published_grid_has_one_pair_of_diagrams_on_each_line():
    picture = Picture(GRIDS["published"])
    titles = [t for t in picture.texts if t.text.startswith("data amount")]
    assert [f"data amount {5000 * n:,}" for n in range(1, 11)] == [t.text for t in titles]
    tops = [float(title.get("y")) for title in titles]
    assert sorted({*tops}) == tops


def test_the_name_of_the_zoo_stands_over_its_diagrams_harmless_and_cut():
    two = [phase(SMALL, zoo="digits", data_amount=300.0), phase(SMALL, zoo="\x1b[2J<b>" + "y" * 99)]
    cut = r"\x1b[2J<b>" + "y" * 27 + "..."
    assert {"digits, data amount 300", cut} <= {*Picture(two).words}
    assert {"digits, data amount 300", cut} <= {*phase_text(two).splitlines()}


def test_missing_groups_leave_their_cell_empty():
    picture = Picture([phase(SMALL)])
    frames = picture.root.findall(f"{SVG}path")
    assert len(frames) == 2  # around each diagram
    assert len(picture.cells) == 3
    assert any("empty: no measured group" in words for words in picture.words)


def test_the_share_inside_the_noise_is_told():
    assert "3 groups, 1 of the labels inside the noise (?)" in Picture([phase(SMALL)]).words


@pytest.mark.parametrize(
    "name",
    [
        "</title><script>alert(1)</script>",
        "a & b < c > \"d\" 'e'",
        "\x1b[31mred\x00\x07",
        "]]>&lt;!--",
        "\ud800\ufffe\u202e",
        "日本",
        "",
    ],
)
def test_names_of_groups_are_text_and_nothing_else(name):
    svg = phase_svg([phase({(0.0, 1.0): cell(80, group=name)}, down=None)])
    picture = ET.fromstring(svg)
    assert "script" not in {element.tag.removeprefix(SVG) for element in picture.iter()}
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    assert f"{shown}: 80.00 %, none" in [t.text for t in picture.iter(f"{SVG}title")]
    assert svg.replace("\n", "").isprintable()
    assert svg.encode().decode() == svg


def test_diagrams_have_an_end_where_each_group_is_alone_in_its_line_and_column():
    """So many groups would be 10^10 cells."""
    many = phase({(float(n), float(n)): cell(50) for n in range(100_000)})
    assert phase_text([many]) == "phase diagrams of 10,000,000,000 cells are too large to show"
    with pytest.raises(RowsError, match="axes of the phase diagrams have 200,000 values"):
        phase_svg([many])
