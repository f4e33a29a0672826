"""Confirmation: train the one advised change, and compare the real gain with the promised one."""

from mdtree.confirmation.plan import ConfirmationPlan, PlannedChange, plan_changes
from mdtree.confirmation.result import (
    Change,
    Confirmation,
    Confirmed,
    confirmation_schema,
    confirmation_to_plain_data,
    plan_to_plain_data,
)
from mdtree.confirmation.run import confirm, dry_run
from mdtree.confirmation.settings import ConfirmationSettings

__all__ = [
    "Change",
    "Confirmation",
    "ConfirmationPlan",
    "ConfirmationSettings",
    "Confirmed",
    "PlannedChange",
    "confirm",
    "confirmation_schema",
    "confirmation_to_plain_data",
    "dry_run",
    "plan_changes",
    "plan_to_plain_data",
]
