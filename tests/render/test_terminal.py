"""Text for people: tables, the summary of rows and the progress bar."""

from __future__ import annotations

import contextlib
import os
import pty
import re

import pytest

from mdtree.cli import progress_bar as bar
from mdtree.progress import Silent
from mdtree.render.terminal import plural, printable, table
from mdtree.render.terminal_rows import rows_table
from mdtree.rows import QUANTITIES, GroupFailure, Measured, Missing, Provenance, Row


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


def row(group="g", quantities=None, **kwargs):
    values = {"train_error": Measured(value=12.5, stderr=0.25)}
    content = {"protocol": "standard-1", "facts": {}, **kwargs}
    return Row(format=1, group=group, quantities=quantities or values, **content)


def provenance(members):
    return Provenance(
        weights=dict.fromkeys(members, "0"),
        recipe="0",
        metrics=(),
        seed=0,
        device="cpu",
        seconds=0,
        versions={},
    )


def test_the_summary_has_a_line_for_each_group_and_a_column_for_each_quantity():
    quantities = {"test_loss": Measured(value=1.5), "train_error": Measured(value=2, stderr=0.5)}
    rows = [
        row("a", facts={"parameters": 11420}, provenance=provenance("xyz")),
        row("b", quantities),
    ]

    header, _, first, second = rows_table(rows).splitlines()

    assert re.split(" {2,}", header) == [
        "group",
        "checkpoints",
        "parameters",
        "train_error [%]",
        "test_loss [nats]",
    ]
    assert first.split("  ")[0] == "a"
    assert re.split(" {2,}", first) == ["a", "3", "11420", "12.50 ± 0.25"]
    assert re.split(" {2,}", second) == ["b", "2.00 ± 0.50", "1.5"]
    assert header.index("train_error") < header.index("test_loss")  # the order of the vocabulary
    assert next(iter(QUANTITIES)) == "train_error"


def test_the_protocol_is_shown_where_there_are_several():
    assert "protocol" not in rows_table([row("a"), row("b")])
    several = rows_table([row("a"), row("a", protocol="paper-1")])
    assert several.splitlines()[0].split()[:2] == ["group", "protocol"]
    assert "paper-1" in several


def test_a_reason_is_told_once_with_the_number_of_its_groups():
    why = {"test_error": Missing(missing="the recipe has no test data\x1b[31m")}
    text = rows_table([row("a", why), row("b", why), row("c")])

    assert text.splitlines()[-1] == (
        "missing test_error: the recipe has no test data\\x1b[31m (2 of 3)"
    )
    assert text.count("missing") == 3  # two cells and the reason


def test_a_failed_group_is_marked_as_such():
    failed = row(
        "a",
        {"train_error": Missing(missing="the group failed: x")},
        failure=GroupFailure(kind="E", reason="x"),
    )
    assert "failed" in rows_table([failed]).splitlines()[2]
    assert len(rows_table([failed]).splitlines()) == 3  # why is told elsewhere


def test_a_long_table_is_cut_and_says_so():
    rows = [row(f"g{n}") for n in range(45)]
    assert rows_table(rows).splitlines()[-1] == "... and 5 more"
    assert len(rows_table(rows, limit=None).splitlines()) == 47
    assert rows_table([]).splitlines()[0].startswith("group")


def test_progress_is_silent_where_nobody_watches(capsys):
    watch = Silent()
    watch.start(3)
    watch.step("a")
    with bar.Bar("measuring") as shown:  # stderr is no terminal here
        shown.start(3)
        shown.step("a")
    assert capsys.readouterr() == ("", "")


def drained(terminal):
    """Read all that a terminal was sent, in as many parts as it comes."""
    text = b""
    with contextlib.suppress(OSError):  # Linux tells so that the other side is closed
        while part := os.read(terminal, 100_000):
            text += part
    os.close(terminal)
    return text.decode()


def test_the_bar_shows_how_many_are_done_and_which_was_last(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(bar.sys, "stderr", terminal)
        with bar.Bar("measuring") as shown:
            shown.start(2)
            shown.step("hot\x1b[2J")
            shown.step("cold")
    text = drained(ours)

    assert "measuring" in text
    assert [text.index(count) for count in ("0/2", "1/2", "2/2")] == sorted(
        text.index(count) for count in ("0/2", "1/2", "2/2")
    )
    assert r"hot\x1b[2J" in text
    assert "hot\x1b" not in text


def test_a_bar_of_nothing_is_not_drawn(monkeypatch):
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(bar.sys, "stderr", terminal)
        with bar.Bar("measuring") as shown:
            shown.start(0)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
    os.close(ours)
