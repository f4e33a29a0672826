"""The case that checks look at: a verdict, its row, and the remarks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mdtree.diagnosis.checks import Status
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.rows import Row

__all__ = ["Case", "Look", "Outcome"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that is known when a group is checked."""

    verdict: Verdict
    row: Row
    remarks: Mapping[str, str]  # code -> text
    decided: str | None  # why no tree was asked: one finding decided; None: a tree was


Outcome = tuple[Status, str]  # the message is that of a `CheckResult`
Look = Callable[[Case], Outcome]
