"""Verdicts and comparisons as plain data, for JSON; `mdtree schema` prints their schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from mdtree.diagnosis.comparison import Compared, Comparison
from mdtree.diagnosis.trajectory import Trajectory
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.rows.schema import json_schema

__all__ = [
    "comparison_schema",
    "comparisons_to_plain_data",
    "schema",
    "to_plain_data",
    "trajectories_to_plain_data",
]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `mdtree diagnose --json` prints."""

    format: int
    verdicts: list[Verdict]
    trajectories: list[Trajectory] = field(default_factory=list)  # absent where there are none


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """What `mdtree compare --json` prints."""

    format: int
    comparisons: list[Comparison]
    failures: dict[str, str]  # group -> why it could not be compared
    unchanged: list[str]  # groups whose rows are the same before and after


_COMPARISON = TypeAdapter(Comparison)
_VERDICT = TypeAdapter(Verdict)
_TRAJECTORIES = TypeAdapter(list[Trajectory])


def to_plain_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values for JSON; infinite numbers become null."""
    content: dict[str, Any] = _VERDICT.dump_python(verdict, mode="json")
    if verdict.target is None:
        del content["target"]  # as in earlier versions
    if not verdict.coarse:
        del content["coarse"]
    return content


def trajectories_to_plain_data(found: Sequence[Trajectory]) -> dict[str, Any]:
    """Return trajectories as a part of an object for JSON: nothing where there are none."""
    content = _TRAJECTORIES.dump_python(list(found), mode="json")
    return {"trajectories": content} if found else {}


def comparisons_to_plain_data(compared: Compared) -> dict[str, Any]:
    """Return all that was compared as plain values for JSON."""
    return {
        "format": 1,
        "comparisons": [_comparison(each) for each in compared.comparisons],
        "failures": dict(compared.failures),
        "unchanged": list(compared.unchanged),
    }


def _comparison(compared: Comparison) -> dict[str, Any]:
    content: dict[str, Any] = _COMPARISON.dump_python(compared, mode="json")
    for name in ("verdict_before", "verdict_after"):
        verdict: Verdict | None = getattr(compared, name)
        content[name] = None if verdict is None else to_plain_data(verdict)
    return content


def comparison_schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree compare --json`."""
    return json_schema(Comparisons)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree diagnose --json`."""
    return json_schema(Diagnosis)
