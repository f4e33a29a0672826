"""Reading tree files: broken, hostile and huge ones are refused in words."""

from __future__ import annotations

import json
from functools import partial

import pytest

from mdtree.exceptions import TreeError
from mdtree.trees import read_tree, write_tree
from tests.support.tree_files import LEFT_OUT, changed_text

LEAF = {"answer": "a", "counts": {"a": 3, "b": 1.0}}
SPLIT = {"feature": "cka", "threshold": 0.5, "missing": "high", "low": LEAF, "high": LEAF}
ASK = {
    "feature": "cka",
    "start": 0.5,
    "bounds": [0.1, 0.9],
    "spread": 0.2,
    "scale": "linear",
    "low": {"answer": "a"},
    "high": {"answer": "b"},
}
COMPONENT = {
    "weight": 0.5,
    "hit": 20,
    "miss": 1.5,
    "shape": ASK,
    "cuts": [[0.2, 0.4]],
    "cells": [[0], [2]],
    "counts": [[3, 0], [1, 2]],
}
WHOLE = {
    "format": 1,
    "task": "temperature",
    "method": "posterior",
    "protocol": "paper-1",
    "classes": ["a", "b"],
    "features": ["cka", "train_error"],
    "groups": 6,
    "ranges": {"cka": [0, 1.5]},
    "provenance": {"rows": "rows.jsonl"},
    "tree": SPLIT,
    "posterior": [COMPONENT],
}
changed = partial(changed_text, WHOLE)


@pytest.fixture
def refusal(tmp_path):
    """Read a file with this text; give the message."""

    def read(text):
        path = tmp_path / "tree.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(TreeError) as stop:
            read_tree(path)
        message = str(stop.value)
        assert message.startswith(str(path))
        assert "\n" not in message
        return message.removeprefix(f"{path} ")

    return read


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_the_whole_file_is_read(tmp_path, mark):
    (tmp_path / "t.json").write_bytes(mark + json.dumps(WHOLE).encode())
    read = read_tree(tmp_path / "t.json")
    assert read.tree.low.counts == {"a": 3, "b": 1}
    ((weight, binned),) = read.components
    assert (weight, binned.hit, binned.counts.tolist()) == (0.5, 20, [[3, 0], [1, 2]])
    write_tree(tmp_path / "again.json", read)
    assert read_tree(tmp_path / "again.json").tree == read.tree


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a tree (JSON in UTF-8): Expecting value"),
        ('{"format": 1,', "line 1 column 14"),
        ("null", "it has no `format`"),
        ("[1]", "it has no `format`"),
        ('{"task": "x"}', "it has no `format`"),
        ('{"format": "1"}', "it has no `format`"),
        ('{"format": 0}', "it has no `format`"),
        ('{"format": 1}', "is not a tree: task: Field required"),
        (b"\xff\xfe{\x00}\x00", "can't decode byte 0xff"),
        (json.dumps(WHOLE).encode("utf-16"), "can't decode byte"),
        (changed("groups", to=float("nan")), "NaN is not valid JSON"),
        (changed("tree", "threshold", to=float("-inf")), "-Infinity is not valid JSON"),
        (
            changed("tree", "threshold", to=1).replace('"threshold": 1', '"threshold": 1e999'),
            "finite",
        ),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"format": ' + "9" * 5000 + "}", "is not a tree"),
    ],
)
def test_what_is_no_tree_is_refused(refusal, text, reason):
    assert reason in refusal(text)


def test_a_newer_format_asks_for_a_newer_mdtree_whatever_else_is_in_the_file(refusal):
    assert refusal('{"format": 2, "shape": []}') == (
        "has format 2, but this mdtree reads formats up to 1: install a newer mdtree"
    )


@pytest.mark.parametrize(
    ("path", "to", "reason"),
    [
        (("tree",), LEFT_OUT, "tree: Field required"),
        (("tree",), [], "tree: Input should be"),
        (("tree", "threshold"), "high", "tree.threshold: Input should be a valid number"),
        (("tree", "threshold"), None, "tree.threshold: Input should be a valid number"),
        (("tree", "low"), LEFT_OUT, "tree.low: Field required"),
        (("tree", "missing"), "left", "tree.missing: Input should be 'low' or 'high'"),
        (("tree", "treshold"), 1, "tree.treshold: Unexpected keyword argument"),
        (("tree", "high", "answer"), 5, "tree.high.answer: Input should be a valid string"),
        (("tree", "high", "answer"), "c", "a leaf holds 'c', which is not among its classes"),
        (("tree", "low", "counts"), {"c": 1}, "a leaf holds 'c'"),
        (("tree", "low", "counts", "a"), -1, "greater than or equal to 0"),
        (("tree", "feature"), "train_loss", "asks for 'train_loss', which is not among its"),
        (("features",), ["cka", "luck"], "feature 'luck' is unknown to this mdtree"),
        (("features",), ["cka", "cka"], "features must be one or more distinct"),
        (("features",), [], "features must be one or more distinct names"),
        (("classes",), ["a", "b", "a"], "does not fit its shape or the classes"),
        (("groups",), -1, "groups: Input should be greater than or equal to 0"),
        (("groups",), 1.5, "groups: Input should be a valid integer"),
        (("ranges", "cka"), [2, 1], "the range of cka ends at 1.0, before it begins"),
        (("ranges", "luck"), [0, 1], "asks for 'luck'"),
        (("provenance",), ["MIT"], "provenance: Input should be"),
        (("extra",), 1, "extra: Unexpected keyword argument"),
    ],
)
def test_a_fault_is_named_with_its_place(refusal, path, to, reason):
    assert reason in refusal(changed(*path, to=to))


