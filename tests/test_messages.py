"""Words of messages."""

from __future__ import annotations

import pytest

from mdtree.messages import chance, listed, nearest, plural, shortened


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("widht", ["width", "depth"], ", did you mean 'width'?"),
        ("depht", ["width", "depth"], ", did you mean 'depth'?"),
        ("width", ["width"], ", did you mean 'width'?"),
        ("colour", ["width", "depth"], ""),
        ("", ["width"], ""),
        ("width", [], ""),
        ("width", (name for name in ["widths"]), ", did you mean 'widths'?"),
        ("a" * 1_000_000, ["a" * 999_999], ""),
        ("width", ["a" * 1_000_000, "widths"], ", did you mean 'widths'?"),
    ],
)
def test_the_nearest_word_is_suggested_if_one_is_near(word, known, hint):
    assert nearest(word, known) == hint


def test_a_cutoff_says_how_near():
    assert nearest("wide", ["width"], cutoff=0.6) == ", did you mean 'width'?"
    assert nearest("wide", ["width"], cutoff=0.8) == ""


def test_what_is_cut_is_as_long_as_it_may_be():
    assert [shortened("loss", most) for most in (3, 4, 5)] == ["lo…", "loss", "loss"]


def test_one_is_one_and_all_else_are_many():
    assert [plural(count, "row") for count in (0, 1, 2, 1000)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1000 rows",
    ]


def test_no_answer_is_impossible():
    """A list with `0 %` beside `under 1 %` would tell two things of what is about the same."""
    assert [chance(share) for share in (0.0, 1e-12, 0.004, 0.006, 1.0)] == (
        ["under 1 %"] * 3 + ["1 %", "100 %"]
    )


def test_a_list_names_the_first_and_counts_the_others():
    names = [f"g{number}" for number in range(2005)]
    assert listed(names[:5]) == "g0, g1, g2, g3, g4"
    assert listed(names[:6]) == "g0, g1, g2, g3, g4, and 1 more"
    assert listed(names, "; ", most=2) == "g0; g1; and 2,003 more"
    assert listed([]) == ""
