"""Rows by hand, from numbers."""

from __future__ import annotations

from mdtree.rows import Measured, Row, csv_lines


def row(group="g", facts=None, *, protocol="standard-1", failure=None, **quantities) -> Row:
    """Return a row; numbers are measured, and what is a value already stays as it is."""
    values = {
        name: Measured(value=value) if isinstance(value, int | float) else value
        for name, value in quantities.items()
    }
    return Row(
        format=1,
        group=group,
        protocol=protocol,
        facts=facts or {},
        quantities=values,
        failure=failure,
    )


def accuracy_row(accuracy, *, stderr=None, group=None, protocol="standard-1", **facts) -> Row:
    """Return a row of a grid, named by its facts, of which the test accuracy alone is known."""
    return Row(
        format=1,
        group=group or ",".join(f"{name}={value}" for name, value in facts.items()) or "bare",
        protocol=protocol,
        facts=facts,
        quantities={"test_error": Measured(value=100 - accuracy, stderr=stderr)},
    )


def numbered_row(number: int) -> Row:
    """Return a row that is told apart by a number; its name is no ASCII."""
    return row(f"g\u00fc-{number}", {"n": number}, protocol="p", test_loss=number / 7)


def csv_text(rows) -> str:
    """Return rows as the text of a CSV table."""
    return "".join(csv_lines(list(rows)))
