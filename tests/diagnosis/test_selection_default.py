"""The default tree: by protocol and by size, whatever the rows say, and why."""

from __future__ import annotations

import pytest

from mdtree.diagnosis import choose_tree
from mdtree.exceptions import ProtocolError, TreeError
from mdtree.rows import Measured, Row
from mdtree.trees import Leaf, SavedTree
from mdtree.trees.bundled import shipped_rows, shipped_trees


def row(cka=0.5, *, protocol="p"):
    values = {} if cka is None else {"cka": Measured(value=cka)}
    return Row(format=1, group="g", protocol=protocol, facts={}, quantities=values)


def tree(*, groups=40, protocol="p", task="failure"):
    return SavedTree(
        task=task,
        method="cart",
        protocol=protocol,
        classes=("none",),
        features=("cka",),
        groups=groups,
        ranges={},
        provenance={},
        tree=Leaf(answer="none", counts={}),
    )


TREES = {"few": tree(), "many": tree(groups=4000), "most": tree(groups=9000, protocol="q")}


@pytest.mark.parametrize("numbers", [(0.5,), (0.1, 0.9), (None,), (-1e308, 7)])
def test_the_tree_of_the_most_groups_is_taken_whatever_the_rows_say(numbers):
    for order in (TREES, dict(reversed(TREES.items()))):
        chosen = choose_tree([row(number) for number in numbers], order)
        assert (chosen.name, chosen.saved) == ("many", TREES["many"])
        assert chosen.why == "of the trees for protocol p, it was fitted to the most groups"


def test_of_trees_of_equal_size_the_name_decides():
    for order in ({"b": tree(), "a": tree()}, {"a": tree(), "b": tree()}):
        assert choose_tree([row()], order).name == "a"


def test_trees_for_other_questions_do_not_count():
    trees = {"all": tree(), "temperature": tree(groups=9000, task="temperature")}
    assert choose_tree([row()], trees).name == "all"


def test_the_only_tree_needs_no_comparison():
    choice = choose_tree([row(50)], {"one": tree(), "other": tree(protocol="q")})
    assert choice.name == "one"
    assert choice.why == "it is the only tree for protocol p that covers all failure modes"


@pytest.mark.parametrize(
    ("trees", "known"),
    [
        ({}, "none"),
        ({"a": tree(protocol="r"), "b": tree(protocol="q")}, "q, r"),
        ({"a": tree(task="width")}, "none"),
    ],
    ids=["no trees", "other protocols", "another task"],
)
def test_without_a_fitting_tree_the_error_says_what_there_is(trees, known):
    with pytest.raises(
        ProtocolError, match=r"mdtree comes with no tree for protocol p .*`mdtree fit`"
    ) as stop:
        choose_tree([row()], trees)
    assert f"(there are trees for {known}): fit one" in str(stop.value)


def test_rows_of_several_protocols_have_no_common_tree():
    with pytest.raises(ProtocolError, match=r"2 protocols \(p, q\)"):
        choose_tree([row(), row(protocol="q")], TREES)
    with pytest.raises(TreeError, match="no rows"):
        choose_tree([], TREES)


def test_rows_of_the_published_protocol_get_a_shipped_tree_that_answers_with_all_modes():
    choice = choose_tree([row(protocol="paper-1")], shipped_trees())
    assert choice.saved.task == "failure"
    assert choice.saved.protocol == "paper-1"


def test_rows_of_standard_1_get_the_general_tree():
    trees = shipped_trees()
    for row in shipped_rows("digits-standard-1")[:3]:
        assert choose_tree([row], trees).name == "general-standard-1"
