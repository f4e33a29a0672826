"""`mdtree.compare` and `mdtree.confirm`, the commands in Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import mdtree as package
from mdtree.confirmation import confirmation_to_plain_data
from mdtree.diagnosis import Compared, comparisons_to_plain_data
from mdtree.exceptions import MdtreeError
from mdtree.rows import GroupFailure, write_rows
from tests.support.confirming import COLD, WARM, advising, trained_and_measured
from tests.support.rows import row

BEFORE = row("a", {"learning_rate": 0.1}, test_error=9.0)
AFTER = row("a", {"learning_rate": 0.2}, test_error=8.0)


def test_comparing_files_and_rows_gives_what_the_command_prints(mdtree, tmp_path):
    write_rows(tmp_path / "b.jsonl", [BEFORE])
    write_rows(tmp_path / "a.jsonl", [AFTER])
    printed = json.loads(
        mdtree("compare", tmp_path / "b.jsonl", tmp_path / "a.jsonl", "--json").out
    )
    for kind in (Path, str):
        found = package.compare(*(kind(tmp_path / name) for name in ("b.jsonl", "a.jsonl")))
        content = comparisons_to_plain_data(Compared(comparisons=tuple(found)))
        assert json.loads(json.dumps(content)) == printed
    assert found.to_markdown() + "\n" == (
        mdtree("compare", tmp_path / "b.jsonl", tmp_path / "a.jsonl", "--markdown").out
    )
    assert found._repr_markdown_() == found.to_markdown()
    (of_rows,) = package.compare([BEFORE], [AFTER])
    assert of_rows == replace(found[0], places=None)  # rows lie in no file


def test_failures_and_unchanged_groups_stay_with_the_list():
    lost = row("lost", failure=GroupFailure(kind="X", reason="no weights"))
    same = row("same", cka=0.5)
    found = package.compare([BEFORE, lost, same], [AFTER, row("lost", cka=1.0), same])
    assert [each.before for each in found] == ["a"]
    assert found.failures.keys() == {"lost"}
    assert found.unchanged == ("same",)
    assert found[:1].failures == found.failures
    assert "### Not compared" in found.to_markdown()


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(MdtreeError, match="no group 'b'"):
        package.compare([BEFORE], [AFTER], group_after="b")
    with pytest.raises(MdtreeError, match="protocol 'mine' is unknown"):
        package.compare([BEFORE], [AFTER], protocol="mine")


def test_confirming_returns_what_the_command_prints(mdtree, tmp_path):
    folder = trained_and_measured(tmp_path / "zoo")
    tree = advising(factor=8.0)
    found = package.confirm(folder, groups=COLD, tree=tree, workers=1)
    ((each,), (change,)) = found, found.changes
    assert (each.before, each.after) == (COLD, WARM)
    assert (change.trained, change.already) == (0, 2)  # it is in the zoo
    assert found[:1].changes == found.changes
    assert (found.failures, found.skipped, found.left) == ({}, {}, {})
    assert WARM in found.to_markdown()
    content = json.loads(json.dumps(confirmation_to_plain_data(found.found)))
    assert content["comparisons"][0]["real"]["points"] == each.real.points
    late = package.confirm(folder, groups=[COLD], tree=advising(factor=80.0), minutes=1e-9)
    assert len(late) == 0
    assert [*late.left] == [COLD]
    for wrong in ({"seeds": 0}, {"minutes": 0}, {"remedy": "pray"}, {"metrics": "error"}):
        with pytest.raises(MdtreeError):
            package.confirm(folder, groups=COLD, tree=tree, **wrong)
