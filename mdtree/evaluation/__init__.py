"""Evaluation: the published transfer cases with all methods side by side."""

from mdtree.evaluation.benchmark import (
    CASES,
    SEEDS,
    CaseResult,
    MethodResult,
    evaluate,
    possible_cases,
)
from mdtree.evaluation.methods import METHODS
from mdtree.evaluation.scores import calibration_error

__all__ = [
    "CASES",
    "METHODS",
    "SEEDS",
    "CaseResult",
    "MethodResult",
    "calibration_error",
    "evaluate",
    "possible_cases",
]
