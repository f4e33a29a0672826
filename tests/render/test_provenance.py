"""The origin: all that a verdict rests on is on the page."""

from __future__ import annotations

from dataclasses import replace

from mdtree.render.provenance import origin
from tests.support.reports import grid, judged, parsed, whole_row


def said(basis, row):
    listed = parsed(origin(basis, row)).one("dl")
    names = [name.text for name in listed.find("dt")]
    assert len(set(names)) == len(names)
    return dict(zip(names, (value.text for value in listed.find("dd")), strict=True))


def test_tree_protocol_data_and_versions_are_told():
    basis = replace(
        judged(grid()[0]).basis,
        tree="mine.json",
        chosen="it was asked for",
        data="36 networks",
        accuracy="80 %",
        versions={"mdtree": "0.1", "torch": "2.13"},
    )
    assert said(basis, None) == {
        "tree": "mine.json (posterior, task failure)",
        "chosen because": "It was asked for.",
        "fitted on": "36 groups: 36 networks",
        "right for": "80 %",
        "protocol": (
            "standard-1 (mdtree's own: better defined, with standard errors, and far cheaper)"
        ),
        "versions": "mdtree 0.1, torch 2.13",
    }


def test_what_is_not_known_is_left_out():
    entries = said(replace(judged(grid()[0]).basis, protocol="of-tomorrow", accuracy=""), grid()[0])
    assert "right for" not in entries
    assert entries["protocol"] == "of-tomorrow"
    assert "recipe (sha256)" not in entries


def test_a_measured_row_tells_its_checkpoints_recipe_and_notes():
    entries = said(judged(grid()[0]).basis, whole_row("zoo", members=("a", "b")))
    assert entries["checkpoints (sha256)"] == "a a1a1a1a1a1a1 , b a1a1a1a1a1a1"
    assert entries["recipe (sha256)"] == "b2b2b2b2b2b2"
    assert entries["measured"] == "on cpu in 1.5 s, seed 0"
    assert entries["choices"] == "Read from zoo."
