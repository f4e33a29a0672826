"""Rows that are told apart by a number."""

from __future__ import annotations

from mdtree.rows import Measured, Row


def numbered_row(number: int) -> Row:
    quantities = {"test_error": Measured(value=number / 7)}
    return Row(
        format=1,
        group=f"g\u00fc-{number}",
        protocol="p",
        facts={"n": number},
        quantities=quantities,
    )
