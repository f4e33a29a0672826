"""Rows are of the networks that are there now, or they are left out."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from mdtree.measurement import known_rows, rows_of_networks
from mdtree.rows import Measured, Provenance, Row


def network(path, number):
    """Save a network, and return its hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.full((2, 2), float(number))}, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def row(*hashes, group="group"):
    origin = Provenance(
        weights={f"{number}.safetensors": each for number, each in enumerate(hashes)},
        recipe="",
        metrics=("error_rate",),
        seed=0,
        device="cpu",
        seconds=1.0,
        versions={},
    )
    made = Row(
        format=1,
        group=group,
        protocol="standard-1",
        facts={},
        quantities={"test_error": Measured(value=10.0)},
    )
    return replace(made, provenance=origin) if hashes else made


@pytest.fixture
def runs(tmp_path):
    places = [tmp_path / "a", tmp_path / "b"]
    hashes = [network(place / "w.safetensors", n) for n, place in enumerate(places)]
    return places, hashes


def groups(rows, *arguments, **options):
    kept, left_out = rows_of_networks(rows, *arguments, **options)
    return [each.group for each in kept], left_out


def test_rows_of_these_runs_are_kept_in_any_order(runs, tmp_path):
    places, hashes = runs
    file = tmp_path / "a+b.rows.jsonl"
    for order in (places, places[::-1]):
        assert groups([row(*hashes)], file, order) == (["group"], "")


def test_each_run_is_in_the_rows(runs, tmp_path):
    (one, other), (first, _) = runs
    kept, left_out = groups([row(first)], tmp_path / "a+b.rows.jsonl", [one, other])
    assert kept == []
    assert left_out.endswith(f"of other networks than those in {other}")


def test_a_row_with_one_network_that_is_not_there_is_left_out_and_named(runs, tmp_path):
    places, hashes = runs
    rows = [row(*hashes), row(hashes[0], "gone", group="older")]
    kept, left_out = groups(rows, tmp_path / "a+b.rows.jsonl", places)
    assert kept == ["group"]
    assert "was read without older: " in left_out


def test_rows_without_hashes_are_told_by_the_names_alone(runs, tmp_path):
    places, _ = runs
    other = tmp_path / "x" / "b"
    network(other / "w.safetensors", 2)
    file = tmp_path / "a+b.rows.jsonl"
    assert groups([row()], file, places) == (["group"], "")
    assert groups([row()], file, [places[0], other])[0] == []
    assert groups([row()], file, [places[0], other], named=True) == (["group"], "")


def test_a_directory_keeps_its_rows_where_weights_were_deleted_but_not_where_replaced(runs):
    (place, _), (first, second) = runs
    file = place / "rows.jsonl"
    assert groups([row(first, second)], file, [place]) == (["group"], "")
    assert groups([row()], file, [place]) == (["group"], "")
    network(place / "new.safetensors", 5)
    assert groups([row(first, second)], file, [place])[0] == []
    both = [row(first, second), row(first, group="other")]
    assert groups(both, file, [place])[0] == ["other"]
    (place / "new.safetensors").unlink()
    (place / "w.safetensors").unlink()
    assert groups([row(first, second)], file, [place]) == (["group"], "")


def test_what_is_too_large_to_be_read_for_this_is_believed(runs, monkeypatch):
    (place, _), _ = runs
    assert groups([row("other")], place / "rows.jsonl", [place])[0] == []
    monkeypatch.setattr(known_rows, "_MOST_HASHED", 1)
    assert groups([row("other")], place / "rows.jsonl", [place]) == (["group"], "")


def test_of_a_named_file_only_the_rows_of_these_networks_are_kept(runs, tmp_path):
    (place, _), (first, second) = runs
    file = tmp_path / "all.jsonl"
    rows = [row(first), row(second, group="other"), row(group="elsewhere")]
    assert groups(rows, file, [place], named=True) == (["group"], "")
    assert groups([row(second)], file, [place], named=True)[0] == []


def test_rows_of_a_whole_group_come_before_those_of_its_parts(runs, tmp_path):
    places, (first, second) = runs
    parts = [row(first, group="a"), row(second, group="b")]
    whole = row(first, second, group="a+b")
    assert groups([*parts, whole], tmp_path / "all.jsonl", places, named=True)[0] == ["a+b"]
    assert groups(parts, tmp_path / "all.jsonl", places, named=True)[0] == ["a", "b"]
