"""The reliability tables of the docs are what comes out, and an honest tree is as right as sure."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

from mdtree.trees.bundled import shipped_rows
from mdtree.trees.examples import labelled
from tests.support.paths import ROOT

DOC = (ROOT / "docs" / "zoos.md").read_text(encoding="utf-8")
LINE = re.compile(r"\| (\d+) to (\d+) % \| (\d+) \| (\d+) % \| (\d+) % \|")
TABLES = dict(
    re.findall(r"#### (\S+-standard-1, (?:failure|temperature))\n\n(.*?)\n\n", DOC, re.DOTALL)
)

pytestmark = pytest.mark.slow


def reliability():
    spec = importlib.util.spec_from_file_location("reliability", ROOT / "scripts/reliability.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["reliability"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def read(table):
    """Read a table: (groups, mean confidence, share of right answers), weighted over its lines."""
    lines = [tuple(map(int, cells)) for cells in LINE.findall(table)]
    groups = sum(count for _, _, count, _, _ in lines)
    sure, right = (
        sum(count * line[place] for count, line in ((line[2], line) for line in lines)) / groups
        for place in (3, 4)
    )
    return groups, sure, right


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_the_docs_come_out_again(name):
    """Other versions of scikit-learn draw other bootstraps: a group or two may differ."""
    zoo, task = name.split(", ")
    module = reliability()
    chosen, answers, _ = labelled(shipped_rows(zoo), task)
    fresh = read(module.table(module.judged(chosen, answers, task)))
    printed = read(TABLES[name])
    assert fresh[0] == printed[0] == len(chosen)
    assert fresh[1:] == pytest.approx(printed[1:], abs=4)


@pytest.mark.parametrize("name", TABLES)
def test_a_tree_is_about_as_often_right_as_it_is_sure(name):
    _, sure, right = read(TABLES[name])
    assert abs(sure - right) < 15


def test_there_is_a_table_for_each_zoo_and_for_both_tasks():
    assert {name.split("-")[0] for name in TABLES} >= {"digits", "animals"}
    assert len(TABLES) >= 4
