"""Progress on stderr: a bar on a terminal, lines in a pipe, by a clock that is passed in."""

from __future__ import annotations

import io
import re

import pytest

from mdtree.cli import progress_bar as bar
from mdtree.cli.screens import tell
from mdtree.progress import Silent
from mdtree.render.screen import columns

HOSTILE = "hot\x1b[2J\r\n"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Stream(io.StringIO):
    """A stderr that is a terminal or a pipe."""

    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream(monkeypatch):
    """Replace stderr; the width of the terminal is that of COLUMNS."""

    def make(*, terminal, width="120", term="xterm"):
        made = Stream(terminal=terminal)
        monkeypatch.setattr("sys.stderr", made)
        monkeypatch.setenv("COLUMNS", width)
        monkeypatch.setenv("TERM", term)
        return made

    return make


def drawn(made):
    """What the terminal showed in the line of the bar, one after the other."""
    return [part.rstrip() for part in re.split(r"[\r\n]", made.getvalue()) if part.strip()]


def test_a_bar_names_the_stage_the_count_the_group_and_the_time_left(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(4, "hessian")
        for name in ("a", "b"):
            clock.now += 30
            shown.step(name)
    first, one, two, last = drawn(made)
    assert first == f"measuring hessian  [{'-' * 30}]  0/4"
    assert one == f"measuring hessian  [{'#' * 7}{'-' * 23}]  1/4  a  90 s left"
    assert two == f"measuring hessian  [{'#' * 15}{'-' * 15}]  2/4  b  60 s left"
    assert last == f"measuring hessian  [{'#' * 15}{'-' * 15}]  2/4  in 60 s"
    assert made.getvalue().endswith("\n")


def test_work_inside_a_long_group_moves_the_bar(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(1)
        for tenth in range(1, 10):
            clock.now += 60
            shown.inside("wide", tenth / 10, "hessian")
        shown.step("wide")
    lengths = [line.count("#") for line in drawn(made)]
    assert lengths == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert drawn(made)[5].endswith("0/1  wide hessian  5 min left")
    assert drawn(made)[-1].endswith("1/1  in 9 min")


def test_several_groups_at_once_add_up(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("x", clock=clock) as shown:
        shown.start(2)
        for name in ("a", "b"):
            clock.now += 1
            shown.inside(name, 0.5)
        assert "#" * 15 + "-" * 15 in drawn(made)[-1]
        clock.now += 1
        shown.step("a")
    assert "#" * 22 + "-" * 8 in drawn(made)[-1]


def test_what_was_measured_before_tells_nothing_of_the_time(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(100)
        for number in range(98):
            shown.skip(f"g{number}")
        clock.now += 50
        shown.step("new")
        assert drawn(made)[-1].endswith("99/100  new  50 s left")


def test_a_bar_is_drawn_ten_times_a_second_however_many_steps_there_are(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("comparing", clock=clock) as shown:
        shown.start(3000)
        for number in range(3000):
            clock.now += 0.001
            shown.step(f"g{number}")
    assert 25 <= len(drawn(made)) <= 32
    assert drawn(made)[-1] == f"comparing  [{'#' * 30}]  3000/3000  in 3 s"


@pytest.mark.parametrize("width", [40, 50, 60, 80, 120, 200])
@pytest.mark.parametrize(
    "name", ["a", "width-4_batch_size-1024_data_amount-1200/seed-0", "漢" * 30]
)
def test_no_bar_is_wider_than_the_screen(stream, clock, width, name):
    made = stream(terminal=True, width=str(width))
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(10_000, "connectivity")
        for _ in range(3):
            clock.now += 3000
            shown.step(name)
    assert all(columns(line) < width for line in drawn(made))
    assert all("left" in line and "/10000" in line for line in drawn(made)[1:-1])


def test_the_end_of_a_long_name_is_shown(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("x", clock=clock) as shown:
        shown.start(2)
        clock.now += 5
        shown.step(f"{'n' * 100}-seed-1")
    assert re.search(r"  \.\.n+-seed-1  5 s left$", drawn(made)[1])


def test_a_new_stage_has_a_line_of_its_own(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("measuring", clock=clock) as shown:
        for stage in ("error_rate", "hessian"):
            shown.start(1, stage)
            clock.now += 5
            shown.step("g")
    lines = [line for line in made.getvalue().split("\n") if line]
    assert len(lines) == 2
    assert lines[0].endswith("1/1  in 5 s")
    assert "error_rate" in lines[0]
    assert "hessian" in lines[1]


def test_messages_stand_above_the_bar(stream, clock):
    made = stream(terminal=True)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(2)
        tell("found something")
    text = made.getvalue()
    cleared = text.split("found something\n")[0]
    assert re.search(r"\r +\r$", cleared)  # the line was empty before
    assert text.split("found something\n")[1].startswith("\rmeasuring  [")
    tell("later")
    assert made.getvalue().endswith("\nlater\n")


def test_an_error_leaves_the_line_of_the_bar(stream, clock):
    made = stream(terminal=True)

    def interrupted():
        with bar.Bar("measuring", clock=clock) as shown:
            shown.start(2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert made.getvalue().endswith("0/2  in under a second\n")


@pytest.mark.parametrize("width", ["40", "120"])
def test_names_steer_nothing(stream, clock, width):
    made = stream(terminal=True, width=width)
    with bar.Bar("x", clock=clock) as shown:
        shown.start(2)
        clock.now += 1
        shown.step(HOSTILE)
    assert r"hot\x1b[2J\r\n" in drawn(made)[1]
    assert "\x1b" not in made.getvalue()


@pytest.mark.parametrize(("terminal", "term"), [(False, "xterm"), (True, "dumb")])
def test_a_pipe_gets_a_line_now_and_then(stream, clock, terminal, term):
    made = stream(terminal=terminal, term=term)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(10, "hessian")
        for tenth in range(1, 100):  # a group every 100 s
            clock.now += 10
            name = f"g{tenth // 10}"
            shown.step(name) if tenth % 10 == 0 else shown.inside(name, tenth % 10 / 10)
        clock.now += 10
        shown.step("g9")
    lines = made.getvalue().splitlines()
    assert len(lines) == 34
    assert lines[0] == "measuring hessian: 0/10 (3%), g0, about 16 min left"
    assert lines[-1] == "measuring hessian: 10/10 in 17 min"
    assert "\r" not in made.getvalue()
    assert "\x1b" not in made.getvalue()


def test_short_work_says_nothing_in_a_pipe(stream, clock):
    made = stream(terminal=False)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(3)
        for _ in range(3):
            clock.now += 9
            shown.step("a")
    assert made.getvalue() == ""


def test_lines_of_work_that_takes_days_become_rarer(stream, clock):
    made = stream(terminal=False)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(100_000)
        for _ in range(100_000):
            clock.now += 5
            shown.step("a")
    assert 300 < len(made.getvalue().splitlines()) < 700


def test_nothing_to_do_and_nobody_to_see_it(stream, clock, monkeypatch):
    made = stream(terminal=True)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(0)
        shown.step("a")
    assert made.getvalue() == ""
    monkeypatch.setattr("sys.stderr", None)
    with bar.Bar("measuring", clock=clock) as shown:
        shown.start(3)
        shown.inside("a", 0.5)
        shown.step("a")
    watch = Silent()
    watch.start(3)
    watch.inside("a", 0.5)
    watch.skip("a")
    watch.step("a")
