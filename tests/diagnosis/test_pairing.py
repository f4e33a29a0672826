"""Which groups are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtree.diagnosis import pairs_of, places_of
from mdtree.exceptions import RowsError
from tests.support.rows import row


def rows(*names, error=1.0):
    return [row(name, test_error=error) for name in names]


def names(pairs):
    return [(before.group, after.group) for before, after in pairs]


def test_one_group_on_each_side_needs_no_name():
    assert names(pairs_of(rows("a"), rows("b"))) == [("a", "b")]


def test_the_same_names_are_compared_by_name():
    pairs = pairs_of(rows("a", "b"), rows("b", "a", error=2.0))
    assert names(pairs) == [("a", "a"), ("b", "b")]


def test_named_groups_may_come_from_the_same_file():
    both = rows("a", "b")
    assert names(pairs_of(both, both, group_before="b", group_after="a")) == [("b", "a")]
    assert names(pairs_of(both, rows("c"), group_before="b")) == [("b", "c")]
    assert names(pairs_of(rows("c"), both, group_after="b")) == [("c", "b")]


@pytest.mark.parametrize(
    ("before", "after", "named", "words"),
    [
        (["a", "b"], ["b", "c"], {}, "several groups, and not the same ones"),
        (["a", "b"], ["b", "c"], {}, "(before: 'a', 'b') (after: 'b', 'c')"),
        (["a", "b"], ["c"], {}, "before has 2 groups: name one with --group-before"),
        (["c"], ["a", "b"], {}, "after has 2 groups: name one with --group-after"),
        (["a", "b"], ["a", "b"], {"group_before": "a"}, "(groups: 'a', 'b')"),
        (["wide"], ["b"], {"group_before": "wied"}, "no group 'wied', did you mean 'wide'?"),
        (["a"], ["b", "c"], {"group_after": "x"}, "no group 'x' (groups: 'b', 'c')"),
        (["a"], ["a"], {}, "before and after are the same rows"),
        (["a", "b"], ["a", "b"], {}, "name them with --group-before and --group-after"),
        (["a", "a"], ["b"], {}, "before: group 'a' is there twice"),
        ([], ["b"], {}, "before: there are no rows"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_groups_that_there_are(before, after, named, words):
    with pytest.raises(RowsError) as stop:
        pairs_of(rows(*before), rows(*after), **named)
    assert words in str(stop.value)


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ("slow", "slow2", ("slow", "slow2")),
        ("/data/runs/slow", "/data/runs/slow2", ("slow", "slow2")),
        ("runs/slow/rows.jsonl", "runs/slow2/rows.jsonl", ("slow", "slow2")),
        ("runs", "runs/new", ("runs", "runs/new")),
        ("a/same", "b/c/same", ("a", "b/c")),
        ("before.jsonl", "after.jsonl", ("before.jsonl", "after.jsonl")),
        ("rows.jsonl", "./rows.jsonl", None),
    ],
)
def test_two_places_are_called_by_what_tells_them_apart(before, after, places):
    assert places_of(Path(before), after) == places


def test_the_folder_one_is_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    assert places_of(".", "../two") == ("one", "two")
