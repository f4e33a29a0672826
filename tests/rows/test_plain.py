"""What is read without pydantic is what pydantic reads, and everything else is left to it."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from copy import deepcopy
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mdtree.rows import row as row_module
from mdtree.rows.forms import adapter_of
from mdtree.rows.plain import plain
from mdtree.rows.row import Copy, Detail, Measured, Missing, Row, row_from_json, row_to_json
from mdtree.trees.bundled import shipped_rows, shipped_trees
from mdtree.trees.file_numbers import Number, Share
from mdtree.trees.reading_posterior import _File
from mdtree.trees.writing import write_tree

ROW = {
    "format": 1,
    "group": "a",
    "protocol": "standard-1",
    "facts": {"width": 8, "rate": 1e-3, "augmented": True, "optimizer": "größer"},
    "quantities": {
        "test_error": {"value": 3, "stderr": 0.5, "members": [2.5, 3.5], "converged": True},
        "cka": {"missing": "needs 2 checkpoints"},
    },
    "provenance": {
        "weights": {"a.pt": "0" * 64},
        "recipe": "1" * 64,
        "metrics": ["error_rate"],
        "seed": 0,
        "device": "cpu",
        "seconds": 1,
        "versions": {},
        "copies": {"b.pt": {"of": "a.pt", "sha256": "0" * 64}},
        "stopped": {"hessian_top": "verdict"},
        "reach": {"hessian_top": [1, 2]},
    },
    "failure": {"kind": "OSError", "reason": "gone"},
    "diverged": {"networks": ["a.pt"], "of": 2},
    "details": {"curve": {"columns": {"x": [0, None, "end"], "y": [1, 2, 3]}}},
}
# near to what is allowed: other types, the ends of ranges, other keys
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(2**53 - 2, 2**53 + 2),
    st.floats(),
    st.sampled_from(["", "1", "verdict", "\ud800", "ö", 10**400, "x" * 5]),
    st.lists(st.integers(0, 3) | st.text(max_size=2), max_size=3),
    st.dictionaries(st.sampled_from(["value", "missing", "more", "of"]), st.integers(0, 3)),
)


def places(content, path=()):
    """Yield the paths to all values."""
    yield path
    inner = enumerate(content) if isinstance(content, list) else ()
    for key, value in content.items() if isinstance(content, dict) else inner:
        yield from places(value, (*path, key))


@st.composite
def changed(draw, content):
    """Draw a content that is changed at one or two places: a value less, one more, or another."""
    content = deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([each for each in places(content) if each]))
        inside = content
        for key in path[:-1]:
            inside = inside[key]
        how = draw(st.sampled_from(["other", "without", "more"]))
        if how == "without":
            del inside[path[-1]]
        elif how == "more" and isinstance(inside, dict):
            inside[draw(st.sampled_from(["", "more", "trace", "ö"]))] = draw(ODD)
        else:
            inside[path[-1]] = draw(ODD)
        if not content:
            break
    return content


def checked(kind, content):
    """Return what pydantic makes of it, with the types of all numbers; None for a fault."""
    try:
        return repr(adapter_of(kind).validate_python(content))
    except (ValidationError, RecursionError):
        return None


def assert_same(kind, content):
    found = plain(kind, content)
    if found is not None:
        assert repr(found) == checked(kind, content)


def test_a_row_with_everything_is_plain():
    assert repr(plain(Row, ROW)) == checked(Row, ROW) is not None


@given(changed(ROW))
def test_a_changed_row_is_the_same_or_left_to_pydantic(content):
    assert_same(Row, content)


def test_rows_of_a_zoo_are_plain():
    for row in shipped_rows("digits-standard-1"):
        assert repr(plain(Row, json.loads(row_to_json(row)))) == repr(row)


def content_of(name, folder):
    write_tree(folder / "tree.json", shipped_trees()[name])
    return json.loads((folder / "tree.json").read_text())


@pytest.mark.parametrize("name", list(shipped_trees()))
def test_the_trees_that_come_along_are_plain(name, tmp_path):
    content = content_of(name, tmp_path)
    assert repr(plain(_File, content)) == checked(_File, content) is not None


SMALL = {
    "format": 1,
    "task": "failure",
    "method": "cart",
    "protocol": "standard-1",
    "classes": ["data_small", "none"],
    "features": ["train_error"],
    "groups": 3,
    "ranges": {"train_error": [0, 1.5]},
    "provenance": {"rows": "mine"},
    "tree": {
        "feature": "train_error",
        "threshold": 1,
        "low": {"answer": "none", "counts": {"none": 2}},
        "high": {
            "answer": "data_small",
            "counts": {"data_small": 1},
            "gains": {"add_data": 3.5},
            "ways": {"add_data": {"low": 0, "high": 2, "fact": "data_amount", "factor": 4}},
        },
        "missing": "high",
    },
    "population": {"quantiles": {"train_error": [0, 1, 2]}},
}


def test_a_small_tree_is_plain():
    assert repr(plain(_File, SMALL)) == checked(_File, SMALL) is not None


@given(changed(SMALL))
def test_a_changed_tree_is_the_same_or_left_to_pydantic(content):
    assert_same(_File, content)


def with_value(*, value):
    return {**ROW, "quantities": {"test_error": {"value": value}}}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {**ROW, "format": 2},
        {**ROW, "format": True},
        {**ROW, "group": ""},
        {**ROW, "group": "\ud800"},
        {**ROW, "more": 1},
        {**ROW, "facts": {"width": None}},
        {**ROW, "facts": {str(number): number for number in range(1001)}},
        {**ROW, "details": {"curve": {"columns": {"x": [1], "y": []}}}},
        with_value(value="3"),
        with_value(value=True),
        with_value(value=float("nan")),
        with_value(value=float("inf")),
        with_value(value=10**400),
        with_value(value=np.float64(3)),
    ],
)
def test_what_is_not_plain_is_left_to_pydantic(content):
    assert plain(Row, content) is None


def test_a_tree_of_any_depth_is_left_to_pydantic():
    node = SMALL["tree"]["low"]
    for _ in range(100_000):
        node = {"feature": "train_error", "threshold": 1, "low": node, "high": node}
    assert plain(_File, {**SMALL, "tree": node}) is None


def test_values_are_checked_and_converted_when_they_are_created():
    assert type(Measured(value=3).value) is float
    assert type(Measured(value=np.float64(3)).value) is float
    assert Measured(value=1, members=[1, 2]).members == (1.0, 2.0)
    assert Missing(missing="\udcff").missing == "\\udcff"
    assert Copy(of="a", sha256="0") == Copy(of="a", sha256="0")
    with pytest.raises(ValidationError, match="finite number"):
        Measured(value=float("nan"))
    with pytest.raises(ValidationError, match="Unexpected keyword argument"):
        Measured(value=1.0, more=1)
    with pytest.raises(ValidationError, match="positional"):
        Measured(1.0)
    with pytest.raises(ValidationError, match="must have equal lengths"):
        Detail(columns={"x": (1.0,), "y": ()})


NEEDLESS = """
    pydantic yaml scipy torch click.shell_completion mdtree.trees.binning mdtree.trees.posterior
    mdtree.trees.template mdtree.trees.reading_posterior mdtree.diagnosis.posterior_mixture
    mdtree.diagnosis.trajectory mdtree.diagnosis.advised_change
