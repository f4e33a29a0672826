"""Checks for the terminal: what was found, what is fine, and what could not be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.diagnosis import found_checks
from mdtree.messages import plural
from mdtree.render.terminal import printable

if TYPE_CHECKING:
    from mdtree.diagnosis import CheckResult, Verdict

__all__ = ["checks_overview", "checks_text", "codes"]


def codes(checks: Sequence[CheckResult], status: str) -> str:
    """List the codes of checks of one status."""
    return ", ".join(check.code for check in checks if check.status == status) or "none"


def checks_text(checks: Sequence[CheckResult]) -> str:
    """Write the checks of one group: the findings with their numbers, the others by their codes."""
    return "\n".join(map(printable, _lines(checks)))


def _lines(checks: Sequence[CheckResult]) -> Iterator[str]:
    findings = found_checks(checks)
    yield "checks:" if findings else "checks: nothing was found"
    for check in findings:
        yield f"  {check.code} {check.name} ({check.severity}): {check.message}"
    yield f"checked and fine: {codes(checks, 'passed')}"
    yield f"not checked: {codes(checks, 'not_checked')}"


def checks_overview(verdicts: Sequence[Verdict]) -> str:
    """Count what was found in several groups, the most frequent finding first."""
    counts = Counter(
        (check.code, check.name) for verdict in verdicts for check in found_checks(verdict.checks)
    )
    if not counts:
        return "checks: nothing was found"
    lines = (
        f"  {code} {name}: {count} of {plural(len(verdicts), 'group')}"
        for (code, name), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return "\n".join(("checks:", *lines))
