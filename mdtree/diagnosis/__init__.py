"""Diagnosis: rows become verdicts, with reasons, confidence and the next step."""

from mdtree.diagnosis.default_tree import ChosenTree, choose_tree
from mdtree.diagnosis.diagnoser import Diagnoser, with_facts
from mdtree.diagnosis.diverged import is_diverged
from mdtree.diagnosis.ensemble import TreeEnsemble
from mdtree.diagnosis.selection import can_be_diagnosed, diagnoser_for, tree_for
from mdtree.diagnosis.serialization import schema, to_plain_data, trajectories_to_plain_data
from mdtree.diagnosis.stopping import Prospect, next_metric, prospects
from mdtree.diagnosis.trajectory import Trajectory, trajectories
from mdtree.diagnosis.verdict_record import (
    UNSURE,
    Basis,
    DecisionStep,
    Gain,
    MissingMeasurement,
    OutOfDistribution,
    Target,
    Verdict,
)

__all__ = [
    "UNSURE",
    "Basis",
    "ChosenTree",
    "DecisionStep",
    "Diagnoser",
    "Gain",
    "MissingMeasurement",
    "OutOfDistribution",
    "Prospect",
    "Target",
    "Trajectory",
    "TreeEnsemble",
    "Verdict",
    "can_be_diagnosed",
    "choose_tree",
    "diagnoser_for",
    "is_diverged",
    "next_metric",
    "prospects",
    "schema",
    "to_plain_data",
    "trajectories",
    "trajectories_to_plain_data",
    "tree_for",
    "with_facts",
]
