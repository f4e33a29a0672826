"""The table of checks: all that a diagnosis may find out about a group, under stable codes.

A code keeps its meaning for ever: one that is dropped is never given to another check.  MD1xx say
what the verdict is, MD2xx whether it can be trusted, MD3xx what was measured, and MD4xx whether
that is what it seems to be.  The functions that decide are in `checking.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mdtree.failure_modes import FAILURE_MODES

__all__ = ["CHECKS", "MODE_CODES", "Check", "CheckResult", "Severity", "Status"]

Severity = Literal["error", "warning", "note"]
Status = Literal["found", "passed", "not_checked", "ignored"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Check:
    """One thing that a diagnosis looks for."""

    code: str
    name: str
    severity: Severity
    meaning: str  # of a finding
    fine: str  # what is true where nothing is found


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What one check has found in one group."""

    code: str
    name: str = field(init=False, default="")  # of the check
    severity: Severity = field(init=False, default="note")  # of a finding
    status: Status
    message: str  # what was found or what is fine, with its numbers, or why it was not checked

    def __post_init__(self) -> None:
        """Take name and severity from the table: a code has no others."""
        check = CHECKS[self.code]
        object.__setattr__(self, "name", check.name)
        object.__setattr__(self, "severity", check.severity)

    @property
    def is_found(self) -> bool:
        """Whether the check found something."""
        return self.status == "found"


# verdict -> its code; `none` has none: it is what passes
MODE_CODES: dict[str, str] = {
    "temperature_low": "MD101",
    "temperature_high": "MD102",
    "model_small": "MD103",
    "data_small": "MD104",
    "unsure": "MD110",
}

_LIST = (
    # the verdict
    *(
        Check(
            code=code,
            name=mode,
            severity="error",
            meaning=FAILURE_MODES[mode],
            fine="the verdict is sure, and it is another one",
        )
        for mode, code in MODE_CODES.items()
        if mode in FAILURE_MODES
    ),
    Check(
        code=MODE_CODES["unsure"],
        name="unsure",
        severity="warning",
        meaning="no answer is sure enough to be the verdict",
        fine="the most probable answer reaches the confidence, and no doubt is left",
    ),
    Check(
        code="MD111",
        name="diverged",
        severity="error",
        meaning="training diverged: weights are NaN or infinite",
        fine="the networks could be measured",
    ),
    Check(
        code="MD112",
        name="partly_diverged",
        severity="warning",
        meaning="some networks of the group diverged, and others did not",
        fine="no network is known to have diverged, or all have",
    ),
    Check(
        code="MD120",
        name="target_missed",
        severity="warning",
        meaning="the test accuracy is below the target that the user names",
        fine="the target is reached",
    ),
    # can the verdict be trusted?
    Check(
        code="MD201",
        name="out_of_distribution",
        severity="warning",
        meaning="the group is unlike those that the tree was fitted to",
        fine="its distance to them is below that of the farthest 5 % of them",
    ),
    Check(
        code="MD202",
        name="unstable",
        severity="warning",
        meaning="within the error bars of the measurements, another answer is possible",
        fine="at least 90 % of resamples within measurement error give the same answer",
    ),
    Check(
        code="MD203",
        name="other_protocol",
        severity="warning",
        meaning="numbers of different protocols are mixed, in the tree or between tree and row",
        fine="the tree and the row have the same protocol",
    ),
    Check(
        code="MD204",
        name="tree_disagrees",
        severity="warning",
        meaning="the tree that explains ends at another answer than the regression that decides",
        fine="both have the same answer",
    ),
    Check(
        code="MD205",
        name="close_step",
        severity="note",
        meaning="a step of the path is so close to its threshold that noise could have decided it",
        fine="all steps with error bars are at least two standard errors from their thresholds",
    ),
    # what was measured
    Check(
        code="MD300",
        name="not_measured",
        severity="error",
        meaning="nothing could be measured, so there is no verdict",
        fine="the group was measured, or its training is known to have diverged",
    ),
    Check(
        code="MD301",
        name="not_converged",
        severity="warning",
        meaning="numbers of the Hessian did not reach their tolerance, and the verdict hangs on it",
        fine="they reached it, or the answer is stable without that",
    ),
    Check(
        code="MD302",
        name="one_checkpoint",
        severity="note",
        meaning="there is one checkpoint, so nothing that compares two networks is known",
        fine="there are at least two checkpoints",
    ),
    Check(
        code="MD303",
        name="open_question",
        severity="note",
        meaning="a metric that is not known has a chance of changing the most probable answer",
        fine="what is not known has a chance below 1 % of changing it",
    ),
    Check(
        code="MD304",
        name="attempt_failed",
        severity="warning",
        meaning="the group was measured only in part, or a later attempt to measure it failed",
        fine="the latest attempt to measure it succeeded",
    ),
    Check(
        code="MD305",
        name="facts_unknown",
        severity="note",
        meaning="the tree asks for facts that are not known",
        fine="the facts that the tree asks for are known",
    ),
    Check(
        code="MD306",
        name="from_files",
        severity="note",
        meaning="no network was run: all numbers come from weights, settings and logs",
        fine="the networks were run",
    ),
    Check(
        code="MD307",
        name="quantity_missing",
        severity="note",
        meaning="a metric was measured and could not give all of its numbers",
        fine="all metrics that were measured gave their numbers",
    ),
    # is it what it seems to be?
    Check(
        code="MD401",
        name="copies",
        severity="note",
        meaning="files of the group hold the same weights; they were counted once",
        fine="all files of the group hold different weights",
    ),
    Check(
        code="MD402",
        name="choices",
        severity="note",
        meaning="mdtree had a choice of what to read or measure, and tells what it chose",
        fine="there was nothing to choose",
    ),
    Check(
        code="MD403",
        name="snapshots",
        severity="error",
        meaning="checkpoints look like snapshots of one run, not like seeds",
        fine="checkpoints look like seeds, or the recipe lists them as such",
    ),
    Check(
        code="MD404",
        name="accuracy_differs",
        severity="warning",
        meaning="the measured test accuracy is far from the one that the facts of the group tell",
        fine="the two agree within chance and another split of the data",
    ),
    Check(
        code="MD405",
        name="worse_than_chance",
        severity="warning",
        meaning="the network is worse than naming the most frequent class: look at the labels",
        fine="the network is no worse than naming the most frequent class",
    ),
    Check(
        code="MD406",
        name="worse_than_baseline",
        severity="note",
        meaning="a simple classifier that is fitted to the same items does better than the network",
        fine="the network does as well as a simple classifier of the same items, or better",
    ),
    Check(
        code="MD407",
        name="ended_early",
        severity="warning",
        meaning="the network still improved much when training ended: train longer first",
        fine="by its log, the second half of training brought little",
    ),
)

# code -> the check
CHECKS: dict[str, Check] = {check.code: check for check in _LIST}
