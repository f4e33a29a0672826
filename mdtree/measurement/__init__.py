"""Measurement: from checkpoints to rows, for every group of a directory."""

from mdtree.measurement.builders import clear_caches
from mdtree.measurement.members import kept_members
from mdtree.measurement.plan import Cost, Planned, Request, find_groups, survey
from mdtree.measurement.run import (
    DryRun,
    Summary,
    check_metrics,
    check_protocol,
    dry_run,
    execute,
    measure,
)

__all__ = [
    "Cost",
    "DryRun",
    "Planned",
    "Request",
    "Summary",
    "check_metrics",
    "check_protocol",
    "clear_caches",
    "dry_run",
    "execute",
    "find_groups",
    "kept_members",
    "measure",
    "survey",
]
