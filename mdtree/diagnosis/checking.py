"""Checking: what each check of the table says about one group.

Everything is read from the verdict, its row and the remarks on them.  A check that could not be
made says why, so that silence means that all is well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from mdtree.diagnosis.checks import CHECKS, CheckResult, Status
from mdtree.diagnosis.remarks import Case, Remark
from mdtree.diagnosis.row_checks import LOOKS_AT_ROW, SNAPSHOTS
from mdtree.diagnosis.verdict_checks import LOOKS_AT_VERDICT
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.messages import shortened
from mdtree.rows import Row

__all__ = [
    "CheckedGroup",
    "checked_groups",
    "checks_of",
    "failed_checks",
    "found_checks",
    "ignore_checks",
]

_IGNORED = "left out with --ignore: whether there is something to find is not said"
_LONGEST = 1000  # characters of a message
_LOOKS = {**LOOKS_AT_VERDICT, **LOOKS_AT_ROW}


def checks_of(verdict: Verdict, row: Row, remarks: Iterable[Remark]) -> tuple[CheckResult, ...]:
    """Return what every check says about a verdict and its row, in the order of the table."""
    texts: dict[str, str] = {}
    for remark in remarks:
        before = f"{texts[remark.code]}; " if remark.code in texts else ""
        texts[remark.code] = before + remark.text
    case = Case(verdict=verdict, row=row, remarks=texts, decided=_decided(verdict, row))
    return tuple(_result(code, *_LOOKS[code](case)) for code in CHECKS)


def failed_checks(row: Row) -> tuple[CheckResult, ...]:
    """Return what is found in a group that has no verdict: why nothing was measured."""
    reason = "nothing was measured" if row.failure is None else row.failure.reason
    is_run = row.failure is not None and row.failure.kind == SNAPSHOTS
    return tuple(
        _result(code, "found", reason) for code in ("MD300", *(("MD403",) if is_run else ()))
    )


def _result(code: str, status: Status, message: str) -> CheckResult:
    return CheckResult(code=code, status=status, message=shortened(message, _LONGEST))


def _decided(verdict: Verdict, row: Row) -> str | None:
    """Return why no tree was asked; None if one was."""
    if row.is_diverged:
        return "no tree was asked: training diverged"
    if verdict.target is not None and verdict.target.is_reached:
        return "no tree was asked: the target is reached"
    return None


@dataclass(frozen=True, kw_only=True)
class CheckedGroup:
    """A group with all that was checked of it."""

    group: str
    protocol: str
    checks: tuple[CheckResult, ...]

    @property
    def found(self) -> tuple[CheckResult, ...]:
        """The checks that found something."""
        return found_checks(self.checks)


def found_checks(checks: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Return the checks that found something."""
    return tuple(check for check in checks if check.is_found)


def ignore_checks(verdict: Verdict, ignored: Collection[str]) -> Verdict:
    """Return a verdict whose checks of some codes say that they were ignored, and no more."""
    gone = [each.message for each in verdict.checks if each.code in ignored and each.is_found]
    warnings = tuple(  # a message may say more than its warning, or hold several
        text
        for text in verdict.basis.warnings
        if not any(shortened(text, _LONGEST) in message for message in gone)
    )
    basis = replace(verdict.basis, warnings=warnings)
    return replace(verdict, checks=_left(verdict.checks, ignored), basis=basis)


def checked_groups(
    verdicts: Iterable[Verdict], rows: Iterable[Row], ignored: Collection[str] = ()
) -> tuple[CheckedGroup, ...]:
    """Return the checks of all groups, also of those that have no verdict.

    Args:
        verdicts: The verdicts on the rows that could be diagnosed.
        rows: All rows, in the order of the result.
        ignored: Codes of which it is only said that they were ignored.

    """
    known = {(verdict.group, verdict.basis.protocol): verdict.checks for verdict in verdicts}
    return tuple(
        CheckedGroup(
            group=row.group,
            protocol=row.protocol,
            checks=_left(known[row.key] if row.key in known else failed_checks(row), ignored),
        )
        for row in rows
    )


def _left(checks: Iterable[CheckResult], ignored: Collection[str]) -> tuple[CheckResult, ...]:
    return tuple(
        _result(check.code, "ignored", _IGNORED) if check.code in ignored else check
        for check in checks
    )
