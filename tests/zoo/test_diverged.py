"""Groups without weights are known by their records: all members have diverged, or nothing is."""

from __future__ import annotations

import json

import pytest

from mdtree.zoo import diverged_records, diverged_row, diverged_training


def write(folder, **records):
    """Write a record for each seed: its name -> content."""
    folder.mkdir(exist_ok=True)
    for name, content in records.items():
        file = folder / f"{name.replace('_', '-')}.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def lost(epochs=1, **more):
    return {"format": 1, "diverged": True, "epochs": epochs, **more}


def test_all_members_have_diverged(tmp_path):
    two = write(tmp_path / "two", seed_0=lost(3), seed_1=lost(1))
    assert diverged_training(two) == (
        "its loss became NaN or infinite in training (all of 2 networks, in epoch 1 to 3; see "
        "seed-0.json)"
    )
    one = write(tmp_path / "one", seed_7=lost(2))
    assert "(all of 1 network, in epoch 2; see seed-7.json)" in diverged_training(one)


@pytest.mark.parametrize(
    "other",
    [
        {"format": 1, "diverged": False, "epochs": 2},  # its weights were taken away
        {"format": 1, "diverged": "yes"},
        "[1]",
        '{"diverged": true',
        "[" * 100_000,
    ],
)
def test_a_group_is_not_lost_where_one_record_says_something_else(tmp_path, other):
    folder = write(tmp_path / "group", seed_0=lost(), seed_1=other)
    assert diverged_training(folder) is None


def test_other_files_no_files_and_links_are_no_records(tmp_path):
    assert diverged_training(tmp_path / "none") is None
    folder = write(tmp_path / "group", config=lost(), seed_a=lost())
    assert diverged_training(folder) is None
    (folder / "seed-0.json").symlink_to(tmp_path / "loop")
    (tmp_path / "loop").symlink_to(folder / "seed-0.json")
    assert diverged_training(folder) is None


def test_an_epoch_that_is_no_number_is_left_out_of_the_count(tmp_path):
    folder = write(tmp_path / "group", seed_0=lost("many"), seed_1=lost(2))
    assert "(all of 2 networks, in epoch 2; see seed-0.json)" in diverged_training(folder)


def test_the_row_is_one_of_a_diverged_group():
    row = diverged_row("g", "standard-1", {"width": 8}, "why")
    assert row.is_diverged
    assert (row.group, row.protocol, row.facts) == ("g", "standard-1", {"width": 8})
    assert row.failure.reason == "why"


def with_weights(folder, *seeds):
    files = [folder / f"seed-{seed}.safetensors" for seed in seeds]
    for file in files:
        file.write_bytes(b"")
    return files


def test_those_that_diverged_beside_others_are_named(tmp_path):
    folder = write(tmp_path / "group", seed_0=lost(), seed_1=lost(2), seed_3={"diverged": False})
    files = with_weights(folder, 2)
    assert diverged_records(folder, files) == ("seed-0.json", "seed-1.json")
    with_weights(folder, 1)  # it was trained again, and its record is old
    assert diverged_records(folder, [*files, folder / "seed-1.safetensors"]) == ("seed-0.json",)


def test_nothing_is_said_of_others_where_only_a_part_is_asked_about(tmp_path):
    folder = write(tmp_path / "group", seed_0=lost())
    one, _ = with_weights(folder, 1, 2)
    assert diverged_records(folder, [one]) == ()
    assert diverged_records(tmp_path / "none", [one]) == ()
