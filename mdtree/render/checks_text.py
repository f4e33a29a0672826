"""Checks for the terminal: what was found, what is fine, and what could not be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.diagnosis import found_checks
from mdtree.messages import listed, plural, printable
from mdtree.render.formatting import plain

if TYPE_CHECKING:
    from mdtree.diagnosis import CheckResult, Verdict

__all__ = ["checks_line", "checks_overview", "checks_summary", "checks_text", "unfound_lines"]

_SEVERITIES = ("error", "warning", "note")
_NAMED = 6  # checks of one severity


def _codes(checks: Sequence[CheckResult], status: str) -> str:
    """List the codes of checks of one status."""
    return ", ".join(check.code for check in checks if check.status == status) or "none"


def unfound_lines(checks: Sequence[CheckResult]) -> Iterator[str]:
    """Yield what is fine, what was not checked, and what was ignored, if anything was."""
    yield f"checked and fine: {_codes(checks, 'passed')}"
    yield f"not checked: {_codes(checks, 'not_checked')}"
    if any(check.status == "ignored" for check in checks):
        yield f"ignored: {_codes(checks, 'ignored')}"


def checks_line(checks: Sequence[CheckResult], how: str) -> str:
    """Count the checks of a group on one line; `how` says what lists them."""
    findings = found_checks(checks)
    parts = [
        f"{plural(len(names), severity)} ({listed(names, most=_NAMED)})"
        for severity in _SEVERITIES
        if (names := [_short(check) for check in findings if check.severity == severity])
    ]
    passed = sum(check.status == "passed" for check in checks)
    skipped = sum(check.status == "not_checked" for check in checks)
    parts.append(f"{passed} fine")
    if skipped:
        parts.append(f"{skipped} not checked")
    ignored = [check.code for check in checks if check.status == "ignored"]
    if ignored:
        parts.append(f"{len(ignored)} ignored ({listed(ignored, most=_NAMED)})")
    return f"checks: {', '.join(parts)}; {how}"


def _short(check: CheckResult) -> str:
    """Write a check by its code and its short words, as the page does."""
    return f"{check.code} {plain(check.name)}"


def checks_summary(verdicts: Sequence[Verdict]) -> str:
    """Count on one line in how many of several groups checks found something."""
    severe = [{check.severity for check in found_checks(verdict.checks)} for verdict in verdicts]
    counts = {name: sum(name in each for each in severe) for name in _SEVERITIES}
    parts = [f"{name}s in {plural(count, 'group')}" for name, count in counts.items() if count]
    fine = sum(not each for each in severe)
    if fine or not parts:
        parts.append(f"{fine} fine")
    ignored = _ignored_somewhere(verdicts)
    if ignored:
        parts.append(f"{len(ignored)} ignored ({listed(ignored, most=_NAMED)})")
    return f"checks: {', '.join(parts)}; --checks counts them"


def _ignored_somewhere(verdicts: Sequence[Verdict]) -> list[str]:
    return sorted(
        {check.code for each in verdicts for check in each.checks if check.status == "ignored"}
    )


def checks_text(checks: Sequence[CheckResult]) -> str:
    """Write the checks of one group: the findings with their numbers, the others by their codes."""
    return "\n".join(map(printable, _lines(checks)))


def _lines(checks: Sequence[CheckResult]) -> Iterator[str]:
    findings = found_checks(checks)
    yield "checks:" if findings else "checks: nothing was found"
    for check in findings:
        yield f"  {check.code} {check.name} ({check.severity}): {check.message}"
    yield from unfound_lines(checks)


def checks_overview(verdicts: Sequence[Verdict]) -> str:
    """Count what was found in several groups, the most frequent finding first."""
    counts = Counter(
        (check.code, check.name) for verdict in verdicts for check in found_checks(verdict.checks)
    )
    ignored = _ignored_somewhere(verdicts)
    end = [f"ignored: {', '.join(ignored)}"] if ignored else []
    if not counts:
        return "\n".join(("checks: nothing was found", *end))
    lines = (
        f"  {code} {name}: {count} of {plural(len(verdicts), 'group')}"
        for (code, name), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return "\n".join(("checks:", *lines, *end))
