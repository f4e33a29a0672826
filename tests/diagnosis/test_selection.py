"""Who judges: the tree that was asked for, or the nearest of those that come along."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtree.diagnosis import can_be_diagnosed, diagnoser_for
from mdtree.exceptions import MdtreeError, ProtocolError, TreeError
from mdtree.failure_modes import CONFIDENCE
from mdtree.rows import GroupFailure, Measured, Missing
from mdtree.trees import write_tree
from mdtree.trees.bundled import find_tree, shipped_rows
from tests.support.rows import row

DIGITS = "digits-standard-1"


@pytest.mark.parametrize("how", ["name", "file", "object"])
def test_a_tree_is_named_or_given(tmp_path, how):
    saved = find_tree(DIGITS)
    path = Path(tmp_path / "mine.json")
    write_tree(path, saved)
    given = {"name": DIGITS, "file": str(path), "object": saved}[how]
    diagnoser = diagnoser_for(shipped_rows(DIGITS)[:1], given)
    assert diagnoser.saved.tree == saved.tree
    assert diagnoser.name == {"name": DIGITS, "file": str(path), "object": "a tree in memory"}[how]
    verdict = diagnoser(shipped_rows(DIGITS)[0])
    assert (verdict.basis.chosen, verdict.confidence) == ("it was requested", CONFIDENCE)


def test_rows_of_standard_1_go_to_the_general_tree():
    assert diagnoser_for(shipped_rows(DIGITS)).name == "general-standard-1"


def test_rows_of_the_published_protocol_go_to_the_published_tree():
    diagnoser = diagnoser_for([row(protocol="paper-1", train_error=Measured(value=1.0))])
    assert diagnoser.name == "published-cifar10-resnet18"


def test_settings_reach_the_judge():
    diagnoser = diagnoser_for(shipped_rows(DIGITS)[:1], DIGITS, confidence=1.0, seed=3)
    assert diagnoser(shipped_rows(DIGITS)[0]).mode == "unsure"


@pytest.mark.parametrize(
    ("value", "can"),
    [({"cka": Measured(value=0.5)}, True), ({"cka": Missing(missing="no")}, False)],
)
def test_a_group_can_be_judged_once_anything_is_known(value, can):
    assert can_be_diagnosed(row(**value)) is can


def test_where_nothing_is_known_the_reason_is_told():
    failure = GroupFailure(kind="MismatchError", reason="weights of another model")
    with pytest.raises(MdtreeError, match="nothing to diagnose: weights of another model"):
        diagnoser_for([row(failure=failure)])


@pytest.mark.parametrize(
    ("rows", "tree", "error"),
    [
        ([row(protocol="paper-2", cka=Measured(value=0.5))], None, ProtocolError),
        ([row(cka=Measured(value=0.5))], "digits-standard", TreeError),
    ],
)
def test_no_tree_fits_or_none_is_there(rows, tree, error):
    with pytest.raises(error):
        diagnoser_for(rows, tree)
