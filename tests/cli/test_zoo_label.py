"""`mdtree zoo label` on small grids whose labels are computed by hand."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.rows import GroupFailure, Measured, Missing, Row, write_rows
from mdtree.rows.row import row_to_json
from tests.support.rows import csv_text


def row(group, accuracy, *, stderr=None, protocol="standard-1", **facts):
    return Row(
        format=1,
        group=group,
        protocol=protocol,
        facts=facts,
        quantities={"test_error": Measured(value=100 - accuracy, stderr=stderr)},
    )


# w4-b32 has diverged: the grid has a hole.  One group is measured with a known spread, which stands
# for all: the margin is 2 sqrt(2) 0.5 = 1.41 points.
UNEVEN = [
    row("w2-b8", 70, width=2, batch_size=8),
    row("w2-b32", 75, width=2, batch_size=32),
    row("w2-b128", 72, width=2, batch_size=128),
    row("w4-b8", 79.75, width=4, batch_size=8, stderr=0.5),
    row("w4-b128", 81, width=4, batch_size=128),
]
GAINS = {  # lower temperature, raise temperature, enlarge model
    "w2-b8": (5, 0, 9.75),
    "w2-b32": (0, 0, 0),
    "w2-b128": (0, 3, 9),
    "w4-b8": (1.25, 0, 0),
    "w4-b128": (0, 0, 0),
}
LABELS = {  # mode, severity, lead
    "w2-b8": ("model_small", 9.75, 4.75),
    "w2-b32": ("none", 0, 2**0.5),
    "w2-b128": ("model_small", 9, 6),
    "w4-b8": ("none", 0, 2**0.5 - 1.25),
    "w4-b128": ("none", 0, 2**0.5),
}


def written(path, rows=UNEVEN):
    path.parent.mkdir(exist_ok=True)
    write_rows(path, rows)
    return path


@pytest.fixture
def rows(tmp_path):
    return written(tmp_path / "zoo" / "rows.jsonl")


def test_json_has_the_labels_by_hand(mdtree, rows):
    ran = mdtree("zoo", "label", rows, "--json")
    assert (ran.code, ran.err) == (0, "")
    content = json.loads(ran.out)
    groups = {group["group"]: group for group in content["groups"]}

    assert (
        content["format"],
        content["protocol"],
        content["share_in_noise"],
    ) == (1, "standard-1", 0)
    assert [r.group for r in UNEVEN] == list(groups)
    for name, group in groups.items():
        mode, severity, lead = LABELS[name]
        assert (mode, False) == (group["mode"], group["in_noise"])
        assert [group["severity"], group["lead"]] == pytest.approx([severity, lead])
        remedies = ("lower_temperature", "raise_temperature", "enlarge_model")
        assert {**group["gains"]} == pytest.approx(dict(zip(remedies, GAINS[name], strict=True)))
        assert group["margin"] == pytest.approx(2**0.5)
    assert [r.quantities["test_error"].value for r in UNEVEN] == [
        100 - group["accuracy"] for group in groups.values()
    ]


def test_a_directory_its_file_and_its_table_have_the_same_labels(mdtree, rows, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(csv_text(UNEVEN))
    said = [mdtree("zoo", "label", p, "--json").out for p in (rows, rows.parent, table)]
    assert said[0] == said[1] == said[2]


def test_the_table_says_it_in_words(mdtree, rows):
    ran = mdtree("zoo", "label", rows)
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    header = ["group", "test", "accuracy", "H", "L", "M", "mode", "severity", "margin", "lead"]
    assert header == lines[0]
    assert " ".join(lines[2]) == "w2-b8 70.00 5.00 ? 9.75 model_small 9.75 1.41 4.75"
    assert " ".join(lines[5]) == (
        "w4-b8 79.75 1.25 ? ? none 0.00 1.41 0.16 as far as the grid goes: nothing tells what it "
        "gains to enlarge model or raise temperature"
    )
    assert "5 groups: 2 model_small, 3 none" in ran.out
    assert "0 of 5 labels (0%) inside the noise" in ran.out
    assert "H lower temperature (temperature_high)" in ran.out
    picture = ran.out[ran.out.index("width \\ batch_size") :].splitlines()
    assert picture[2].split() == ["4", "79.8", "-", "81.0", "-"]  # a hole at 32
    assert picture[3].split() == ["2", "70.0", "M", "75.0", "-", "72.0", "M"]


def test_the_share_of_labels_inside_the_noise_depends_on_the_margin(mdtree, rows):
    ran = mdtree("zoo", "label", rows, "--margin", "4.75")
    assert "1 of 5 labels (20%) inside the noise" in ran.out
    (line,) = [line for line in ran.out.splitlines() if "in the noise: " in line]
    assert line.startswith("w2-b8 ")
    content = json.loads(mdtree("zoo", "label", rows, "--margin", "4.75", "--json").out)
    assert [1 / 5, {4.75}] == [
        content["share_in_noise"],
        {group["margin"] for group in content["groups"]},
    ]
    assert [group["in_noise"] for group in content["groups"][:2]] == [True, False]


def test_without_a_margin_even_the_smallest_gain_is_one(mdtree, rows):
    content = json.loads(mdtree("zoo", "label", rows, "--margin", "0", "--json").out)
    modes = {group["group"]: group["mode"] for group in content["groups"]}
    assert modes == {name: mode for name, (mode, *_) in LABELS.items()} | {
        "w4-b8": "temperature_high"
    }


def test_one_axis_and_three_axes_are_grids_too(mdtree, tmp_path):
    strip = written(tmp_path / "a" / "rows.jsonl", UNEVEN[:3])
    ran = mdtree("zoo", "label", strip, "--svg", tmp_path / "strip.svg")
    assert "3 groups: 1 temperature_high, 1 temperature_low, 1 none" in ran.out
    assert next(line.split() for line in ran.out.splitlines() if line.startswith("   ")) == [
        "70.0",
        "H",
        "75.0",
        "-",
        "72.0",
        "L",
    ]
    assert "batch size" in texts(tmp_path / "strip.svg")

    cube = [
        row(f"{w}-{b}-{d}", 60 + w + b + d / 100, width=w, batch_size=b, data_amount=d)
        for w, b, d in [(1, 1, 1000), (1, 2, 1000), (2, 1, 1000), (2, 2, 1000), (1, 1, 2000)]
    ]
    ran = mdtree("zoo", "label", written(tmp_path / "b" / "rows.jsonl", cube))
    assert ran.out.index("data amount 1,000") < ran.out.index("data amount 2,000")
    # a larger batch gains 1 point, a wider network 1, and twice the data 10
    line = next(line.split() for line in ran.out.splitlines() if line.startswith("1-1-1000"))
    assert " ".join(line[1:]) == "72.00 1.00 ? 1.00 10.00 data_small 10.00 0.50 9.00"


def texts(svg):
    return [element.text for element in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_is_written_and_named(mdtree, rows, tmp_path):
    svg = tmp_path / "phases.svg"
    ran = mdtree("zoo", "label", rows, "--svg", svg)
    assert f"picture written to {svg}" in ran.out
    assert {"M 9.8", "M 9.0", "81.0", "width", "batch size"} <= {*texts(svg)}
    again = mdtree("zoo", "label", rows, "--svg", svg, "--json")  # and replaced
    assert json.loads(again.out)["format"] == 1


def test_groups_that_failed_are_left_out(mdtree, tmp_path):
    failed = Row(
        format=1,
        group="w4-b32",
        protocol="standard-1",
        facts={"width": 4, "batch_size": 32},
        quantities={},
        failure=GroupFailure(kind="DataError", reason="gone"),
    )
    path = written(tmp_path / "zoo" / "rows.jsonl", [*UNEVEN, failed])
    assert "w4-b32" not in mdtree("zoo", "label", path).out


HOSTILE = "</title><script>&\x1b[31m\x07"


def test_names_are_harmless_on_the_terminal_and_in_the_picture(mdtree, tmp_path):
    rows = [row(HOSTILE, 70, width=2), row("b", 75, width=4)]
    path = written(tmp_path / "zoo" / "rows.jsonl", rows)
    svg = tmp_path / "a\x1b[31m\x07.svg"

    ran = mdtree("zoo", "label", path, "--svg", svg)

    assert set(ran.out + ran.err + svg.read_text()) & {"\x1b", "\x07"} == set()
    assert r"a\x1b[31m\x07.svg" in ran.out
    assert r"</title><script>&\x1b[31m\x07" in ran.out
    titles = [t.text for t in ET.parse(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert sum(t.startswith(r"</title><script>&\x1b[31m\x07: 70.00 %") for t in titles) == 2
    names = [g["group"] for g in json.loads(mdtree("zoo", "label", path, "--json").out)["groups"]]
    assert names == [HOSTILE, "b"]


def test_two_protocols_are_told_apart_by_name_alone(mdtree, tmp_path):
    paper = [row(r.group, 50 + n, protocol="paper-1", **r.facts) for n, r in enumerate(UNEVEN)]
    path = written(tmp_path / "zoo" / "rows.jsonl", [*UNEVEN, *paper])

    ran = mdtree("zoo", "label", path)
    assert (ran.code, ran.out) == (2, "")
    assert "2 protocols (paper-1, standard-1)" in ran.err
    assert "choose one with --protocol" in ran.err

    content = json.loads(mdtree("zoo", "label", path, "--protocol", "paper-1", "--json").out)
    assert (
        content["protocol"],
        [group["accuracy"] for group in content["groups"]],
    ) == ("paper-1", [50, 51, 52, 53, 54])


BARE = Row(
    format=1,
    group="bare",
    protocol="standard-1",
    facts={"width": 8, "batch_size": 8},
    quantities={"test_error": Missing(missing="no test data")},
)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([UNEVEN[0]], "labels need a grid: none of batch_size, learning_rate, width, data_amount"),
        ([row("a", 70, width=2), row("b", 75, width=2)], "labels need a grid"),
        ([row("a", 70, epochs=2), row("b", 75, epochs=4)], "differs between rows"),
        ([*UNEVEN, row("twin", 71, width=2, batch_size=8)], "'w2-b8' and 'twin' are at the same"),
        ([*UNEVEN, BARE], "group 'bare' has no test accuracy: labels need"),
        (
            [*UNEVEN, row("odd", 120, width=9, batch_size=8)],
            "test_error is -20 %, and must be",
        ),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_is_no_grid_is_told(mdtree, tmp_path, rows, words, options):
    path = written(tmp_path / "zoo" / "rows.jsonl", rows)
    ran = mdtree("zoo", "label", path, "--svg", tmp_path / "p.svg", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert not (tmp_path / "p.svg").exists()


@pytest.mark.parametrize("margin", ["-1", "nan", "inf", "-inf"])
def test_a_margin_that_is_none_is_refused(mdtree, rows, margin):
    ran = mdtree("zoo", "label", rows, f"--margin={margin}")
    assert (ran.code, ran.out) == (2, "")
    assert "the margin must be a number of points, at least 0; got" in ran.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["absent"], "absent does not exist; measure the directory first: mdtree measure"),
        (["zoo", "--protocol", "paper-9"], "has no measured rows of protocol 'paper-9'"),
        (["zoo", "--margin", "much"], "'much' is not a valid float"),
        ([], "Missing argument 'ROWS'"),
    ],
)
def test_wrong_use_is_told(mdtree, rows, monkeypatch, args, words):
    monkeypatch.chdir(rows.parent.parent)
    ran = mdtree("zoo", "label", *args)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


@pytest.mark.parametrize(
    ("svg", "words"),
    [
        (".", "cannot be written: Is a directory"),
        ("absent/p.svg", "cannot be written: No such file"),
        ("zoo/rows.jsonl/p.svg", "cannot be written: Not a directory"),
        ("/proc/p.svg", "cannot be written"),  # read-only, also for root
        ("x" * 300, "cannot be written: File name too long"),
        ("loop.svg", "cannot be written: Too many levels of symbolic links"),
    ],
)
def test_a_picture_that_cannot_be_written_is_told(mdtree, rows, monkeypatch, svg, words):
    monkeypatch.chdir(rows.parent.parent)
    Path("loop.svg").symlink_to("loop.svg")
    ran = mdtree("zoo", "label", "zoo", "--svg", svg)
    assert (ran.code, ran.out) == (5, "")
    assert words in ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told(mdtree, rows):
    ran = mdtree("zoo", "label", rows, "--svg", "/dev/full")
    assert (ran.code, ran.out) == (5, "")
    assert "/dev/full cannot be written: No space left" in ran.err


@pytest.mark.parametrize("name", ["zoo/rows.jsonl", "zoo/../zoo/rows.jsonl", "link"])
@pytest.mark.parametrize("source", ["zoo", "zoo/rows.jsonl"])
def test_measurements_are_not_overwritten_by_their_picture(mdtree, rows, monkeypatch, name, source):
    monkeypatch.chdir(rows.parent.parent)
    Path("link").symlink_to(rows)
    before = rows.read_bytes()
    ran = mdtree("zoo", "label", source, "--svg", name)
    assert (ran.code, ran.out, rows.read_bytes()) == (5, "", before)
    assert "holds the rows themselves: name another file with --svg" in ran.err


def test_a_pipe_of_rows_is_read(mdtree, rows):
    """As `mdtree zoo label <(grep ... rows.jsonl)` gives it."""
    read, write = os.pipe()
    os.write(write, rows.read_bytes())
    os.close(write)
    ran = mdtree("zoo", "label", f"/dev/fd/{read}", "--json")
    os.close(read)
    assert len(json.loads(ran.out)["groups"]) == len(UNEVEN)


def test_the_whole_published_grid_is_labelled_and_drawn(mdtree, published_table, tmp_path):
    ran = mdtree("zoo", "label", published_table, "--svg", tmp_path / "p.svg")
    assert ran.code == 0
    assert "1690 groups" in ran.out
    titles = [
        t.text for t in ET.parse(tmp_path / "p.svg").iter("{http://www.w3.org/2000/svg}title")
    ]
    assert len(titles) == 1 + 2 * 1690


def test_groups_without_measurements_are_named(mdtree, tmp_path):
    failure = GroupFailure(kind="DivergedError", reason="its loss became NaN")
    lost = Row(
        format=1,
        group="w4-b32",
        protocol="standard-1",
        facts={"width": 4, "batch_size": 32},
        quantities={},
        failure=failure,
    )
    ran = mdtree("zoo", "label", written(tmp_path / "rows.jsonl", [*UNEVEN, lost]))
    assert ran.code == 0
    assert "left out, as nothing was measured (training diverged, " in ran.err
    assert ran.err.rstrip().endswith(": w4-b32")
    nothing = mdtree("zoo", "label", written(tmp_path / "lost.jsonl", [lost]))
    assert nothing.code == 2
    assert "has no measured rows" in nothing.err


def test_groups_of_two_zoos_are_told_apart(mdtree, tmp_path):
    """The later row of a name would be counted alone, with the grid of the other zoo."""
    lines = [
        row_to_json(replace(each, facts={**each.facts, "zoo": zoo})) + b"\n"
        for zoo in "ab"
        for each in UNEVEN
    ]
    (tmp_path / "two.jsonl").write_bytes(b"".join(lines))
    ran = mdtree("zoo", "label", tmp_path / "two.jsonl", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = {each["group"]: each["mode"] for each in json.loads(ran.out)["groups"]}
    assert found == {
        f"{zoo}/{group}": mode for zoo in "ab" for group, (mode, _, _) in LABELS.items()
    }


def test_rows_that_others_replaced_are_told(mdtree, tmp_path):
    again = replace(UNEVEN[0], quantities={"test_error": Measured(value=31.0)})
    (tmp_path / "two.jsonl").write_bytes(
        b"".join(row_to_json(each) + b"\n" for each in (*UNEVEN, again))
    )
    ran = mdtree("zoo", "label", tmp_path / "two.jsonl")
    assert ran.code == 0
    assert "note: " in ran.err
    assert "1 row left out" in ran.err
