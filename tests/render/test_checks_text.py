"""Checks for the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.render.checks_text import checks_line, checks_overview, checks_summary, checks_text
from mdtree.render.markdown import verdicts_markdown
from tests.support.checked import checked, judged, row
from tests.support.reports import HOSTILE

MIXED = checked(
    "wide",
    ("MD103", "found", "the network is too small"),
    ("MD110", "passed", "sure"),
    ("MD111", "passed", "measured"),
    ("MD202", "not_checked", "no error bars"),
    ("MD302", "found", "one checkpoint"),
).checks


def test_findings_have_their_numbers_and_the_rest_its_codes():
    assert checks_text(MIXED).splitlines() == [
        "checks:",
        "  MD103 model_small (error): the network is too small",
        "  MD302 one_checkpoint (note): one checkpoint",
        "checked and fine: MD110, MD111",
        "not checked: MD202",
    ]


def test_what_is_ignored_is_listed_and_counted():
    checks = checked(
        "x",
        ("MD103", "ignored", "left out"),
        ("MD110", "passed", "sure"),
        ("MD205", "ignored", "-"),
    ).checks
    assert checks_text(checks).splitlines() == [
        "checks: nothing was found",
        "checked and fine: MD110",
        "not checked: none",
        "ignored: MD103, MD205",
    ]
    assert checks_line(checks, "x") == "checks: 1 fine, 2 ignored (MD103, MD205); x"
    verdict = replace(judged(row(cka=0.9)), checks=checks)
    assert checks_overview([verdict]) == "checks: nothing was found\nignored: MD103, MD205"
    assert checks_summary([verdict]) == (
        "checks: 1 fine, 2 ignored (MD103, MD205); --checks counts them"
    )


def test_nothing_is_said_in_words():
    assert checks_text(()).splitlines() == [
        "checks: nothing was found",
        "checked and fine: none",
        "not checked: none",
    ]


def test_many_groups_are_counted():
    verdict = replace(judged(row(cka=0.9)), checks=MIXED)
    fine = replace(verdict, checks=MIXED[1:2])
    half = replace(verdict, checks=MIXED[4:])
    assert checks_overview([verdict, fine, half]).splitlines() == [
        "checks:",
        "  MD302 one_checkpoint: 2 of 3 groups",
        "  MD103 model_small: 1 of 3 groups",
    ]
    assert checks_overview([fine]) == "checks: nothing was found"


def test_one_line_counts_them_by_severity():
    assert checks_line(MIXED, "--checks lists them") == (
        "checks: 1 error (MD103 model small), 1 note (MD302 one checkpoint), 2 fine, "
        "1 not checked; --checks lists them"
    )
    assert checks_line(MIXED[1:2], "x") == "checks: 1 fine; x"
    assert checks_line((), "x") == "checks: 0 fine; x"
    many = checked(
        "g",
        *((f"MD30{n}", "found", "x") for n in (1, 2, 3, 5, 6, 7)),
        ("MD205", "found", "x"),
        ("MD402", "found", "x"),
    )
    assert (
        "7 notes (MD302 one checkpoint, MD303 open question, MD305 facts unknown, "
        "MD306 from files, MD307 quantity missing, "
    ) in checks_line(many.checks, "x")
    assert checks_line(many.checks, "x").endswith(", and 1 more), 0 fine; x")
    simple = checked("g", ("MD406", "found", "x")).checks
    assert checks_line(simple, "x") == "checks: 1 note (MD406 worse than baseline), 0 fine; x"


def test_one_line_counts_many_groups():
    verdict = replace(judged(row(cka=0.9)), checks=MIXED)
    fine, half = replace(verdict, checks=MIXED[1:2]), replace(verdict, checks=MIXED[4:])
    assert checks_summary([verdict, fine, half]) == (
        "checks: errors in 1 group, notes in 2 groups, 1 fine; --checks counts them"
    )
    assert checks_summary([]) == "checks: 0 fine; --checks counts them"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_steer_no_terminal(name):
    text = checks_text(checked("x", ("MD402", "found", name)).checks)
    assert len(text.split("\n")) == 4
    assert all(line.isprintable() for line in text.split("\n"))


def test_markdown_has_them_where_they_are_asked_for():
    verdict = replace(judged(row(cka=0.9)), checks=MIXED)
    plain = verdicts_markdown([verdict], most=1)
    assert "**Checks**" not in plain
    line = "Checks: 1 error (MD103 model small), 1 note (MD302 one checkpoint), 2 fine, "
    line += "1 not checked; --checks lists them."
    assert f"\n\n{line}\n\n" in plain
    text = verdicts_markdown([verdict], most=1, with_checks=True)
    assert "- MD103 model_small (error): the network is too small\n" in text
    assert "- checked and fine: MD110, MD111\n- not checked: MD202\n" in text
