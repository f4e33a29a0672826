"""JUnit: well-formed XML whose counts add up."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mdtree.render.junit import junit
from tests.support.checked import checked
from tests.support.reports import HOSTILE

WIDE = checked(
    "wide",
    ("MD103", "found", "the network is too small"),
    ("MD110", "passed", "sure"),
    ("MD201", "found", "distance 3.00"),
    ("MD202", "not_checked", "the measurements have no error bars"),
    ("MD302", "found", "one checkpoint"),
)


def suite_of(*groups, source="rows.jsonl"):
    root = ET.fromstring(junit(groups, source))
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    for each in (root, suite):
        assert each.get("tests") == str(len(cases))
        assert each.get("failures") == str(len(suite.findall("testcase/failure")))
        assert each.get("skipped") == str(len(suite.findall("testcase/skipped")))
        assert each.get("errors") == "0"
    return suite


def test_errors_and_warnings_fail_notes_pass_and_the_rest_is_skipped():
    suite = suite_of(WIDE)
    assert suite.get("name") == "rows.jsonl"
    outcomes = {
        case.get("name"): (case[0].tag, case[0].get("type")) if len(case) else None
        for case in suite.findall("testcase")
    }
    assert outcomes == {
        "MD103 model_small": ("failure", "error"),
        "MD110 unsure": None,
        "MD201 out_of_distribution": ("failure", "warning"),
        "MD202 unstable": ("skipped", None),
        "MD302 one_checkpoint": ("system-out", None),
    }
    assert {case.get("classname") for case in suite.findall("testcase")} == {"wide"}
    failure = suite.find("testcase/failure")
    assert failure.get("message") == failure.text == "the network is too small"
    assert suite.find("testcase/skipped").get("message") == "the measurements have no error bars"
    assert suite.find("testcase/system-out").text == "note: one checkpoint"


def test_tests_of_one_name_are_told_apart_by_their_protocol():
    other = checked("wide", ("MD103", "passed", "3 %"), protocol="paper-1")
    names = [
        (case.get("classname"), case.get("name")) for case in suite_of(WIDE, other).iter("testcase")
    ]
    assert len(set(names)) == len(names) == 6
    assert names[-1] == ("wide (paper-1)", "MD103 model_small")


def test_nothing_diagnosed_is_an_empty_suite():
    assert suite_of().get("tests") == "0"


@pytest.mark.parametrize("name", [*HOSTILE, "]]>", '"/><failure/>', "a\x0bb\x1fc\x7f\x85"])
def test_hostile_names_stay_text(name):
    group = checked(name, ("MD103", "found", name), ("MD202", "not_checked", name))
    text = junit([group], name)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    suite = suite_of(group, source=name)
    first, second = suite.findall("testcase")
    assert (len(first), len(second)) == (1, 1)
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    for place in (suite.get("name"), first.get("classname"), first[0].text):
        assert place == shown
