"""Verdicts as plain data, for JSON; `mdtree schema diagnosis` prints its schema."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from mdtree.diagnosis.verdict_record import Verdict
from mdtree.rows.schema import json_schema

__all__ = ["schema", "to_plain_data"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `mdtree diagnose --json` prints."""

    format: int
    verdicts: list[Verdict]


_VERDICT = TypeAdapter(Verdict)


def to_plain_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values for JSON; infinite numbers become null."""
    content: dict[str, Any] = _VERDICT.dump_python(verdict, mode="json")
    return content


def schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree diagnose --json`."""
    return json_schema(Diagnosis)
