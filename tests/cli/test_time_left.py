"""The time left, by a clock that is passed in."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from mdtree.cli.time_left import TimeLeft
from mdtree.render.formatting import duration

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def shown(work, *, total, period=1.0):
    """The times that are shown while `work(now)` says how much is done, until all of it is."""
    left, now, times = TimeLeft(0.0), 0.0, []
    while work(now) < total:
        now += period
        seconds = left.shown(now, work(now), total)
        if seconds is not None and work(now) < total:
            times.append(seconds)
    return times


def said(seconds):
    """The seconds that a text speaks of."""
    number, unit = re.fullmatch(r"([\d.]+) (s|min|h)", duration(seconds)).groups()
    return float(number) * UNITS[unit]


def test_steady_work_counts_down():
    """100 steps of 2 s: after t seconds, 200 - t are left."""
    times = shown(lambda now: now / 2, total=100, period=10.0)
    assert times[0] == pytest.approx(190, abs=30)  # 3 min
    assert times[-5:] == [50, 40, 30, 20, 10]


def test_nothing_is_said_before_anything_is_done():
    left = TimeLeft(0.0)
    assert left.shown(60.0, 0.0, 10) is None
    assert left.shown(0.5, 3.0, 10) is None
    assert left.shown(61.0, 1.0, 2) == 61  # half is done after 61 s


def test_the_start_of_workers_does_not_count_where_work_is_told_from_inside():
    """Ten seconds to start, then 40 s of work in steps of a thousandth."""
    times = shown(lambda now: max(now - 10.0, 0.0) / 40, total=1, period=0.04)
    assert max(times) <= 40
    assert times[0] == pytest.approx(38, abs=1)
    assert times[-1] <= 2


def test_an_estimate_stays_for_a_second():
    left = TimeLeft(0.0)
    first = left.shown(10.0, 1.0, 10)
    assert left.shown(10.5, 9.0, 10) == first
    assert first / 2 <= left.shown(11.0, 9.0, 10) < first


WORKS = {
    "quick steps, then slow ones": lambda now: 50 * min(now, 1.0) + max(now - 1.0, 0.0) / 100,
    "slow steps, then quick ones": lambda now: now / 100 if now < 100 else (now - 100.0) + 1,
    "steps that come at once": lambda now: 20 * (now // 300),
    "a machine that sleeps": lambda now: now / 10 - (60 if now > 800 else 0) * (now < 4000),
}


@pytest.mark.parametrize("period", [0.1, 1.0, 7.0, 30.0, 700.0])
@pytest.mark.parametrize("name", WORKS)
def test_what_is_shown_never_changes_by_more_than_a_factor_of_two(name, period):
    times = shown(WORKS[name], total=100, period=period)
    assert_no_jump(times)
    assert times or period > 30


@pytest.mark.parametrize("seed", range(20))
def test_no_luck_makes_it_jump(seed):
    """Steps of any length from a millisecond to an hour, in any order."""
    draw = random.Random(seed)
    left, now, times = TimeLeft(0.0), 0.0, []
    for done in range(1, 300):
        now += 10 ** draw.uniform(-3, 3.5)
        seconds = left.shown(now, done, 300)
        times += [] if seconds is None else [seconds]
    assert len(times) > 200
    assert_no_jump(times)


def assert_no_jump(times):
    """Neither the seconds nor the text jumps; and the text says what the seconds are."""
    for before, after in itertools.pairwise(times):
        assert before / 2 <= after <= before * 2
        assert said(before) / 2 <= said(after) <= said(before) * 2
    assert all(said(each) == pytest.approx(each) for each in times)
    assert all(each >= 1 for each in times)


def test_it_learns_that_it_was_wrong():
    """Ten quick steps promised seconds; the other ten take ten minutes each, 6,000 s together."""
    times = shown(lambda now: min(now, 10.0) + max(now - 10.0, 0.0) / 600, total=20)
    assert min(times[:10]) <= 10
    assert max(times) == pytest.approx(6000, rel=0.3)
    assert times[len(times) // 2] == pytest.approx(3000, rel=0.2)
    assert times[-1] <= 10
