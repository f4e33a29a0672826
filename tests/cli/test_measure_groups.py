"""`mdtree measure` on groups that cannot be measured, or have awkward names."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mdtree.models import cnn
from mdtree.rows import Measured, Missing
from tests.support.valleys import copy_of
from tests.support.zoos import change_recipe, rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("error_rates_only")


def test_two_groups_of_one_name_are_told_before_anything_is_measured(mdtree, zoo):
    hot = {"name": "hot", "files": ["hot/*"]}
    change_recipe(zoo, groups=[hot, {**hot, "files": ["cold/*"]}])
    ran = mdtree("measure", zoo)
    assert ran.code == 2
    assert "both named 'hot'" in ran.err


def test_a_folder_called_like_the_directory_itself_is_told(mdtree, tmp_path):
    root = write_zoo(tmp_path / "runs", {"runs": [0, 1]})
    shutil.copy(root / "runs" / "seed-0.safetensors", root / "other.safetensors")
    ran = mdtree("measure", root)
    assert (ran.code, ran.out) == (2, "")
    assert "2 groups are called 'runs'" in ran.err


class Hostile:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


def wider(path):
    save_file(cnn(width=3).state_dict(), path)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def diverged(path):
    weights = copy_of(load_file(path))
    weights["0.weight"][0, 0, 0, 0] = torch.nan
    save_file(weights, path)


def hostile(path):
    torch.save(
        {"state_dict": copy_of(load_file(path)), "x": Hostile(path.parent.parent / "mark")}, path
    )


def whole_module(path):
    torch.save(cnn(width=2), path)


def other_classes(path):
    save_file(cnn(width=2, classes=7).state_dict(), path)


def linked(path):
    path.unlink()
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (wider, "MismatchError"),
        (other_classes, "MismatchError"),
        (truncated, "UnreadableError"),
        (hostile, "UnsafeError"),
        (whole_module, "UnsafeError"),
        (lambda path: path.write_text("not weights"), "UnreadableError"),
        (lambda path: path.write_bytes(b""), "UnreadableError"),
        pytest.param(
            linked,
            "UnsafeError",
            marks=pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux"),
        ),
    ],
)
def test_a_bad_file_costs_its_group_alone_and_is_named(mdtree, zoo, harm, kind):
    bad = zoo / "hot" / "seed-1.safetensors"
    harm(bad)

    ran = mdtree("measure", zoo)

    assert ran.code == 1
    assert "1 measured, 0 already there, 1 failed" in ran.out
    assert f"failed hot: {bad}" in ran.err
    rows = rows_of(zoo / "rows.jsonl")
    assert kind == rows["hot"].failure.kind
    assert str(bad) in rows["hot"].failure.reason
    assert {Missing} == {type(value) for value in rows["hot"].quantities.values()}
    assert {Measured} == {type(value) for value in rows["cold"].quantities.values()}
    assert not (zoo / "mark").exists()
    assert ran.err.count(str(bad)) == 1
    assert str(bad) not in ran.out


def test_a_group_that_was_measured_before_and_diverged_since_says_both(mdtree, zoo):
    mdtree("measure", zoo, "--metrics", "error_rate")
    diverged(zoo / "hot" / "seed-1.safetensors")
    ran = mdtree("measure", zoo, "--metrics", "error_rate")
    assert ran.code == 0
    assert "measured before; a later attempt failed: hot: " in ran.out
    assert "contains NaN or infinite weights, so training diverged" in ran.out
    assert "0 measured, 1 already there, 1 diverged, 0 failed" in ran.out


def test_a_group_that_was_measured_before_is_told_once_to_fail(mdtree, zoo):
    mdtree("measure", zoo, "--metrics", "error_rate")
    bad = zoo / "hot" / "seed-1.safetensors"
    bad.write_text("not weights")

    ran = mdtree("measure", zoo, "--metrics", "error_rate")

    assert ran.code == 1
    assert ran.err.startswith(f"failed hot: {bad}")
    assert "measured before; a later attempt failed: hot\n" in ran.out
    assert str(bad) not in ran.out
    alone = mdtree("rows", "show", zoo / "rows.jsonl")  # which tells of failures nowhere else
    assert f"measured before; a later attempt failed: hot: {bad}" in alone.out


def test_one_file_may_be_the_directory(mdtree, zoo, tmp_path):
    file = zoo / "hot" / "seed-1.safetensors"
    ran = mdtree("measure", file, "--recipe", zoo / "mdtree.yaml", "--out", tmp_path / "r.jsonl")
    assert ran.code == 0
    row = rows_of(tmp_path / "r.jsonl")["seed-1"]
    assert {"seed-1.safetensors"} == row.provenance.weights.keys()
    assert row.quantities["test_error"].stderr > 0  # binomial

    ran = mdtree("measure", file)  # rows and recipe would lie beside it
    assert ran.code == 2
    assert f"{zoo / 'hot'} has no mdtree.yaml" in ran.err


def test_what_fails_for_all_groups_alike_fails_at_once(mdtree, zoo):
    change_recipe(zoo, data={"source": "tensors", "train": "nowhere.npz"})
    ran = mdtree("measure", zoo)
    assert ran.code == 2
    assert f"data file {zoo / 'nowhere.npz'} cannot be read" in ran.err


def test_facts_make_the_network_and_a_group_without_them_fails_alone(mdtree, zoo):
    groups = [
        {"name": "hot", "files": ["hot/*"], "facts": {"width": 2}},
        {"name": "cold", "files": ["cold/*"]},
    ]
    change_recipe(zoo, model={"factory": "cnn", "kwargs": {"width": "$width"}}, groups=groups)

    ran = mdtree("measure", zoo)

    assert ran.code == 1
    assert "failed cold: the recipe uses the fact 'width'" in ran.err
    assert rows_of(zoo / "rows.jsonl")["hot"].facts["width"] == 2
    assert mdtree("measure", zoo, "--fact", "width=2").code == 0


class AwkwardData(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise KeyError("label")


class AwkwardNet(nn.Sequential):
    def forward(self, x):
        sys.exit("mask")


def awkward_data():
    return AwkwardData(), None


def awkward_net():
    return AwkwardNet(*cnn(width=2))


@pytest.mark.parametrize(
    ("recipe", "code", "words"),
    [
        (
            {"data": "tests.cli.test_measure_groups:awkward_data"},
            2,
            "error: the data cannot be read",
        ),
        ({"data": "tests.cli.test_measure_groups:awkward_data"}, 2, "KeyError: 'label'"),
        ({"model": "tests.cli.test_measure_groups:awkward_net"}, 1, "failed hot: SystemExit: mask"),
    ],
)
def test_errors_of_the_user_s_own_code_are_told(mdtree, zoo, recipe, code, words):
    change_recipe(zoo, **recipe)
    ran = mdtree("measure", zoo, "--recipe", zoo / "mdtree.yaml")
    assert code == ran.code
    assert words in ran.err


EVIL = "a\x1b[31mred\x07\nb"


def test_terminal_codes_in_names_are_shown_and_not_sent(mdtree, tmp_path):
    root = write_zoo(tmp_path, {EVIL: [0], "good": [1], "x\x9b2J": [2]})
    truncated(root / "x\x9b2J" / "seed-2.safetensors")

    ran = mdtree("measure", root)

    for text in (ran.out, ran.err):
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert r"a\x1b[31mred\x07\nb" in ran.out
    assert r"failed x\x9b2J: " in ran.err
    assert ran.code == 1


def test_names_that_are_no_text_are_measured_and_known_again(mdtree, tmp_path):
    root = write_zoo(tmp_path, {"good": [0]})
    group = root / os.fsdecode(b"bad-\xff")
    group.mkdir()
    with (group / os.fsdecode(b"\xfe.pt")).open("wb") as file:
        torch.save(cnn(width=2).state_dict(), file)
    (group / os.fsdecode(b"\xfd.pt")).write_bytes(b"damaged")

    assert mdtree("measure", root).code == 1
    (group / os.fsdecode(b"\xfd.pt")).unlink()
    assert "1 measured, 1 already" in mdtree("measure", root).out
    assert "0 measured, 2 already" in mdtree("measure", root).out
    single = group / os.fsdecode(b"\xfe.pt")
    words = ["--recipe", root / "mdtree.yaml", "--out", tmp_path / "one.jsonl"]
    assert "1 measured, 0 already" in mdtree("measure", single, *words).out
    assert "0 measured, 1 already" in mdtree("measure", single, *words).out


def test_a_dry_run_says_alike_in_both_forms_what_diverged_and_what_will_fail(mdtree, zoo):
    lost = zoo / "hot"
    for file in lost.iterdir():
        file.unlink()
    record = {"format": 1, "diverged": True, "epochs": 2}
    (lost / "seed-0.json").write_text(json.dumps(record))
    wider(zoo / "cold" / "seed-0.safetensors")
    run = ("measure", zoo, "--dry-run")
    plan = json.loads(mdtree(*run, "--json").out)["groups"]
    states = {group["group"]: group["state"] for group in plan}
    table = {line.split()[0]: line for line in mdtree(*run).out.splitlines() if line.strip()}
    assert states["hot"] == "diverged"
    assert "diverged" in table["hot"]
    for group in plan:
        shown = "will fail" if group["fault"] else states[group["group"]]
        assert shown in table[group["group"]]
