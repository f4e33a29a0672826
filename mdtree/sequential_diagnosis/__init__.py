"""Diagnosis that measures only what a verdict needs, of files or of networks in memory."""

from mdtree.sequential_diagnosis.run import SequentialDiagnosis, diagnose_in_memory
from mdtree.sequential_diagnosis.stages import METRICS_BY_COST, Diagnosed, Stage

__all__ = [
    "METRICS_BY_COST",
    "Diagnosed",
    "SequentialDiagnosis",
    "Stage",
    "diagnose_in_memory",
]
