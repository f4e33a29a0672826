"""Training that diverged: weights that are no numbers are a verdict, and need no tree."""

from __future__ import annotations

from dataclasses import replace

from mdtree.diagnosis.recommendation import advice
from mdtree.diagnosis.verdict_record import Basis, DecisionStep, Verdict
from mdtree.exceptions import DivergedError
from mdtree.labelling import number_of
from mdtree.rows import Measured, Row

__all__ = ["diverged_verdict", "has_numbers", "is_diverged"]

_MODE = "temperature_high"
_SMALLER = 10  # times, the learning rate: what diverges is seldom near the edge


def has_numbers(row: Row) -> bool:
    """Say whether anything of a group was measured."""
    return any(isinstance(value, Measured) for value in row.quantities.values())


def is_diverged(row: Row) -> bool:
    """Say whether the weights of a group are no numbers, and nothing else of it is known."""
    return (
        row.failure is not None
        and row.failure.kind == DivergedError.__name__
        and not has_numbers(row)
    )


def diverged_verdict(row: Row, basis: Basis, confidence: float) -> Verdict:
    """Say that training was too hot: the steps were so large that the weights left the numbers."""
    assert row.failure is not None  # `is_diverged` has said so
    rate = number_of(row, "learning_rate")
    change = f": learning rate {rate:.10g} -> {rate / _SMALLER:.10g}" if rate else ""
    return Verdict(
        group=row.group,
        mode=_MODE,
        likely=_MODE,
        probability=1.0,
        probabilities={_MODE: 1.0},
        confidence=confidence,
        why_unsure=(),
        clues=(
            DecisionStep(
                feature="weights",
                value=None,
                stderr=None,
                threshold=0.0,
                went="high",
                says=row.failure.reason,
                flips_at=None,
            ),
        ),
        agreement=None,
        stability=None,
        gains=(),
        advice=(
            f"{advice(_MODE, ())}{change}; where that does not help, look for numbers in the data "
            "or a precision that cannot hold them"
        ),
        outlier=None,
        missed=(),
        basis=replace(basis, warnings=()),
        answers={},
    )
