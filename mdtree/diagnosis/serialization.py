"""Verdicts as plain data, for JSON; the schema is in docs/diagnosis.schema.json."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from mdtree.diagnosis.verdict_record import Verdict

__all__ = ["schema", "to_plain_data"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `mdtree diagnose --json` prints."""

    format: int
    verdicts: list[Verdict]


_VERDICT = TypeAdapter(Verdict)
_DIAGNOSIS = TypeAdapter(Diagnosis)


def to_plain_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values for JSON; infinite numbers become null."""
    content: dict[str, Any] = _VERDICT.dump_python(verdict, mode="json")
    if verdict.target is None:
        del content["target"]  # as in earlier versions
    return content


def schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree diagnose --json`."""
    return _DIAGNOSIS.json_schema()
