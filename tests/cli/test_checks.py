"""`mdtree checks`, and the options of `mdtree diagnose` that are about checks."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import jsonschema
import pytest

from mdtree.diagnosis import CHECKS, schema
from mdtree.rows import GroupFailure, Measured, write_rows
from mdtree.trees import write_tree
from tests.support.checked import GAINS, ONE, row
from tests.support.small_gain_models import gain_tree

MINE = row(cka=Measured(value=0.9, stderr=0.01), test_error=20.0)
ALONE = row("alone", cka=ONE, test_error=20.0)
FAILED = replace(row("failed"), failure=GroupFailure(kind="MismatchError", reason="another model"))


@pytest.fixture
def diagnose(mdtree, tmp_path, monkeypatch):
    """Diagnose rows by the tree of gains."""
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "tree.json", gain_tree(GAINS))

    def run(rows, *options):
        write_rows(tmp_path / "rows.jsonl", rows)
        words = ("--tree", "tree.json", "--confidence", "0.3")
        return mdtree("diagnose", "rows.jsonl", *words, *options)

    return run


def test_the_table_is_listed_and_single_checks_are_explained(mdtree):
    text = mdtree("checks").out
    assert [line[:5] for line in text.splitlines() if not line.startswith(" ")] == [*CHECKS]
    one = mdtree("checks", "MD201,MD302")
    assert one.out.startswith("MD201 out_of_distribution (warning)\n    found: the group is unlike")
    assert one.out.count("fine:") == 2
    content = json.loads(mdtree("checks", "--json", "MD110").out)
    assert content["format"] == 1
    assert [check["name"] for check in content["checks"]] == ["unsure"]
    wrong = mdtree("checks", "MD2001")
    assert (wrong.code, wrong.out) == (2, "")
    assert "'MD2001' is not a code of a check, did you mean 'MD20" in wrong.err


def test_json_has_every_check_of_every_verdict(diagnose):
    content = json.loads(diagnose([MINE, ALONE], "--json").out)
    jsonschema.validate(content, schema())
    for verdict in content["verdicts"]:
        assert [check["code"] for check in verdict["checks"]] == [*CHECKS]
    checks = {check["code"]: check for check in content["verdicts"][1]["checks"]}
    assert checks["MD302"] == {
        "code": "MD302",
        "name": "one_checkpoint",
        "severity": "note",
        "status": "found",
        "message": "one checkpoint: add one of a second seed",
    }


@pytest.mark.parametrize("change", [{"status": "fine"}, {"severity": "fatal"}, {"code": 3}])
def test_the_schema_refuses_what_is_no_check(diagnose, change):
    content = json.loads(diagnose([MINE], "--json").out)
    content["verdicts"][0]["checks"][0] |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema())


def test_the_terminal_counts_checks_and_lists_them_where_that_is_asked_for(diagnose):
    plain, ran = diagnose([MINE]), diagnose([MINE], "--checks")
    assert (ran.code, ran.err) == (0, "")
    line = "checks: 1 error (MD104 data small), 1 warning (MD204 tree disagrees), "
    assert [text.startswith(line) for text in plain.out.splitlines()].count(True) == 1
    assert "; --checks lists them\n" in plain.out
    assert line not in ran.out
    above, section = ran.out.split("\nchecks:\n")
    assert f"{above}\n" == re.sub("checks: .*\n", "", plain.out)
    assert section.startswith("  MD104 data_small (error): there is too little training")
    assert "\nchecked and fine: MD101, MD102, MD103, MD110, " in section
    assert "\nnot checked: MD120, " in section


def test_many_groups_are_counted(diagnose):
    rows = [replace(MINE, group=f"group-{n}") for n in range(5)]
    plain, ran = diagnose(rows), diagnose(rows, "--checks")
    assert "\nchecks:\n  MD104 data_small: 5 of 5 groups\n" in ran.out
    assert "\nchecks: errors in 5 groups, warnings in 5 groups; --checks" in plain.out


def test_markdown_has_checks_where_they_are_asked_for(diagnose):
    assert "- MD104 data_small (error): " in diagnose([MINE], "--markdown", "--checks").out
    counted = diagnose([MINE], "--markdown").out
    assert "MD104 data_small" not in counted
    line = diagnose([MINE]).out.split("\nchecks: ")[1].splitlines()[0]
    assert f"\nChecks: {line}.\n" in counted


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--fail-on", "MD302"], 6),
        (["--fail-on", "MD201"], 0),
        (["--fail-on", "data_small"], 6),
        (["--fail-on", "MD104"], 6),
        (["--fail-on", "temperature_low,MD302"], 6),
        (["--fail-on", "MD302", "--ignore", "MD302"], 0),
        (["--fail-on", "data_small", "--ignore", "MD104"], 0),
        (["--fail-on", "MD302,MD104", "--ignore", "MD101,MD302", "--ignore", "MD104"], 0),
        (["--fail-on", "unsure", "--confidence", "1"], 6),
        (["--fail-on", "none", "--target", "70"], 6),
        (["--fail-on", "none"], 0),
    ],
)
def test_codes_can_fail_a_pipeline_unless_they_are_ignored(diagnose, options, code):
    assert diagnose([MINE, ALONE], *options).code == code


def test_a_group_that_could_not_be_measured_is_a_finding(diagnose):
    assert diagnose([MINE, FAILED]).code == 1
    assert diagnose([MINE, FAILED], "--fail-on", "MD300").code == 6
    assert diagnose([MINE, FAILED], "--fail-on", "MD300", "--ignore", "MD300").code == 1
    assert diagnose([MINE], "--fail-on", "MD300").code == 0


def test_what_is_ignored_is_named_and_nothing_is_said_of_it(diagnose, tmp_path):
    options = ("--sarif", "x.sarif", "--junit", "x.xml", "--html", "x.html")
    ran = diagnose([MINE, ALONE], *options, "--ignore", "MD302,MD104", "--json")
    assert ran.code == 0
    content = json.loads(ran.out)
    jsonschema.validate(content, schema())
    for verdict in content["verdicts"]:
        ignored = [check["code"] for check in verdict["checks"] if check["status"] == "ignored"]
        assert ignored == ["MD104", "MD302"]
    page = (tmp_path / "x.html").read_text()
    assert page.count("<b>Ignored:</b> MD104 data small, MD302 one checkpoint.</p>") == 2
    (run,) = json.loads((tmp_path / "x.sarif").read_text())["runs"]
    assert not {"MD104", "MD302"} & {result["ruleId"] for result in run["results"]}
    off = run["invocations"][0]["ruleConfigurationOverrides"]
    assert [each["descriptor"]["id"] for each in off] == ["MD104", "MD302"]
    assert {each["configuration"]["enabled"] for each in off} == {False}
    (suite,) = ET.parse(tmp_path / "x.xml").getroot()
    (case,) = suite.findall("testcase[@classname='alone'][@name='MD302 one_checkpoint']")
    assert case.find("skipped").get("message").startswith("left out with --ignore")


@pytest.mark.parametrize("groups", [1, 5])
def test_ignored_codes_are_listed_wherever_checks_are(diagnose, groups):
    """So that silence means that all is well."""
    rows = [replace(ALONE, group=f"group-{n}") for n in range(groups)]
    ignore = ("--ignore", "MD302", "--ignore", "MD104")
    assert "\nignored: MD104, MD302\n" in diagnose(rows, *ignore, "--checks").out
    assert ", 2 ignored (MD104, MD302); --checks " in diagnose(rows, *ignore).out
    assert "2 ignored (MD104, MD302)" in diagnose(rows, *ignore, "--markdown").out
    assert "ignored" not in diagnose(rows, "--checks").out
    if groups == 1:
        text = diagnose(rows, *ignore, "--markdown", "--checks").out
        assert "\n- ignored: MD104, MD302\n" in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--fail-on", "MD302"], "failed on MD302 one_checkpoint in alone"),
        (["--fail-on", "data_small"], "failed on MD104 data_small in 2 groups (mine, again)"),
        (
            ["--fail-on", "MD302,MD104", "--json"],
            "failed on MD104 data_small in 2 groups (mine, again); MD302 one_checkpoint in alone",
        ),
        (["--fail-on", "none", "--target", "70"], "failed on the verdict none in 3 groups (mine, "),
    ],
)
def test_what_fails_a_pipeline_is_said_on_stderr(diagnose, options, line):
    rows = [MINE, ALONE, replace(MINE, group="again")]
    ran = diagnose(rows, *options)
    assert ran.code == 6
    assert line in " ".join(ran.err.split())
    assert diagnose(rows).err == ""


def test_of_many_groups_that_fail_the_first_are_named(diagnose):
    rows = [replace(ALONE, group=f"group-{n}") for n in range(5)]
    ran = diagnose(rows, "--fail-on", "MD302")
    line = "failed on MD302 one_checkpoint in 5 groups (group-0, group-1, group-2, and 2 more)"
    assert line in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ignore", "MD30"], "--ignore: 'MD30' is not a code of a check, did you mean 'MD30"),
        (["--ignore", "MD101,md201"], "'md201' is not a code of a check, did you mean 'MD201'?"),
        (["--ignore", "unsure"], "'unsure' is not a code of a check (to see all: mdtree checks)"),
        (["--fail-on", "MD2O1"], "is not a verdict or a code of a check, did you mean 'MD201'?"),
        (["--fail-on", "modelsmall"], "did you mean 'model_small'?"),
    ],
)
def test_unknown_codes_are_refused_with_the_nearest(diagnose, options, message):
    ran = diagnose([MINE], *options)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_sarif_names_the_row_in_its_file(diagnose, tmp_path):
    ran = diagnose([FAILED, MINE, ALONE], "--sarif", "x.sarif")
    assert ran.out == diagnose([FAILED, MINE, ALONE]).out
    (run,) = json.loads((tmp_path / "x.sarif").read_text())["runs"]
    places = {
        (result["ruleId"], result["locations"][0]["logicalLocations"][0]["name"]): result[
            "locations"
        ][0]["physicalLocation"]
        for result in run["results"]
    }
    expected = {("MD300", "failed"): 1, ("MD104", "mine"): 2, ("MD302", "alone"): 3}
    for finding, line in expected.items():
        assert places[finding] == {
            "artifactLocation": {"uri": "rows.jsonl"},
            "region": {"startLine": line},
        }


def test_junit_has_a_test_for_every_check_and_group(diagnose, tmp_path):
    assert diagnose([MINE, ALONE, FAILED], "--junit", "x.xml").code == 1
    (suite,) = ET.parse(tmp_path / "x.xml").getroot()
    assert suite.get("name") == "rows.jsonl"
    cases = [case.get("classname") for case in suite.findall("testcase")]
    assert {name: cases.count(name) for name in cases} == {
        "mine": len(CHECKS), "alone": len(CHECKS), "failed": 1
    }  # fmt: skip


@pytest.mark.parametrize("option", ["--sarif", "--junit"])
def test_a_file_that_cannot_be_written_is_told_with_its_option(diagnose, option):
    ran = diagnose([MINE], option, "nowhere/x")
    assert ran.code == 5
    assert f"name another file with {option}" in ran.err
    refused = diagnose([MINE], option, "rows.jsonl")
    assert refused.code == 5
    assert "rows.jsonl contains" in refused.err


def test_a_directory_that_holds_rows_is_named_by_their_file(mdtree, diagnose, tmp_path):
    diagnose([MINE])
    words = ("--tree", "tree.json", "--sarif", "x.sarif", "--junit", "x.xml")
    assert mdtree("diagnose", ".", *words).code == 0
    (suite,) = ET.parse(tmp_path / "x.xml").getroot()
    assert suite.get("name") == "rows.jsonl"


def test_a_table_has_no_lines(mdtree, diagnose, tmp_path):
    diagnose([MINE])
    assert mdtree("rows", "export", "rows.jsonl", "--out", "rows.csv").code == 0
    words = ("--tree", "tree.json", "--confidence", "0.3", "--allow-protocol-mismatch")
    assert mdtree("diagnose", "rows.csv", *words, "--sarif", "x.sarif").code == 0
    (run,) = json.loads((tmp_path / "x.sarif").read_text())["runs"]
    lines = {
        result["locations"][0]["physicalLocation"]["region"]["startLine"]
        for result in run["results"]
    }
    assert lines == {1}


@pytest.mark.parametrize(("option", "begin"), [("--sarif", "{"), ("--junit", "<?xml")])
def test_a_report_is_printed_alone_or_not_at_all(diagnose, tmp_path, option, begin):
    ran = diagnose([MINE], option, "-")
    assert (ran.code, ran.out[: len(begin)]) == (0, begin)
    assert diagnose([MINE], option, "written").code == 0
    assert ran.out == (tmp_path / "written").read_text()
    assert not (tmp_path / "-").exists()
    for other in ("--json", "--markdown", "--sarif=-", "--junit=-"):
        if not other.startswith(option):
            refused = diagnose([MINE], option, "-", *other.split())
            assert (refused.code, refused.out) == (2, "")
            assert "would both be printed to stdout: name a file for one of them" in refused.err


def test_a_page_is_not_printed(diagnose, tmp_path):
    ran = diagnose([MINE], "--html", "-")
    assert (ran.code, ran.out) == (2, "")
    assert "--html: a page is written to a file, got -" in ran.err
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize("other", ["report", "./report", "link"])
def test_two_outputs_in_one_file_are_refused(diagnose, tmp_path, other):
    (tmp_path / "link").symlink_to(tmp_path / "report")
    ran = diagnose([MINE], "--sarif", "report", "--html", other)
    assert (ran.code, ran.out) == (2, "")
    assert "--html and --sarif name the same file" in ran.err
    assert not (tmp_path / "report").exists()
    assert diagnose([MINE], "--sarif", "/dev/null", "--junit", "/dev/null").code == 0


@pytest.mark.parametrize("option", ["--sarif", "--junit", "--html"])
@pytest.mark.parametrize("name", ["zoo.yaml", "tree.json", "rows.jsonl"])
def test_outputs_replace_neither_recipes_nor_trees_nor_rows(diagnose, tmp_path, option, name):
    (tmp_path / "zoo.yaml").write_text("model: {factory: mlp}\n")
    ran = diagnose([MINE], option, name)
    assert ran.code == 5
    kind = {"zoo.yaml": "a recipe", "tree.json": "a tree", "rows.jsonl": "measurements"}[name]
    assert f"{name} contains {kind} and was not replaced: name another file" in ran.err


@pytest.mark.parametrize("option", ["--fail-on", "--ignore"])
@pytest.mark.parametrize("text", ["", " , "])
def test_an_option_that_names_nothing_is_refused(diagnose, option, text):
    ran = diagnose([MINE], option, text)
    assert (ran.code, ran.out) == (2, "")
    assert f"'{option}': it names nothing" in ran.err


def test_long_names_and_reasons_are_shortened(diagnose):
    long = row("g" * 5000, cka=Measured(value=0.9, stderr=0.01), test_error=20.0)
    failure = GroupFailure(kind="MismatchError", reason="r" * 3000)
    ran = diagnose([long, replace(row("f" * 5000), failure=failure)])
    lines = [*ran.out.splitlines(), *ran.err.splitlines()]
    assert max(map(len, lines)) < 1500
    assert "g" * 40 in ran.out
    assert any(line.startswith("failed ffff") and "…" in line for line in lines)


def test_a_cut_line_is_told_and_packed_rows_are_judged(mdtree, diagnose, tmp_path):
    expected = diagnose([MINE, ALONE], "--json").out
    file = tmp_path / "rows.jsonl"
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    words = ("--tree", "tree.json", "--confidence", "0.3", "--json")
    assert mdtree("diagnose", packed, *words).out == expected
    assert mdtree("rows", "show", packed).out == mdtree("rows", "show", file).out
    file.write_bytes(file.read_bytes()[:-9])
    cut = mdtree("diagnose", file, *words)
    assert "rows.jsonl: line 2, the last, is cut off and was left out" in cut.err
    assert len(json.loads(cut.out)["verdicts"]) == 1
    assert "line 2, the last, is cut off" in mdtree("rows", "show", file).err


@pytest.mark.parametrize("command", ["diagnose", "measure", "confirm"])
def test_a_seed_below_zero_is_wrong_use(mdtree, tmp_path, command):
    ran = mdtree(command, tmp_path, "--seed", "-1")
    assert (ran.code, ran.out) == (2, "")
    assert "-1 is not in the range x>=0" in ran.err
