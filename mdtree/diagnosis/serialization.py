"""Verdicts and comparisons as plain data, for JSON; `mdtree schema` prints their schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from mdtree.diagnosis.comparison import Compared, Comparison
from mdtree.diagnosis.comparison_headlines import comparison_headline, headline_of_comparisons
from mdtree.diagnosis.trajectory import Trajectory
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.rows.schema import json_schema

__all__ = [
    "comparison_schema",
    "comparisons_to_plain_data",
    "output_schema",
    "schema",
    "to_plain_data",
    "trajectories_to_plain_data",
]

_LATE = ConfigDict(defer_build=True)  # who prints text needs no schema


@dataclass(frozen=True, kw_only=True, config=_LATE)
class Diagnosis:
    """What `mdtree diagnose --json` prints."""

    format: int
    verdicts: list[Verdict]
    trajectories: list[Trajectory] = field(default_factory=list)  # absent where there are none


@dataclass(frozen=True, kw_only=True, config=_LATE)
class Comparisons:
    """What `mdtree compare --json` prints."""

    format: int
    headline: str  # all comparisons in one sentence of everyday words
    comparisons: list[Comparison]
    failures: dict[str, str]  # group -> why it could not be compared
    unchanged: list[str]  # groups whose rows are the same before and after


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Build what turns values of a kind into plain data, when it is first needed."""
    return TypeAdapter(kind)


def to_plain_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values for JSON; infinite numbers become null."""
    content: dict[str, Any] = _adapter(Verdict).dump_python(verdict, mode="json")
    content["advice"] = verdict.advice
    content["headline"] = verdict.headline
    if verdict.target is None:
        del content["target"]  # as in earlier versions
    if not verdict.coarse:
        del content["coarse"]
    return content


def trajectories_to_plain_data(found: Sequence[Trajectory]) -> dict[str, Any]:
    """Return trajectories as a part of an object for JSON: nothing where there are none."""
    content = _adapter(list[Trajectory]).dump_python(list(found), mode="json")
    return {"trajectories": content} if found else {}


def comparisons_to_plain_data(compared: Compared) -> dict[str, Any]:
    """Return all that was compared as plain values for JSON."""
    return {
        "format": 1,
        "headline": headline_of_comparisons(compared.comparisons),
        "comparisons": [_comparison(each) for each in compared.comparisons],
        "failures": dict(compared.failures),
        "unchanged": list(compared.unchanged),
    }


def _comparison(compared: Comparison) -> dict[str, Any]:
    content: dict[str, Any] = {
        "headline": comparison_headline(compared),
        **_adapter(Comparison).dump_python(compared, mode="json"),
    }
    for name in ("verdict_before", "verdict_after"):
        verdict: Verdict | None = getattr(compared, name)
        content[name] = None if verdict is None else to_plain_data(verdict)
    return content


def comparison_schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree compare --json`."""
    return output_schema(Comparisons)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the output of `mdtree diagnose --json`."""
    return output_schema(Diagnosis)


def output_schema(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of an output that holds verdicts.

    It describes the sentences that follow from the fields of a verdict, and so are none of them.
    """
    schema = json_schema(kind)
    sentences = {
        "advice": "the next step in one sentence",
        "headline": "the verdict in one sentence of everyday words",
    }
    for name, description in sentences.items():
        schema["$defs"]["Verdict"]["properties"][name] = {
            "type": "string",
            "description": description,
        }
    if "Comparison" in schema["$defs"]:
        schema["$defs"]["Comparison"]["properties"]["headline"] = {
            "type": "string",
            "description": "whether the change helped, in one sentence of everyday words",
        }
    return schema
