"""Impossible numbers of a row: what lies outside the range of its quantity or fact."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mdtree.messages import MOST_FAULTS, plural
from mdtree.rows.facts import CLASSES, FACT_RANGES, classes_fault
from mdtree.rows.quantities import QUANTITIES
from mdtree.rows.quantity import AMOUNT
from mdtree.rows.row import Measured, Row

__all__ = ["impossible"]


def impossible(row: Row) -> str | None:
    """Say which numbers of a row cannot be, and what they may be; None if all can."""
    return "; ".join(islice(_faults(row), MOST_FAULTS)) or None


def _faults(row: Row) -> Iterator[str]:
    for name, fact in row.facts.items():
        if name == CLASSES and (fault := classes_fault(fact)):
            yield f"fact {name} is {fact!r:.50}, and {fault}"
            continue
        allowed = FACT_RANGES.get(name)
        if allowed is None or isinstance(fact, bool | str):
            continue
        if fact not in allowed:
            yield f"fact {name} is {fact!r:.50}, and must be {allowed}"
    for name, value in row.quantities.items():
        if isinstance(value, Measured):
            yield from _of_quantity(name, value)
    if row.diverged is not None:
        networks, of = len(row.diverged.networks), row.diverged.of
        if of < 0:
            yield f"diverged.of is {of}, and must be {AMOUNT}"
        elif networks > of:
            yield f"diverged names {plural(networks, 'network')}, and must name at most {of}"


def _of_quantity(name: str, value: Measured) -> Iterator[str]:
    quantity = QUANTITIES.get(name)
    allowed = None if quantity is None else quantity.range
    if quantity is not None and allowed is not None:
        unit = f" {quantity.unit}" if quantity.unit else ""
        if value.value not in allowed:
            yield f"{name} is {value.value:g}{unit}, and must be {allowed}"
        for number, member in enumerate(value.members or (), start=1):
            if member not in allowed:
                yield f"{name} of checkpoint {number} is {member:g}{unit}, and must be {allowed}"
    for part, count in (("stderr", value.stderr), ("iterations", value.iterations)):
        if count is not None and count not in AMOUNT:
            yield f"{part} of {name:.100} is {count:g}, and must be {AMOUNT}"
