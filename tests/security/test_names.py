"""Hostile names of folders, files and facts: on the terminal, in the page and in the table."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import xml.etree.ElementTree as ET

import pytest

from mdtree.rows import GroupFailure, Measured, Row, rows_from_csv, write_rows
from tests.support.reports import parsed
from tests.support.zoos import rows_of, write_zoo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names there")

NAMES = {
    "html": "<script>alert(1)<\u2215script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "ansi": "a\x1b[2J\x1b]0;owned\x07b",
    "c1": "a\x9b2J\x85b",
    "line": "a\r\nerror: b",
    "direction": "gnp.\u202etp.\u2066x\u200f",
    "separator": "a\u2028b\u2029c",
    "equals": "=cmd|' \u2044C calc'!A0",
    "plus": "+1+cmd",
    "at": "@SUM(A1)",
    "minus": "-2+3",
    "tab": "\t=1+1",
    "option": "--out=x",
    "home": "~",
    "variable": "$HOME ${PATH} `id` $(id)",
    "braces": "{0.__class__} %s %(x)s",
}
FORMULA = tuple("=+-@\t\r\n")


def harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Groups and files of all these names, measured by the real command."""
    root = write_zoo(
        tmp_path_factory.mktemp("names") / "zoo", {name: [0] for name in NAMES.values()}
    )
    for name in NAMES.values():
        (root / name / "seed-0.safetensors").rename(root / name / f"{name}.safetensors")
        (root / name / f"{name}.pt").write_bytes(b"no weights")  # an error that names it
    broken = NAMES["html"]
    for name in NAMES.values():
        if name != broken:
            (root / name / f"{name}.pt").unlink()
    return root


def test_measuring_shows_names_and_sends_nothing(mdtree, measured):
    ran = mdtree("measure", measured, "--metrics", "error_rate")
    assert ran.code == 1  # the one that holds no weights
    assert harmless(ran.out)
    assert harmless(ran.err)
    assert not [line for line in (ran.out + ran.err).splitlines() if line.startswith("error: b")]
    assert {*NAMES.values()} == {*rows_of(measured / "rows.jsonl")}
    assert rows_of(measured / "rows.jsonl")[NAMES["html"]].failure


@pytest.mark.parametrize(
    "words",
    [
        ["measure", "--dry-run", "--metrics", "error_rate"],
        ["rows", "show"],
        ["weights"],
        ["measure", "--json", "--metrics", "error_rate"],
    ],
)
def test_every_command_prints_names_that_steer_nothing(mdtree, measured, words):
    mdtree("measure", measured, "--metrics", "error_rate")
    ran = mdtree(*words, measured / "rows.jsonl" if words[0] == "rows" else measured)
    assert "Traceback" not in ran.err
    assert ran.out
    assert harmless(ran.out + ran.err)


