"""Rows that are steps of one run, from numbers."""

from __future__ import annotations

from dataclasses import replace

from mdtree.rows import Detail, Measured
from tests.support.rows import row


def step_row(run, label, errors, *, stderr=None, phase=0.0, protocol="standard-1", **counts):
    """Return the row of a step: one test error, or those of several seeds."""
    members = tuple(errors) if isinstance(errors, (tuple, list)) else (errors,)
    value = Measured(value=sum(members) / len(members), stderr=stderr, members=members)
    columns = {name: (float(number),) for name, number in counts.items()}
    columns |= {"run": (run,), "label": (label,), "phase": (phase,)}
    made = row(f"{run}@{label}", protocol=protocol, test_error=value)
    return replace(made, details={"step": Detail(columns=columns)})


def epochs(*errors, run="run", stderr=1.0, first=1):
    """Return the rows of epochs with these test errors."""
    return [
        step_row(run, f"epoch-{epoch}", error, stderr=stderr, epoch=epoch)
        for epoch, error in enumerate(errors, start=first)
    ]
