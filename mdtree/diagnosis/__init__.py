"""Diagnosis: rows become verdicts, with evidence, confidence and the next step."""

from mdtree.diagnosis.choice import Chosen, choose
from mdtree.diagnosis.council import Council
from mdtree.diagnosis.judge import CONFIDENCE, Judge, with_facts
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
    "choose",
    "with_facts",
]
