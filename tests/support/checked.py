"""For tests of checks: groups that are judged, and what one check says of them."""

from __future__ import annotations

from mdtree.diagnosis import CheckedGroup, CheckResult, Diagnoser
from mdtree.rows import Measured, Missing, Provenance, Row
from tests.support.small_gain_models import constant, gain_tree, question

GAINS = {"add_data": question(0, 0.5, 0.1, 0.4), "enlarge_model": constant(0.2)}
ONE = Missing(missing="needs 2 checkpoints, found 1")


def row(group="mine", *, protocol="standard-1", facts=None, **quantities):
    """Make a row from numbers, or from values as they are."""
    return Row(
        format=1,
        group=group,
        protocol=protocol,
        facts=facts or {},
        quantities={
            name: value if isinstance(value, Measured | Missing) else Measured(value=value)
            for name, value in quantities.items()
        },
    )


def origin(*, members=2, **changes):
    known = {
        "weights": {f"seed-{n}.pt": f"{n}" * 64 for n in range(members)},
        "recipe": "",
        "metrics": ("error_rate", "similarity"),
        "seed": 0,
        "device": "cpu",
        "seconds": 1.0,
        "versions": {},
    }
    return Provenance(**{**known, **changes})


def judged(group, *, tree=None, **options):
    """Give the verdict of a tree of gains: more data gains most where `cka` is above 0.5."""
    saved = gain_tree(GAINS) if tree is None else tree
    return Diagnoser(saved, name="by hand", **{"confidence": 0.0, **options})(group)


def outcome(verdict, code):
    """Give what one check says: its status and its message."""
    (check,) = [check for check in verdict.checks if check.code == code]
    return check.status, check.message


def checked(group, *results, protocol="standard-1"):
    """Make a checked group from (code, status, message), named by `CHECKS`."""
    checks = tuple(
        CheckResult(code=code, status=status, message=message) for code, status, message in results
    )
    return CheckedGroup(group=group, protocol=protocol, checks=checks)
