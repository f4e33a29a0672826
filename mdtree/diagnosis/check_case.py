"""The case that checks look at: a verdict, its row, and the remarks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mdtree.diagnosis.checks import Status
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.rows import Row

__all__ = ["Case", "Look", "Outcome", "listed"]

_MOST = 5  # parts of a list in a message


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that is known when a group is checked."""

    verdict: Verdict
    row: Row
    remarks: Mapping[str, str]  # code -> text
    decided: str | None  # why no tree was asked: one finding decided; None: a tree was


Outcome = tuple[Status, str]  # the message is that of a `CheckResult`
Look = Callable[[Case], Outcome]


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Join the first of some texts, and say how many are left out."""
    more = f"{separator}and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return separator.join(texts[:_MOST]) + more
