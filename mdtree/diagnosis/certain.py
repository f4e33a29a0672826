"""Verdicts that one finding decides, whatever a tree says."""

from __future__ import annotations

from mdtree.diagnosis.verdict_record import Basis, DecisionStep, NextStep, Target, Verdict

__all__ = ["certain_verdict"]


def certain_verdict(
    group: str,
    mode: str,
    clue: DecisionStep,
    *,
    next_step: NextStep,
    basis: Basis,
    confidence: float,
    target: Target | None = None,
) -> Verdict:
    """Return a verdict that rests on a single clue, and is certain."""
    return Verdict(
        group=group,
        mode=mode,
        likely=mode,
        probability=1.0,
        probabilities={mode: 1.0},
        confidence=confidence,
        why_unsure=(),
        clues=(clue,),
        agreement=None,
        stability=None,
        gains=(),
        next_step=next_step,
        outlier=None,
        missed=(),
        basis=basis,
        answers={},
        target=target,
        test_accuracy=None if target is None else target.measured,
    )
