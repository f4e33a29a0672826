"""Durations, as people say them."""

from __future__ import annotations

import pytest

from mdtree.render.durations import about, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "under a second"),
        (1.4, "1 s"),
        (119, "119 s"),
        (121, "2 min"),
        (7199, "120 min"),
        (7201, "2.0 h"),
        (90_000, "25.0 h"),
    ],
)
def test_a_time_is_written_as_people_say_it(seconds, text):
    assert duration(seconds) == text


def test_an_estimate_is_about_so_much_unless_it_is_nothing():
    assert (about(0.3), about(30)) == ("under a second", "about 30 s")
