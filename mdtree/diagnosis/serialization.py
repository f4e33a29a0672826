"""Verdicts as plain data, for JSON; `mdtree schema diagnosis` prints its schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from mdtree.diagnosis.trajectory import Trajectory
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.rows.schema import json_schema

__all__ = ["schema", "to_plain_data", "trajectories_to_plain_data"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `mdtree diagnose --json` prints."""

    format: int
    verdicts: list[Verdict]
    trajectories: list[Trajectory] = field(default_factory=list)  # absent where there are none


_VERDICT = TypeAdapter(Verdict)
_TRAJECTORIES = TypeAdapter(list[Trajectory])


def to_plain_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values for JSON; infinite numbers become null."""
    content: dict[str, Any] = _VERDICT.dump_python(verdict, mode="json")
    if verdict.target is None:
        del content["target"]  # as in earlier versions
    return content


def trajectories_to_plain_data(found: Sequence[Trajectory]) -> dict[str, Any]:
    """Return trajectories as a part of an object for JSON: nothing where there are none."""
    content = _TRAJECTORIES.dump_python(list(found), mode="json")
    return {"trajectories": content} if found else {}


def schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree diagnose --json`."""
    return json_schema(Diagnosis)
