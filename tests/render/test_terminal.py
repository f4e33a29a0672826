"""Text for people: tables that fit their screen, and letters that do not steer it."""

from __future__ import annotations

import re

import pytest

from mdtree.messages import plural, printable
from mdtree.render.screen import Screen, columns, shown_on
from mdtree.render.terminal import table


def test_one_thing_and_several():
    assert [plural(n, "group") for n in (0, 1, 2)] == ["0 groups", "1 group", "2 groups"]


def test_what_would_steer_a_terminal_is_shown_instead():
    text = "é ± 漢\x1b[2J\r\n\t\x9b\u202e\udcff"
    assert printable(text) == r"é ± 漢\x1b[2J\r\n\t\x9b\u202e\udcff"
    assert printable("a\nb\x00", keep="\n") == "a\nb\\x00"


def test_a_table_has_names_to_the_left_and_numbers_to_the_right():
    assert table(["name", "n"], [["a", "1"], ["long name", "1000"]]).splitlines() == [
        "name          n",
        "---------------",
        "a             1",
        "long name  1000",
    ]


def test_a_cell_stays_on_its_line():
    assert len(table(["name"], [["a\nb"]]).splitlines()) == 3


@pytest.mark.parametrize("width", [40, 57, 80, 120, 200])
def test_a_table_that_is_too_wide_goes_on_below(width):
    header = ["group", *(f"quantity_{n} [unit]" for n in range(12)), ""]
    rows = [
        [f"width-{g}_data_amount-{100 * g}", *(f"{n}.5 ± 0.25" for n in range(12)), "why " * 20]
        for g in range(3)
    ]
    with shown_on(Screen(width=width)):
        text = table(header, rows)
    assert max(map(columns, text.splitlines())) <= width
    found = re.sub(r"\s+", "", text)
    assert all(f"quantity_{n}[unit]" in found for n in range(12))  # nothing is left out
    assert found.count("11.5±0.25") == 3
    parts = text.split("\n\n")
    heads = [re.findall(r"quantity_(\d+)", part) for part in parts]
    assert [int(n) for head in heads for n in head] == list(range(12))  # from left to right
    assert all(part.startswith("group") for part in parts)


def test_a_table_that_fits_is_left_alone():
    header, rows = ["group", "n"], [["漢字", "1"], ["a", "1000"]]
    with shown_on(Screen(width=40)):
        assert table(header, rows) == table(header, rows)
        assert table(header, rows).splitlines()[2:] == ["漢字      1", "a      1000"]


def test_a_long_name_is_broken_where_the_screen_is_narrow():
    with shown_on(Screen(width=20)):
        text = table(["group", "n"], [["x" * 30, "12"]])
    assert text.splitlines() == [
        "group              n",
        "-" * 20,
        "x" * 16 + "  12",
        "x" * 14,
    ]


def test_letters_that_the_screen_lacks_are_spelt_before_columns_are_aligned():
    with shown_on(Screen(encoding="ascii")):
        text = table(["g", "n"], [["a", "1 ± 2"], ["b…", "10.5 ± 0.25"]])
    assert text.splitlines()[2:] == ["a           1 +/- 2", "b...  10.5 +/- 0.25"]
