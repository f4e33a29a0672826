"""SARIF: what the specification asks for, and texts that stay texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from mdtree.diagnosis import CHECKS
from mdtree.render.sarif import sarif
from tests.support.checked import checked
from tests.support.reports import HOSTILE

LEVELS = {"none", "note", "warning", "error"}
KINDS = {"notApplicable", "pass", "fail", "review", "open", "informational"}
URI = r"[A-Za-z0-9_.~:/?#@!$&'()*+,;=%-]+"
WIDE = checked(
    "wide",
    ("MD103", "found", "the network is too small"),
    ("MD110", "passed", "sure"),
    ("MD201", "found", "distance 3.00"),
    ("MD202", "not_checked", "the measurements have no error bars"),
    ("MD302", "found", "one checkpoint"),
)


def run_of(*groups, source="out/rows.jsonl", **options):
    log = json.loads(sarif(groups, source, **options))
    check_log(log)
    (run,) = log["runs"]
    return run


def check_log(log):
    """Hold a log to what SARIF 2.1.0 requires of the objects that we write."""
    assert log.keys() == {"$schema", "version", "runs"}  # 3.13
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    for run in log["runs"]:
        driver = run["tool"]["driver"]  # 3.14.6, 3.18.2
        assert driver["name"] == "mdtree"
        rules = driver["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for rule in rules:  # 3.49
            assert rule["defaultConfiguration"]["level"] in LEVELS
            for key in ("shortDescription", "fullDescription", "help"):
                check_message(rule[key])
        for invocation in run["invocations"]:  # 3.20.14
            assert isinstance(invocation["executionSuccessful"], bool)
            for note in invocation["toolExecutionNotifications"]:  # 3.58
                rule = note["associatedRule"]
                assert rules[rule["index"]]["id"] == rule["id"]
                check_told(note)
        for result in run["results"]:  # 3.27
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["kind"] in KINDS
            assert (result["kind"] == "fail") or result["level"] == "none"  # 3.27.10
            assert all(isinstance(mark, str) for mark in result["partialFingerprints"].values())
            check_told(result)


def check_told(told):
    assert told["level"] in LEVELS
    check_message(told["message"])
    for location in told["locations"]:  # 3.28, 3.29, 3.33
        place = location["physicalLocation"]
        assert re.fullmatch(URI, place["artifactLocation"]["uri"])
        assert place["region"]["startLine"] >= 1
        for logical in location["logicalLocations"]:
            assert logical["name"]


def check_message(message):
    """Texts hold neither placeholders (3.11.5) nor links (3.11.6)."""
    text = message["text"]
    assert text
    assert text.isprintable()
    assert not re.search(r"[{}]", text.replace("{{", "").replace("}}", ""))
    assert "](" not in text


def test_findings_are_results_and_what_was_not_checked_is_a_notification():
    run = run_of(WIDE)
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == [
        ("MD103", "error"), ("MD201", "warning"), ("MD302", "note")
    ]  # fmt: skip
    assert run["results"][1]["message"]["text"] == "wide: distance 3.00"
    (invocation,) = run["invocations"]
    (note,) = invocation["toolExecutionNotifications"]
    assert note["associatedRule"]["id"] == "MD202"
    assert note["message"]["text"] == (
        "wide: MD202 was not checked: the measurements have no error bars"
    )


def test_rules_are_the_table_and_what_is_ignored_is_not_enabled():
    plain = run_of(WIDE)
    assert [rule["id"] for rule in plain["tool"]["driver"]["rules"]] == [*CHECKS]
    assert plain["invocations"][0]["ruleConfigurationOverrides"] == []
    less = checked("wide", ("MD103", "found", "too small"))
    run = run_of(less, ignored={"MD101", "MD302"})
    off = run["invocations"][0]["ruleConfigurationOverrides"]
    rules = [run["tool"]["driver"]["rules"][each["descriptor"]["index"]]["id"] for each in off]
    assert rules == [each["descriptor"]["id"] for each in off] == ["MD101", "MD302"]


def test_nothing_found_is_an_empty_list_of_results():
    run = run_of(checked("fine", ("MD110", "passed", "sure")))
    assert run["results"] == []
    assert run_of()["results"] == []


def test_a_finding_stands_at_the_line_of_its_row():
    other = checked("wide", ("MD103", "found", "too small"), protocol="paper-1")
    results = run_of(WIDE, other, lines={("wide", "standard-1"): 7, ("wide", "paper-1"): 9})
    lines = [
        result["locations"][0]["physicalLocation"]["region"]["startLine"]
        for result in results["results"]
    ]
    assert lines == [7, 7, 7, 9]


def test_a_finding_is_recognised_in_the_next_run():
    """Its numbers may change; group, protocol and code make it the same."""

    def marks(*groups):
        results = run_of(*groups)["results"]
        return [result["partialFingerprints"]["groupAndCheck/v1"] for result in results]

    changed = checked("wide", ("MD103", "found", "93 %"))
    renamed = checked("wider", ("MD103", "found", "93 %"))
    measured_anew = checked("wide", ("MD103", "found", "93 %"), protocol="paper-1")
    assert marks(changed) == marks(WIDE)[:1]
    assert len({*marks(WIDE), *marks(renamed), *marks(measured_anew)}) == 5


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("out/rows.jsonl", "out/rows.jsonl"),
        (".", "."),
        ("a b/100%.jsonl", "a%20b/100%25.jsonl"),
        ("x:y.jsonl", "x%3Ay.jsonl"),
        ("/tmp/ü.jsonl", "file:///tmp/%C3%BC.jsonl"),
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("bad\udcff.jsonl", "bad%FF.jsonl"),
    ],
)
def test_a_path_is_a_reference(source, uri):
    (first, *_) = run_of(WIDE, source=source)["results"]
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


@pytest.mark.parametrize("name", [*HOSTILE, "[click](http://evil.example)", "{0} {{x}} }{"])
def test_hostile_names_stay_text(name):
    group = checked(
        name, ("MD300", "found", name), ("MD202", "not_checked", f"[{name}](evil) {name}")
    )
    check_links(run_of(group)["results"][0]["message"]["text"])
    if "\ud800" not in name and "://" not in name:  # no path, or no path alone
        run = run_of(group, source=name)
        place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        assert unquote(place["uri"], errors="surrogateescape") == str(Path(name))


def check_links(text):
    """A link is a text in brackets, and an address in round ones right behind it."""
    assert not re.search(r"\[[^]]*\]\([^)]*\)", text)
