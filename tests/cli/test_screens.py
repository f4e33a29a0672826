"""The screen: width, colours and letters, in programs of their own, in pipes and on terminals."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from mdtree.cli.screens import can_draw, say, screen_of
from mdtree.render.screen import Screen, columns, fold, shown_on
from tests.support.paths import ROOT
from tests.support.zoos import write_zoo

ROWS = ROOT / "mdtree/data/zoos/digits-standard-1.jsonl"
ONE = ["diagnose", ROWS, "--group", "width-4_batch_size-4_data_amount-1200"]
WITH_ERRORS = [
    "diagnose",
    ROWS,
    "--group",
    "width-1_batch_size-16_data_amount-300",
]  # in its reasons
NAMES = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PYTHONIOENCODING")
PAINT = re.compile(r"\x1b\[[\d;]*m")


class Stream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, *, terminal):
        super().__init__()
        self.isatty = lambda: terminal


def environment(**given):
    kept = {name: value for name, value in os.environ.items() if name not in NAMES}
    return {**kept, "TERM": "xterm-256color", **given}


def piped(args, **env):
    return subprocess.run(
        [sys.executable, "-m", "mdtree", *map(str, args)],
        capture_output=True,
        env=environment(**env),
        check=False,
    )


def on_terminal(args, width, **env):
    """Run mdtree on a terminal of a width; return all that the terminal was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "mdtree", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(**env),
    ) as program:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # Linux tells so that the other side is closed
            while part := os.read(ours, 100_000):
                text += part
        os.close(ours)
    assert program.returncode == 0
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("env", "terminal", "pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "3"}, True, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "false"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colours_are_where_people_expect_them(env, terminal, pipe):
    assert screen_of(Stream(terminal=True), env).colour is terminal
    assert screen_of(Stream(terminal=False), env).colour is pipe


@pytest.mark.parametrize(
    ("named", "terminal", "width"),
    [
        ("100", True, 100),
        ("100", False, 100),
        ("", True, 80),  # a terminal that cannot say how wide it is
        ("", False, None),
        ("0", False, None),
        ("-5", False, None),
        ("wide", False, None),
        ("9" * 5000, False, None),
        ("²", False, None),
        ("7", False, 20),
    ],
)
def test_the_width_is_that_of_columns_or_of_the_terminal(named, terminal, width):
    assert screen_of(Stream(terminal=terminal), {"COLUMNS": named}).width == width


def test_there_may_be_no_stream():
    closed = Stream(terminal=True)
    closed.isatty = io.StringIO.isatty.__get__(closed)
    closed.close()
    for stream in (None, closed):
        assert screen_of(stream, {}) == Screen()
        assert not can_draw(stream, {})


def test_a_line_is_drawn_again_only_where_that_is_possible():
    assert can_draw(Stream(terminal=True), {"TERM": "xterm"})
    assert not can_draw(Stream(terminal=True), {"TERM": "dumb"})
    assert not can_draw(Stream(terminal=False), {"TERM": "xterm"})


def test_what_is_said_is_folded(capsys):
    with shown_on(Screen(width=20, encoding="ascii")):
        say("error 12 ± 3, which is too much")
    assert capsys.readouterr().out == "error 12 +/- 3,\n  which is too much\n"


@pytest.mark.parametrize("width", [20, 40, 77, 200])
@pytest.mark.parametrize(
    "text", ["  two  spaces  stay " * 20, "x" * 500, "漢字 " * 100, "e\u0301" * 300, "", "\n\n a\n"]
)
def test_folding_loses_nothing_and_overflows_nowhere(text, width):
    folded = fold(text, width)
    assert re.sub(r"\s", "", folded) == re.sub(r"\s", "", text)
    assert all(columns(line) <= width for line in folded.split("\n"))
    assert fold(folded, width) == folded


def test_the_card_is_coloured_on_a_terminal_and_fits_it():
    plain = piped(ONE).stdout.decode()
    text = on_terminal(ONE, 62)
    assert "\x1b[1;31mverdict: temperature_high\x1b[0m (probability " in text
    assert "\x1b[1;32mnext:\x1b[0m " in text
    lines = PAINT.sub("", text).splitlines()
    assert max(map(columns, lines)) <= 62
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", plain)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_fit_the_terminal(width):
    text = on_terminal(["rows", "show", ROWS, "--all"], width)
    assert max(map(columns, text.splitlines())) <= width
    assert max(map(columns, text.splitlines())) > 0.7 * width
    assert text.count("± ") > 300


def test_a_pipe_gets_plain_text_whatever_is_inside():
    ran = piped(ONE)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\x1b" not in ran.stdout
    assert b"\r" not in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) > 100  # nothing is folded
    assert b"\x1b[1;31mverdict" in piped(ONE, FORCE_COLOR="1").stdout


def test_a_dumb_terminal_gets_no_codes():
    text = on_terminal(ONE, 80, TERM="dumb")
    assert "\x1b" not in text
    assert "\r" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize(
    "args",
    [WITH_ERRORS, ["rows", "show", ROWS], ["tree", "show", "digits-standard-1"]],
    ids=lambda args: args[0],
)
def test_no_encoding_is_too_small(args, encoding):
    ran = piped(args, PYTHONIOENCODING=encoding, PYTHONUTF8="0", COLUMNS="70")
    assert (ran.returncode, ran.stderr) == (0, b"")
    text = ran.stdout.decode(encoding)
    assert max(map(len, text.splitlines())) <= 70
    assert ("+/-" in text) == (encoding == "ascii" and args[0] in ("rows", "diagnose"))


def test_an_error_is_spelt_and_folded():
    args = ["diagnose", ROWS, "--group", f"± {'long ' * 20}"]
    ran = piped(args, PYTHONIOENCODING="ascii", PYTHONUTF8="0", COLUMNS="50")
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"error: there is no group '+/- long long ")
    assert max(map(len, ran.stderr.splitlines())) <= 50
    assert ran.stdout == b""


def test_long_work_is_drawn_on_a_terminal(tmp_path):
    root = write_zoo(tmp_path / "zoo", {"hot": [0, 1], "cold": [2, 3]})
    args = ["measure", root, "--metrics", "error_rate,predictions"]
    text = on_terminal(args, 80)
    bars, _, table = text.partition("group")
    assert re.search(r"\rmeasuring  \[-+\]  0/2[ \r]", bars)
    assert re.search(r"\rmeasuring  \[#{20,}\]  2/2  in .*\n$", bars)
    assert all(columns(line) < 80 for line in re.split(r"[\r\n]", bars))
    assert "2 measured, 0 already there, 0 failed" in table
    again = piped(args)
    assert (again.returncode, again.stderr) == (0, b"")
    assert b"\r" not in again.stdout
