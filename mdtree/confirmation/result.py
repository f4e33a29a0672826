"""What came of confirming, and how it is written for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from mdtree.confirmation.plan import ConfirmationPlan, PlannedChange
from mdtree.diagnosis import Compared, Comparison, comparisons_to_plain_data, output_schema
from mdtree.zoo import Price, total

__all__ = [
    "Change",
    "Confirmation",
    "Confirmed",
    "confirmation_schema",
    "confirmation_to_plain_data",
    "plan_to_plain_data",
]


@dataclass(frozen=True, kw_only=True)
class Change:
    """The change that was made to one group, and what was trained for it."""

    before: str
    after: str
    remedy: str
    fact: str
    old: float
    new: float
    folder: str  # where the changed networks are
    trained: int  # networks, now
    already: int  # networks that were there
    diverged: tuple[str, ...]  # networks without weights
    label: str | None  # what the pair teaches about the group before
    why_no_label: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """One group: its change, and the comparison with the group before."""

    change: Change
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """All groups: what was confirmed, and why the others were not."""

    confirmed: tuple[Confirmed, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)  # group -> what the budget left
    rows: str = ""  # the file with the groups before and after
    labelled: str | None = None  # the file with rows that teach a tree
    labels: int = 0  # rows in it
    tree: str | None = None  # the tree that would learn from them
    learn: str | None = None  # the command that teaches them
    why_not: str | None = None  # why there is no such command, or no evaluation

    @property
    def compared(self) -> Compared:
        """The comparisons, as `mdtree compare` makes them."""
        return Compared(
            comparisons=tuple(each.comparison for each in self.confirmed),
            failures={**self.failures, **self.left},
        )


@dataclass(frozen=True, kw_only=True)
class _Printed:
    """What `mdtree confirm --json` prints."""

    format: int
    headline: str  # all comparisons in one sentence of everyday words
    comparisons: list[Comparison]
    failures: dict[str, str]  # group -> why it could not be confirmed
    unchanged: list[str]
    changes: list[Change]
    skipped: dict[str, str]  # group -> why its verdict advises no change
    left: dict[str, str]  # group -> what the budget left
    rows: str
    labelled: str | None
    labels: int
    tree: str | None
    learn: str | None
    why_not: str | None


@dataclass(frozen=True, kw_only=True)
class _Range:
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class _Time:
    """Seconds on one worker."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class _PlannedGroup:
    """One group of a plan, and what training its change would cost."""

    before: str
    after: str
    verdict: str
    remedy: str
    fact: str
    old: float
    new: float
    promised: _Range | None  # the gain that the diagnosis expects, if it expects one
    folder: str  # where the changed networks will be
    members: int  # networks
    to_train: int  # of them
    steps: int
    items: int
    seconds: float  # on one worker
    low: float
    high: float
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class _PrintedPlan:
    """What `mdtree confirm --dry-run --json` prints."""

    format: int
    groups: list[_PlannedGroup]
    skipped: dict[str, str]  # group -> why its verdict advises no change
    failures: dict[str, str]  # group -> why it cannot be confirmed
    total: _Time


def confirmation_schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree confirm --json`, and of its `--dry-run`."""
    schema = output_schema(_Printed | _PrintedPlan)
    return {**schema, "properties": {"format": {"type": "integer"}}}  # which both have


def confirmation_to_plain_data(found: Confirmation) -> dict[str, Any]:
    """Return what was confirmed as plain values for JSON; the comparisons are those of compare."""
    compared = Compared(
        comparisons=tuple(each.comparison for each in found.confirmed), failures=found.failures
    )
    changes = [each.change for each in found.confirmed]
    return {
        **comparisons_to_plain_data(compared),
        "changes": [
            {
                **vars(change),
                "diverged": list(change.diverged),
                "notes": list(change.notes),
            }
            for change in changes
        ],
        "skipped": dict(found.skipped),
        "left": dict(found.left),
        "rows": found.rows,
        "labelled": found.labelled,
        "labels": found.labels,
        "tree": found.tree,
        "learn": found.learn,
        "why_not": found.why_not,
    }


def plan_to_plain_data(plan: ConfirmationPlan, prices: Sequence[Price]) -> dict[str, Any]:
    """Return what would be trained, and what that costs, as plain values for JSON."""
    whole = total(prices)
    return {
        "format": 1,
        "groups": [
            {
                "before": planned.before.group,
                "after": planned.group,
                "verdict": planned.verdict.mode,
                "remedy": planned.change.remedy,
                "fact": planned.change.fact,
                "old": planned.change.old,
                "new": planned.change.new,
                "promised": _promised(planned),
                "folder": str(planned.root),
                "members": len(planned.members),
                "to_train": len(own := _of(prices, planned.root, planned.group)),
                "steps": sum(price.steps for price in own),
                "items": sum(price.items for price in own),
                "seconds": total(own).seconds,
                "low": total(own).low,
                "high": total(own).high,
                "notes": list(planned.notes),
            }
            for planned in plan.changes
        ],
        "skipped": dict(plan.skipped),
        "failures": dict(plan.failures),
        "total": {"seconds": whole.seconds, "low": whole.low, "high": whole.high},
    }


def _promised(planned: PlannedChange) -> dict[str, float | None] | None:
    """Return the gain that the diagnosis expects, if it expects one."""
    gain = planned.promised
    return None if gain is None else {"mean": gain.mean, "low": gain.low, "high": gain.high}


def _of(prices: Sequence[Price], root: Path, group: str) -> list[Price]:
    return [price for price in prices if (price.member.out, price.member.group) == (root, group)]