@pytest.mark.parametrize(
    ("path", "to", "reason"),
    [
        (("weight",), 0, "greater than"),
        (("hit",), -3, "greater than"),
        (("miss",), 1e300, "less than"),
        (("shape", "spread"), 0, "greater than"),
        (("shape", "scale"), "cubic", "Input should be 'linear', 'log' or 'arcsinh'"),
        (("shape", "start"), 2, "its belief in cka is not within its bounds"),
        (("shape", "bounds"), [0.9, 0.1], "its belief in cka is not within its bounds"),
        (("shape", "feature"), "train_loss", "asks for 'train_loss'"),
        (("shape", "low"), {"answer": "c"}, "a shape answers 'c', which is not among the classes"),
        (("cuts",), [[]], "its cuts of cka must rise"),
        (("cuts",), [[0.4, 0.4]], "its cuts of cka must rise"),
        (("cuts",), [[0.4, 0.2]], "its cuts of cka must rise"),
        (("cuts",), [[0.4, 0.95]], "within the bounds of the belief"),
        (("cuts",), [[0.2], [0.4]], "does not fit its shape"),
        (("cells",), [[0], [3]], "counts groups outside its cuts of cka"),
        (("cells",), [[0], [-1]], "greater than or equal to 0"),
        (("cells",), [[0], [10**30]], "less than"),
        (("cells",), [[0, 1], [0, 1]], "does not fit its shape"),
        (("cells",), [[0]], "does not fit its shape"),
        (("counts",), [[3, 0], [1]], "does not fit its shape"),
        (("counts",), [[3, 0], [1, -2]], "greater than or equal to 0"),
        (("counts",), [[3, 0], [1, 1e200]], "less than or equal to"),
    ],
)
def test_a_posterior_that_makes_no_sense_is_refused(refusal, path, to, reason):
    assert reason in refusal(changed("posterior", 0, *path, to=to))


def nested(part, deep, *, both=False):
    text = json.dumps({**part, "low": 0, "high": 0})
    low, high = '"low": 0', '"high": 0'
    end = json.dumps(LEAF if part is SPLIT else {"answer": "a"})
    inner = end
    for _ in range(deep):
        inner = text.replace(low, f'"low": {inner}').replace(
            high, f'"high": {inner if both else end}'
        )
    return inner


def with_part(place, part):
    return json.dumps({**WHOLE, **place("@")}).replace('"@"', part)


def in_tree(part):
    return {"tree": part, "posterior": None}


def in_posterior(part):
    return {"posterior": [{**COMPONENT, "shape": part}]}


@pytest.mark.parametrize(("place", "part"), [(in_tree, SPLIT), (in_posterior, ASK)])
def test_a_deep_or_large_tree_is_refused(refusal, place, part):
    assert "is more than 100 nodes deep" in refusal(with_part(place, nested(part, 150)))
    deep = refusal(with_part(place, nested(part, 3000)))  # some releases of Python read so deep
    assert "nested too deep" in deep or "more than 100 nodes deep" in deep
    assert "more than 20000 nodes" in refusal(with_part(place, nested(part, 14, both=True)))


def test_a_million_nodes_are_refused(refusal):
    """Sixteen megabytes hold a million nodes only if they are nearly empty."""
    part = "{}"
    for _ in range(19):
        part = f'{{"low":{part},"high":{part}}}'
    text = with_part(in_tree, part)
    assert text.count("{") > 1_000_000
    assert "more than 20000 nodes" in refusal(text)


def test_a_posterior_whose_tables_would_fill_the_memory_is_refused(refusal):
    shape, cuts = {"answer": "a"}, []
    for _ in range(30):
        shape = {**ASK, "low": shape}
        cuts.append([0.2, 0.4])
    component = {**COMPONENT, "shape": shape, "cuts": cuts, "cells": [], "counts": []}
    text = json.dumps({**WHOLE, "posterior": [component]})
    assert "needs tables of more than" in refusal(text)


def test_a_huge_file_is_refused_without_being_parsed(refusal):
    assert "is larger than 16777216 bytes" in refusal(b" " * (2**24 + 1))


@pytest.mark.parametrize("name", ["", "no such file", "x" * 300, "a\0b"])
def test_what_cannot_be_opened_is_refused(tmp_path, name):
    with pytest.raises(TreeError, match="cannot be read"):
        read_tree(tmp_path / name)
