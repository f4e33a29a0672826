"""The trees that come with mdtree: found by name, and light to load."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from mdtree.exceptions import TreeError
from mdtree.failure_modes import TASKS
from mdtree.trees import COMPARABLE, LANDSCAPE, TRAINING, leaves, write_tree
from mdtree.trees.bundled import TreeHead, find_tree, shipped_trees, tree_heads
from mdtree.trees.node import weight_of

NAMES = list(shipped_trees())


def test_the_tree_named_in_the_help_is_there():
    assert "published-cifar10-resnet18" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_tree_answers_its_task_from_what_it_says(name):
    saved = find_tree(name)
    assert saved.protocol == ("paper-1" if name.startswith("published") else "standard-1")
    assert set(saved.classes) == set(TASKS[saved.task].classes)
    general = name.startswith("general")
    assert set(saved.features) <= {*(COMPARABLE if general else LANDSCAPE), *TRAINING, "log_noise"}
    assert (saved.gain_model is not None) == general
    assert {leaf.answer for leaf in leaves(saved.tree)} <= set(saved.classes)
    assert 0.9 * saved.groups <= weight_of(saved.tree) <= saved.groups


def test_all_that_comes_along_is_small():
    folder = Path(str(resources.files("mdtree"))) / "data"
    sizes = {
        part: sum(path.stat().st_size for path in (folder / part).rglob("*") if path.is_file())
        for part in ("trees", "reference")
    }
    assert sizes["trees"] < 2 << 20
    assert sizes["reference"] < 15 << 20


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_found_as_well_as_a_name(name, tmp_path):
    path = tmp_path / "mine.json"
    write_tree(path, find_tree(name))
    assert find_tree(str(path)).tree == find_tree(name).tree


def test_a_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAMES[0]).write_text("no tree")
    assert find_tree(NAMES[0]).groups > 0
    with pytest.raises(TreeError, match="is not a tree"):
        find_tree(f"./{NAMES[0]}")


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "no-such-tree.json"])
def test_what_is_neither_is_refused_with_the_names_there_are(name):
    with pytest.raises(TreeError) as stop:
        find_tree(name)
    assert all(known in str(stop.value) for known in NAMES)


def test_the_nearest_name_is_suggested():
    with pytest.raises(TreeError, match="did you mean 'published-cifar10-resnet18'"):
        find_tree("published-cifar10-resnet-18")


def test_the_beginning_of_a_file_says_what_the_tree_is_for():
    assert tree_heads() == {
        name: TreeHead(task=tree.task, protocol=tree.protocol, groups=tree.groups)
        for name, tree in shipped_trees().items()
    }
