"""Measurement: from checkpoints to rows, for every group of a directory."""

from mdtree.measurement.accuracy_check import AccuracyCheck, check_accuracy
from mdtree.measurement.budget import row_within
from mdtree.measurement.builders import clear_caches
from mdtree.measurement.classes import known_classes
from mdtree.measurement.found_groups import FoundGroup
from mdtree.measurement.from_files import rows_from_files
from mdtree.measurement.in_memory import ModelsInMemory
from mdtree.measurement.known_rows import rows_of_networks
from mdtree.measurement.members import kept_members
from mdtree.measurement.plan import Cost, Planned, find_groups, survey
from mdtree.measurement.request import Request, check_metrics, check_quantities, make_request
from mdtree.measurement.run import (
    DryRun,
    Summary,
    dry_run,
    execute,
    measure,
)
from mdtree.measurement.task import GroupTask

__all__ = [
    "AccuracyCheck",
    "Cost",
    "DryRun",
    "FoundGroup",
    "GroupTask",
    "ModelsInMemory",
    "Planned",
    "Request",
    "Summary",
    "check_accuracy",
    "check_metrics",
    "check_quantities",
    "clear_caches",
    "dry_run",
    "execute",
    "find_groups",
    "kept_members",
    "known_classes",
    "make_request",
    "measure",
    "row_within",
    "rows_from_files",
    "rows_of_networks",
    "survey",
]
