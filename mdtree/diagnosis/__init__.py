"""Diagnosis: rows become verdicts, with evidence, confidence and the next step."""

from mdtree.diagnosis.closest_tree import Chosen, choose
from mdtree.diagnosis.diagnoser import CONFIDENCE, Judge, with_facts
from mdtree.diagnosis.ensemble import Council
from mdtree.diagnosis.selection import appointed, can_be_judged, judge_for
from mdtree.diagnosis.serialization import plain, schema
from mdtree.diagnosis.stopping import next_metric, settled
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