"""


def test_a_verdict_from_rows_starts_soon(tmp_path):
    row = shipped_rows("digits-standard-1")[0]
    (tmp_path / "rows.jsonl").write_bytes(row_to_json(row) + b"\n")
    code = (
        "import gc, json, sys; from mdtree.cli import main\n"
        "try: main(['diagnose', 'rows.jsonl'])\n"
        "except SystemExit: print(json.dumps([gc.get_freeze_count(), *sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    frozen, *loaded = json.loads(done.stdout.splitlines()[-1])
    assert not set(NEEDLESS.split()) & set(loaded)
    # the slow part of NumPy's start is to be loaded from deep within other imports
    assert loaded.index("numpy") < loaded.index("mdtree.diagnosis.diagnoser")
    assert frozen > 10_000  # objects of modules, which are not looked through for garbage


@pytest.mark.parametrize("kind", [list[float], list[Number], tuple[Share, ...]])
@pytest.mark.parametrize(
    "numbers",
    [
        [0.25, 0.5],
        [],
        [0.25, 1],
        [0.25, True],
        [0.25, None],
        [0.25, "1"],
        [0.5, math.nan, 0.25],
        [math.inf],
        [-math.inf, 0.5],
        [0.0, 1.0, -0.0],
        [1.0000001, 0.5],
        [-0.1],
        [1e301],
    ],
)
def test_many_numbers_are_read_as_each_of_them(kind, numbers):
    each = [plain(get_args(kind)[0], number) for number in numbers]
    found = plain(kind, numbers)
    assert found is None if None in each else list(found) == each
    assert set(map(type, found or ())) <= {float}


def test_a_name_that_stands_twice_is_left_to_pydantic(monkeypatch):
    monkeypatch.setattr(row_module, "_lines", itertools.count())  # as in a new process
    line = json.dumps(ROW).replace('"width": 8', '"width": null, "width": 8')
    with pytest.raises(ValidationError, match="width"):
        row_from_json(line.encode())
