"""Checks of a whole diagnosis: all of the table, also of groups without a verdict."""

from __future__ import annotations

from dataclasses import replace

from mdtree.diagnosis import CHECKS, checked_groups, ignore_checks
from mdtree.rows import GroupFailure
from tests.support.checked import judged, origin, row

FINE = row("fine", cka=0.9, test_error=20.0)
FAILED = replace(row("failed"), failure=GroupFailure(kind="MismatchError", reason="another model"))
RUN = replace(row("run"), failure=GroupFailure(kind="SnapshotsError", reason="epochs"))


def test_a_verdict_has_every_check_once_in_order():
    checks = judged(FINE).checks
    assert [check.code for check in checks] == [*CHECKS]
    for check in checks:
        assert (check.name, check.severity) == (
            CHECKS[check.code].name, CHECKS[check.code].severity
        )  # fmt: skip
        assert check.message


def test_groups_without_a_verdict_say_why():
    groups = checked_groups([judged(FINE)], [FAILED, FINE, RUN, row("empty")])
    assert [group.group for group in groups] == ["failed", "fine", "run", "empty"]
    found = {group.group: [(c.code, c.message) for c in group.found] for group in groups}
    assert found["failed"] == [("MD300", "another model")]
    assert found["run"] == [("MD300", "epochs"), ("MD403", "epochs")]
    assert found["empty"] == [("MD300", "nothing was measured")]
    assert "MD104" in dict(found["fine"])


def test_what_is_ignored_says_so_and_nothing_else():
    ignored = {"MD104", "MD300"}
    plain, verdict = judged(FINE), ignore_checks(judged(FINE), ignored)
    assert [check.code for check in verdict.checks] == [*CHECKS]
    for before, after in zip(plain.checks, verdict.checks, strict=True):
        if after.code not in ignored:
            assert after == before
            continue
        assert (after.status, after.is_found) == ("ignored", False)
        assert after.message.startswith("left out with --ignore")
    groups = checked_groups([verdict], [FAILED, FINE, RUN], ignored)
    left = {group.group: [check.code for check in group.found] for group in groups}
    assert (left["failed"], left["run"]) == ([], ["MD403"])
    everything = ignore_checks(judged(FINE), CHECKS)
    assert checked_groups([everything], [FINE], CHECKS)[0].found == ()


def test_two_protocols_of_one_group_keep_their_own_checks():
    other = replace(FINE, protocol="paper-1", quantities={}, failure=FAILED.failure)
    groups = checked_groups([judged(FINE)], [FINE, other])
    assert [(group.protocol, len(group.checks)) for group in groups] == [
        ("standard-1", len(CHECKS)), ("paper-1", 1)
    ]  # fmt: skip


def test_checks_say_nothing_of_the_order_of_measuring():
    """The same row gives the same checks, and provenance alone changes those about files."""
    before, after = judged(FINE), judged(replace(FINE, provenance=origin()))
    changed = {new.code for old, new in zip(before.checks, after.checks, strict=True) if old != new}
    assert changed == {"MD302", "MD401", "MD402", "MD403"}
