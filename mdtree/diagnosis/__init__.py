"""Diagnosis: rows become verdicts, with evidence, confidence and the next step."""

from mdtree.diagnosis.appointment import appointed, can_be_judged, judge_for
from mdtree.diagnosis.choice import Chosen, choose
from mdtree.diagnosis.council import Council
from mdtree.diagnosis.judge import CONFIDENCE, Judge, with_facts
from mdtree.diagnosis.plain import plain, schema
from mdtree.diagnosis.stages import next_metric, settled
from mdtree.diagnosis.verdict import (
    UNSURE,
    Basis,
    Clue,
    Gain,
    Missed,
    Outlier,
    Verdict,
)

__all__ = [
    "CONFIDENCE",
    "UNSURE",
    "Basis",
    "Chosen",
    "Clue",
    "Council",
    "Gain",
    "Judge",
    "Missed",
    "Outlier",
    "Verdict",
    "appointed",
    "can_be_judged",
    "choose",
    "judge_for",
    "next_metric",
    "plain",
    "schema",
    "settled",
    "with_facts",
]
