"""The change that a verdict advises: which known fact, from what to what."""

from __future__ import annotations

from dataclasses import dataclass

from mdtree.diagnosis.change_size import SMALLER, changed, usual_factors
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.exceptions import MdtreeError
from mdtree.failure_modes import AXES, REMEDIES
from mdtree.labelling import number_of
from mdtree.messages import nearest
from mdtree.rows import Row

__all__ = [
    "AdvisedChange",
    "NothingAdvisedError",
    "advised_changes",
    "advised_remedy",
]


@dataclass(frozen=True, kw_only=True)
class AdvisedChange:
    """One fact, before and after a remedy."""

    remedy: str
    fact: str
    old: float
    new: float


class NothingAdvisedError(MdtreeError):
    """The verdict advises no single change."""


def advised_remedy(verdict: Verdict, wanted: str | None = None) -> str:
    """Return the remedy of a verdict, or the one that the user wants to try.

    Raises:
        NothingAdvisedError: The verdict is `none` or unsure, or leaves the direction open.
        MdtreeError: There is no such remedy.

    """
    if wanted is not None:
        if wanted not in REMEDIES:
            raise MdtreeError(
                f"remedy {wanted!r:.100} is unknown{nearest(wanted, REMEDIES)} "
                f"(known: {', '.join(REMEDIES)})"
            )
        return wanted
    choose = f"name a change to try with --remedy ({', '.join(REMEDIES)})"
    if not verdict.sure:
        why = "; ".join(verdict.why_unsure) or "no answer is probable enough"
        raise NothingAdvisedError(
            f"the verdict is unsure (most probable: {verdict.likely}): {why}. What is missing: "
            f"{verdict.advice}. Or {choose}"
        )
    remedy = next((name for name, mode in REMEDIES.items() if mode == verdict.mode), None)
    if remedy is None:
        raise NothingAdvisedError(
            f"the verdict is {verdict.mode}, which advises no single change: {verdict.advice}. "
            f"To try one anyway, {choose}"
        )
    return remedy


def advised_changes(verdict: Verdict, row: Row, remedy: str) -> tuple[AdvisedChange, ...]:
    """Return the changes that a remedy can be made by, the advised one first.

    Raises:
        MdtreeError: None of the facts that the remedy would change is known.

    """
    gain = next((gain for gain in verdict.gains if gain.remedy == remedy), None)
    found: dict[str, tuple[float, float]] = {}
    rate = number_of(row, "learning_rate")
    if row.is_diverged and remedy == "lower_temperature" and rate:
        found["learning_rate"] = (rate, rate / SMALLER)
    if gain is not None and gain.fact is not None and gain.old is not None and gain.new is not None:
        found.setdefault(gain.fact, (gain.old, gain.new))
    for fact, old, new in _usual_changes(remedy, row):
        found.setdefault(fact, (old, new))
    if not found:
        facts = [axis.fact for axis in AXES if remedy in (axis.up, axis.down)]
        known = [fact for fact in facts if number_of(row, fact) is not None]
        if known:
            values = ", ".join(f"{fact} {row.facts[fact]}" for fact in known)
            raise MdtreeError(f"{remedy} cannot be made: {values} cannot be changed further")
        raise MdtreeError(
            f"{remedy} changes {' or '.join(facts)}, and neither the recipe nor the row of the "
            f"group knows it: add it to the facts of the recipe"
        )
    return tuple(
        AdvisedChange(remedy=remedy, fact=fact, old=old, new=new)
        for fact, (old, new) in found.items()
    )


def _usual_changes(remedy: str, row: Row) -> list[tuple[str, float, float]]:
    """Return the known facts that can be changed for a remedy, with old and new values."""
    found = []
    for fact, factor in usual_factors(remedy, row):
        old, new = changed(number_of(row, fact), factor, is_integer=fact != "learning_rate")
        if old is not None and new is not None:
            found.append((fact, old, new))
    return found
