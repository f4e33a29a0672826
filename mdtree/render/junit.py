"""Checks as JUnit's XML, which nearly every pipeline shows as a report of tests.

A finding is a failed test if it is an error or a warning; a note passes, and says what it found.
XML is written through `svg.py`, which spells out what must not be in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdtree.render.svg import Markup, element
from mdtree.version import __version__

if TYPE_CHECKING:
    from mdtree.diagnosis import CheckedGroup, CheckResult

__all__ = ["junit"]

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def junit(groups: Sequence[CheckedGroup], source: str) -> str:
    """Write one suite of tests for what was diagnosed: a test for each check of each group."""
    names = Counter(group.group for group in groups)
    kinds: Counter[str] = Counter()
    cases = []
    for group in groups:
        several = names[group.group] > 1
        name = f"{group.group} ({group.protocol})" if several else group.group
        for check in group.checks:
            kind, outcome = _outcome(check)
            kinds[kind] += 1
            cases.append(
                element("testcase", outcome, classname=name, name=f"{check.code} {check.name}")
            )
    counts: dict[str, str | float | None] = {
        "tests": len(cases),
        "failures": kinds["failure"],
        "errors": 0,
        "skipped": kinds["skipped"],
    }
    made_by = element("properties", element("property", name="mdtree", value=__version__))
    suite = element("testsuite", made_by, _lines(cases), name=source, **counts)
    return f"{_DECLARATION}{element('testsuites', suite, name='mdtree', **counts)}\n"


def _lines(cases: Sequence[Markup]) -> Markup:
    return Markup("".join(f"\n{case}" for case in cases) + "\n")


def _outcome(check: CheckResult) -> tuple[str, Markup | None]:
    if check.status in ("not_checked", "ignored"):
        return "skipped", element("skipped", message=check.message)
    if check.status == "passed":
        return "passed", None
    if check.severity == "note":
        return "note", element("system-out", f"note: {check.message}")
    return "failure", element("failure", check.message, type=check.severity, message=check.message)
