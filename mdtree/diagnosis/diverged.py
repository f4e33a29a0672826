"""Training that diverged: NaN or infinite weights lead to a verdict without a tree."""

from __future__ import annotations

from dataclasses import replace

from mdtree.diagnosis.change_size import SMALLER
from mdtree.diagnosis.recommendation import change_step
from mdtree.diagnosis.remarks import Remark
from mdtree.diagnosis.verdict_record import Basis, DecisionStep, Verdict, certain_verdict
from mdtree.labelling import number_of
from mdtree.rows import Row

__all__ = ["diverged_verdict", "partly_diverged", "why_diverged"]

_MODE = "temperature_high"


def partly_diverged(row: Row) -> Remark | None:
    """Return a remark if some networks of a group diverged and others did not."""
    if row.diverged is None or not row.diverged.is_part:
        return None
    them = "it" if len(row.diverged.networks) == 1 else "them"
    then = (
        f"to measure the others, move {them} out of the directory"
        if row.is_diverged
        else "what was measured is about the others alone"
    )
    return Remark("MD112", f"{row.diverged.says}; {then}")


def why_diverged(row: Row) -> str:
    """Return why a group counts as diverged, and how many networks did if all of them are named."""
    assert row.failure is not None  # `is_diverged` has checked it
    if row.diverged is None or not row.diverged.is_whole:
        return row.failure.reason
    return f"{row.diverged.says}; {row.failure.reason}"


def diverged_verdict(row: Row, basis: Basis, confidence: float) -> Verdict:
    """Return the verdict `temperature_high`: the steps were so large that training diverged."""
    rate = number_of(row, "learning_rate")
    change = f": learning rate {rate:.10g} -> {rate / SMALLER:.10g}" if rate else ""
    step = change_step(_MODE, ())
    return certain_verdict(
        row.group,
        _MODE,
        DecisionStep(
            feature="weights",
            value=None,
            stderr=None,
            threshold=0.0,
            went="high",
            says=why_diverged(row),
            flips_at=None,
        ),
        next_step=replace(
            step,
            says=f"{step.says}{change}; if that does not help, look for extreme values in the data "
            "or a precision that overflows",
        ),
        basis=basis,
        confidence=confidence,
    )
