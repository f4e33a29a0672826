"""Tree files changed at random: each is read and can be used, or is refused in words."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdtree.exceptions import MdtreeError
from mdtree.render.tree import tree_svg, tree_text
from mdtree.trees import (
    LANDSCAPE,
    PosteriorTree,
    SavedTree,
    read_tree,
    write_tree,
)
from mdtree.trees.posterior import averaged, posterior
from tests.support.tree_files import LEFT_OUT, places, put

LEAF = {"answer": "temperature_low", "counts": {}}
SPLIT = {"feature": "cka", "threshold": 0.5, "missing": "high", "low": LEAF, "high": LEAF}
ODD = st.sampled_from(
    [None, True, -1, 0, 1, 2, 0.5, 1e308, -1e308, 1e-320, 10**400, "", "cka", "a", "log", [], {}]
) | st.sampled_from([[[]], [0.2, 0.4], [[0], [1]], SPLIT, LEAF, LEFT_OUT])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A fitted posterior as its file holds it: (path, text, all places)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, len(LANDSCAPE)))
    tree = PosteriorTree(most_cuts=3).fit(X, ["temperature_low", "temperature_high"] * 4)
    saved = SavedTree(
        task="temperature",
        method="posterior",
        protocol="paper-1",
        classes=tuple(map(str, tree.classes_)),
        features=LANDSCAPE,
        groups=8,
        ranges=dict.fromkeys(LANDSCAPE, (-3.0, 3.0)),
        provenance={"rows": "drawn"},
        tree=tree.tree_,
        components=tuple(tree.components_),
    )
    path = tmp_path_factory.mktemp("fuzz") / "tree.json"
    write_tree(path, saved)
    text = path.read_text()
    return path, text, list(places(json.loads(text)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_file_is_read_and_can_be_used_or_is_refused(whole, data):
    path, text, known = whole
    content = json.loads(text)
    for _ in range(data.draw(st.integers(1, 3))):
        with contextlib.suppress(KeyError, IndexError, TypeError):  # taken away by a change before
            put(content, data.draw(st.sampled_from(known)), data.draw(ODD))
    path.write_text(json.dumps(content))
    try:
        read = read_tree(path)
    except MdtreeError:
        return
    write_tree(path, read)
    assert read_tree(path).tree == read.tree
    assert tree_text(read.tree)
    assert tree_svg(read.tree)
    if read.components:
        parts = [(weight, posterior(binned)) for weight, binned in read.components]
        columns = {name: number for number, name in enumerate(read.features)}
        chances = averaged(parts, np.zeros((1, len(columns))), columns)
        assert chances.sum() == pytest.approx(1)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 6000), st.binary(max_size=6), st.integers(0, 40))
def test_damaged_bytes_are_read_or_refused(whole, start, inserted, cut):
    path, text, _ = whole
    content = text.encode()
    path.write_bytes(content[:start] + inserted + content[start + cut :])
    with contextlib.suppress(MdtreeError):  # and nothing else
        assert read_tree(path).classes