def test_the_page_and_the_verdicts_hold_names_as_text(mdtree, tmp_path):
    values = {"train_error": 0.0, "hessian_trace": 400.0, "connectivity": -0.1, "cka": 0.6}
    rows = [
        Row(
            format=1,
            group=name,
            protocol="standard-1",
            facts={name: name, "width": 8},
            quantities={key: Measured(value=value) for key, value in values.items()},
        )
        for name in NAMES.values()
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    ran = mdtree("diagnose", tmp_path / "rows.jsonl", "--json", "--html", tmp_path / "page.html")
    assert ran.code == 0
    assert harmless(ran.out)
    assert [*NAMES.values()] == [verdict["group"] for verdict in json.loads(ran.out)["verdicts"]]
    text = (tmp_path / "page.html").read_text()
    assert harmless(text)
    page = parsed(text)
    for element in page.find():
        assert element.tag not in ("script", "img", "iframe", "object")
        assert not [key for key in element.attributes if key.startswith("on")]
    shown = " ".join(page.text.split())
    assert "<script>alert(1)" in shown  # as text
    assert "gnp.\\u202etp.\\u2066x\\u200f" in shown
    ran = mdtree("diagnose", tmp_path / "rows.jsonl", "--markdown")
    assert ran.code == 0
    assert harmless(ran.out)
    assert "&lt;script&gt;alert(1)" in ran.out
    assert "@SUM" not in ran.out  # nobody is mentioned
    assert ran.out.count("\n| ") == 2 + len(NAMES)


def test_findings_hold_names_as_text(mdtree, tmp_path):
    """In SARIF, JUnit and the section of checks: reasons and notes name files."""
    rows = [
        Row(
            format=1,
            group=name,
            protocol="standard-1",
            facts={"width": 8},
            quantities={} if number % 2 else {"train_error": Measured(value=0.0)},
            failure=GroupFailure(kind="UnreadableError", reason=f"{name} is no weights file"),
        )
        for number, name in enumerate(NAMES.values())
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    files = [tmp_path / name for name in ("x.sarif", "x.xml", "x.html")]
    words = ("--sarif", files[0], "--junit", files[1], "--html", files[2], "--checks")
    ran = mdtree("diagnose", tmp_path / "rows.jsonl", *words)
    assert ran.code == 1
    for text in (ran.out, ran.err, *(file.read_text() for file in files)):
        assert harmless(text)
    (run,) = json.loads(files[0].read_text())["runs"]
    names = {result["locations"][0]["logicalLocations"][0]["name"] for result in run["results"]}
    assert len(names) == len(NAMES)
    for result in run["results"]:
        assert not re.search(r"(?<!\{)\{(?!\{)|\]\(", result["message"]["text"])
    suite = ET.fromstring(files[1].read_text())[0]
    assert len({case.get("classname") for case in suite.findall("testcase")}) == len(NAMES)
    assert {part.tag for part in suite.iter()} == {
        *("testsuite", "properties", "property", "testcase"),
        *("failure", "skipped", "system-out"),
    }
    page = parsed(files[2].read_text())
    for element in page.find():
        assert element.tag not in ("script", "img", "iframe", "object")
        assert not [key for key in element.attributes if key.startswith("on")]


def test_comparisons_hold_names_as_text(mdtree, tmp_path):
    for side, width in (("before", 8), ("after", 16)):
        rows = [
            Row(
                format=1,
                group=name,
                protocol="standard-1",
                facts={name: name, f"{name}{side}": name, "width": width, "word": f"{name}{side}"},
                quantities={
                    "test_error": Measured(value=width, stderr=1.0),
                    name: Measured(value=1),
                },
            )
            for name in NAMES.values()
        ]
        write_rows(tmp_path / f"{side}.jsonl", rows)
    paths = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    table = mdtree("compare", *paths)
    assert table.code == 0
    assert harmless(table.out + table.err)
    for name in NAMES.values():
        named = [f"--group-before={name}", f"--group-after={name}"]
        ran = mdtree("compare", *paths, *named)
        assert ran.code == 0
        assert harmless(ran.out + ran.err)
        assert not [line for line in ran.out.splitlines() if line.startswith("error: b")]
        ran = mdtree("compare", *paths, *named, "--markdown")
        assert harmless(ran.out)
        assert "<script" not in ran.out
        assert "@SUM" not in ran.out
        html = tmp_path / "page.html"
        assert mdtree("compare", *paths, *named, "--html", html).code == 0
        assert harmless(html.read_text())
        assert "<script" not in html.read_text()
        parsed(html.read_text())


def test_no_cell_of_an_export_is_a_formula_and_all_is_read_back(mdtree, tmp_path):
    rows = [
        Row(
            format=1,
            group=name,
            protocol="paper-1",
            facts={"zoo": name, f"{name}-fact": name},
            quantities={"hessian_trace": Measured(value=-1.5)},
        )
        for name in NAMES.values()
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "table.csv"
    assert mdtree("rows", "export", tmp_path / "rows.jsonl", "--out", out).code == 0
    for cells in csv.reader(io.StringIO(out.read_text(encoding="utf-8"), newline="")):
        for cell in cells:
            assert not cell.startswith(FORMULA) or cell == "-1.5"
    again = rows_from_csv(out, protocol="paper-1").rows
    assert [row.group for row in again] == [row.group.strip(" \r\n") for row in rows]
