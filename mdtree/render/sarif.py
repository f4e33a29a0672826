"""Checks as SARIF 2.1.0, the format in which code hosts take what analysers find.

Results are the findings; what could not be checked is a notification, and what is ignored is a rule
that was not enabled in this run.  In messages of SARIF, braces
are placeholders and `[text](address)` is a link, wherever the text comes from: both are disarmed.

OASIS: "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 2020.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mdtree.messages import printable, shortened
from mdtree.version import __version__

if TYPE_CHECKING:
    from mdtree.diagnosis import Check, CheckedGroup, CheckResult
    from mdtree.rows import RowKey

__all__ = ["sarif"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LONGEST = 2000  # characters of a text


def sarif(
    groups: Sequence[CheckedGroup],
    source: str,
    *,
    lines: Mapping[RowKey, int] | None = None,
    ignored: Collection[str] = (),
) -> str:
    """Write what was found as a SARIF log with one run.

    Args:
        groups: The groups with their checks.
        source: The file or the directory that was diagnosed.
        lines: The line of a group's row in it, where that is known.
        ignored: Codes of checks that were not wanted.

    """
    from mdtree.diagnosis import CHECKS

    rules = [*CHECKS.values()]
    places = {check.code: number for number, check in enumerate(rules)}
    address, known = _address(source), lines or {}
    results, notifications = [], []
    for group in groups:
        locations = [_location(group, address, known.get((group.group, group.protocol), 1))]
        for check in group.checks:
            rule = {"id": check.code, "index": places[check.code]}
            if check.is_found:
                results.append(_result(check, group, rule, locations))
            elif check.status == "not_checked":
                notifications.append(_notification(check, group, rule, locations))
    run = {
        "tool": {
            "driver": {
                "name": "mdtree",
                "version": __version__,
                "rules": [_rule(check) for check in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": notifications,
                "ruleConfigurationOverrides": [
                    {
                        "descriptor": {"id": code, "index": places[code]},
                        "configuration": {"enabled": False},
                    }
                    for code in CHECKS
                    if code in ignored
                ],
            }
        ],
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.code,
        "name": check.name,
        "shortDescription": {"text": check.meaning},
        "fullDescription": {"text": f"{check.meaning}. Otherwise: {check.fine}"},
        "help": {"text": f"mdtree checks {check.code}"},
        "defaultConfiguration": {"level": check.severity},
    }


def _result(
    check: CheckResult, group: CheckedGroup, rule: dict[str, Any], locations: list[Any]
) -> dict[str, Any]:
    identity = json.dumps([group.group, group.protocol, check.code])
    return {
        "ruleId": rule["id"],
        "ruleIndex": rule["index"],
        "level": check.severity,
        "kind": "fail",
        "message": _message(f"{group.group}: {check.message}"),
        "locations": locations,
        "partialFingerprints": {"groupAndCheck/v1": sha256(identity.encode()).hexdigest()},
    }


def _notification(
    check: CheckResult, group: CheckedGroup, rule: dict[str, Any], locations: list[Any]
) -> dict[str, Any]:
    return {
        "associatedRule": rule,
        "level": "note",
        "message": _message(f"{group.group}: {check.code} was not checked: {check.message}"),
        "locations": locations,
    }


def _message(text: str) -> dict[str, str]:
    """Write a text that holds neither placeholders nor links."""
    text = printable(shortened(text, _LONGEST))
    return {"text": text.replace("{", "{{").replace("}", "}}").replace("](", "] (")}


def _location(group: CheckedGroup, address: str, line: int) -> dict[str, Any]:
    name = printable(shortened(group.group, _LONGEST))
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": address},
            "region": {"startLine": line},
        },
        "logicalLocations": [{"name": name, "fullyQualifiedName": name, "kind": "object"}],
    }


def _address(source: str) -> str:
    """Write a path or an address as a URI reference."""
    if "://" in source:
        return quote(os.fsencode(source), safe="/:?&=%#")
    path = Path(source)
    if path.is_absolute():
        return path.as_uri()
    parts = [quote(os.fsencode(part), safe="") for part in path.parts]
    return "/".join(parts) or "."
