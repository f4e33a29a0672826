from __future__ import annotations

import importlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.measurement import (
    Request,
    check_metrics,
    check_quantities,
    dry_run,
    measure,
)
from mdtree.measurement.plan import estimate, find_groups, plan
from mdtree.measurement.speed import Speed
from mdtree.recipes import Trust, recipe_from_words
from mdtree.rows import Index
from tests.support.zoos import write_zoo

# the package has a function of the name
module = importlib.import_module("mdtree.measurement.plan")

MODEL = {"factory": "cnn", "kwargs": {"width": 2}}


def request(root, **recipe):
    content = {"model": MODEL, "data": {"source": "digits", "amount": 50}, **recipe}
    return Request(
        root=root,
        recipe=recipe_from_words(content),
        folder=root,
        trust=Trust(),
        protocol="standard-1",
        metrics=("error_rate",),
        seed=0,
        device="cpu",
        allow_download=False,
    )


def states(wanted):
    planned = plan(find_groups(wanted), Index(wanted.root / "rows.jsonl"))
    return {item.task.group: item.state for item in planned}


def test_each_folder_with_weights_is_a_group_and_each_file_a_member(tmp_path):
    write_zoo(tmp_path, {"a/x": [0, 1], "b": [2]})
    (tmp_path / "empty").mkdir()

    tasks = find_groups(request(tmp_path))

    assert [task.group for task in tasks] == ["a/x", "b"]
    assert list(tasks[0].members) == ["seed-0.safetensors", "seed-1.safetensors"]


def test_single_groups_can_be_named_and_a_wrong_name_is_told(tmp_path):
    write_zoo(tmp_path, {"cold": [0], "hot": [1], "warm": [2]})
    asked = replace(request(tmp_path), groups=frozenset({"hot", "warm"}))
    assert [task.group for task in find_groups(asked)] == ["hot", "warm"]
    with pytest.raises(MdtreeError, match="there is no group 'hott', did you mean 'hot'"):
        find_groups(replace(asked, groups=frozenset({"hott"})))


def test_the_recipe_s_groups_come_with_their_facts_above_those_of_all(tmp_path):
    write_zoo(tmp_path, {"a": [0], "b": [1]})
    group = {"name": "both", "files": ["*/seed-*"], "facts": {"width": 2}}
    (task,) = find_groups(request(tmp_path, groups=[group], facts={"width": 1, "epochs": 3}))

    assert list(task.members) == ["a/seed-0.safetensors", "b/seed-1.safetensors"]
    assert task.facts == {"width": 2, "epochs": 3}


def test_facts_are_read_from_the_names_of_folders(tmp_path):
    write_zoo(tmp_path, {"bs_32/w8": [0], "bs_64/w8": [0]})
    tasks = find_groups(request(tmp_path, pattern="bs_{batch_size}/w{width}"))
    assert [dict(task.facts) for task in tasks] == [
        {"batch_size": 32, "width": 8},
        {"batch_size": 64, "width": 8},
    ]

    with pytest.raises(
        RecipeError, match=r"bs_32/w8: folder .* does not match .*is that of .*mdtree.yaml\)$"
    ):
        find_groups(request(tmp_path, pattern="lr_{learning_rate}"))


def test_files_of_the_data_are_no_checkpoints(tmp_path):
    write_zoo(tmp_path, {"a": [0]})
    for name in ("train.pt", "test.pt"):
        torch.save({"x": torch.zeros(3, 1, 8, 8), "y": torch.zeros(3)}, tmp_path / name)
    data = {"source": "tensors", "train": "train.pt", "test": "./test.pt"}
    assert [task.group for task in find_groups(request(tmp_path, data=data))] == ["a"]


def test_no_weights_are_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(MdtreeError, match=r"holds no weights files.*\.safetensors"):
        find_groups(request(tmp_path))


def test_members_may_be_named_absolutely_and_relatively(tmp_path, monkeypatch):
    write_zoo(tmp_path / "zoo", {"a": [0], "b": [1]})
    monkeypatch.chdir(tmp_path)
    files = [str(tmp_path / "zoo" / "a" / "*"), "zoo/b/*"]
    content = request(tmp_path, groups=[{"name": "both", "files": files}])
    (task,) = find_groups(Request(**{**vars(content), "folder": Path()}))

    assert list(task.members) == ["a/seed-0.safetensors", "b/seed-1.safetensors"]


def test_a_group_is_new_then_measured_and_then_whatever_has_happened_to_it(tmp_path):
    write_zoo(tmp_path, {"a": [0], "b": [1]})
    (tmp_path / "b" / "damaged.pt").write_bytes(b"damaged")
    wanted = request(tmp_path)
    assert states(wanted) == {"a": "new", "b": "new"}

    measure(wanted, out=tmp_path / "rows.jsonl")
    assert states(wanted) == {"a": "measured", "b": "failed before"}

    (tmp_path / "a" / "seed-0.safetensors").rename(tmp_path / "a" / "seed-7.safetensors")
    assert states(wanted)["a"] == "changed"


def test_the_data_are_hashed_once_for_all_groups(tmp_path, monkeypatch):
    write_zoo(tmp_path, {f"g{number}": [0] for number in range(5)})
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 1, 8, 8)), y=np.arange(3))
    wanted = request(tmp_path, data={"source": "tensors", "train": "d.npz"})
    measure(wanted, out=tmp_path / "rows.jsonl")
    calls = []
    real = module.data_digest
    monkeypatch.setattr(module, "data_digest", lambda *args: calls.append(args) or real(*args))

    assert set(states(wanted).values()) == {"measured"}
    assert len(calls) == 1


def test_the_cost_counts_what_is_pending_and_times_each_shape_once(tmp_path, monkeypatch):
    write_zoo(tmp_path, {"a": [0, 1, 2], "b": [0], "c": [0]})
    timed = []
    second = Speed(forward=0.001, gradient=0, product=0)
    monkeypatch.setattr(
        module, "measure_speed", lambda runner, items: timed.append(len(items)) or second
    )
    groups = [
        {"name": name, "files": [f"{name}/*"], "facts": {"amount": amount, "width": width}}
        for name, amount, width in (("a", 10, 2), ("b", 20, 2), ("c", 30, 4))
    ]
    model = {"factory": "cnn", "kwargs": {"width": "$width"}}
    data = {"source": "digits", "amount": "$amount"}
    wanted = request(tmp_path, groups=groups, model=model, data=data)

    costs = list(estimate(plan(find_groups(wanted), Index(tmp_path / "rows.jsonl"))))

    assert [cost.passes for cost in costs] == [3 * (10 + 597), 20 + 597, 30 + 597]
    assert [cost.seconds for cost in costs] == pytest.approx([1.821, 0.617, 0.627])
    assert timed == [10, 30]


def test_simple_classifiers_of_the_same_data_are_counted_once(tmp_path):
    write_zoo(tmp_path, {"a": [0], "b": [0]})
    wanted = replace(request(tmp_path), metrics=("baseline",))
    costs = list(estimate(plan(find_groups(wanted), Index(tmp_path / "rows.jsonl"))))
    assert [cost.passes for cost in costs] == [0, 0]
    assert costs[0].by_metric["baseline"] > 0
    assert costs[1].by_metric["baseline"] == 0


def test_a_real_batch_is_timed(tmp_path):
    write_zoo(tmp_path, {"a": [0]})
    (cost,) = dry_run(request(tmp_path), out=tmp_path / "rows.jsonl").costs
    assert cost.seconds > 0
    assert math.isfinite(cost.seconds)
    assert not (tmp_path / "rows.jsonl").exists()


def test_names_of_metrics_are_checked_and_none_are_the_usual_ones():
    usual = (
        "error_rate",
        "hessian",
        "connectivity",
        "similarity",
        "spectrum",
        "predictions",
        "baseline",
    )
    assert check_metrics(()) == usual
    assert check_metrics(("error_rate", "error_rate")) == ("error_rate",)
    with pytest.raises(MdtreeError, match=r"'error_rat' is unknown, did you mean 'error_rate'"):
        check_metrics(("error_rat",))


def test_quantities_bring_their_metrics_and_must_belong_to_those_that_are_named():
    assert check_quantities(("hessian_top", "cka")) == (
        ("hessian", "similarity"),
        ("hessian_top", "cka"),
    )
    assert check_quantities(("hessian_top",), ("hessian", "error_rate"))[0] == (
        "hessian",
        "error_rate",
    )
    assert check_quantities((), ("hessian",)) == (("hessian",), ())
    with pytest.raises(MdtreeError, match=r"'hessian_tip' is unknown.*hessian_top"):
        check_quantities(("hessian_tip",))
    with pytest.raises(MdtreeError, match=r"metric 'similarity', which is not among hessian"):
        check_quantities(("cka",), ("hessian",))


def test_directories_that_are_no_seeds_of_one_group_are_named_with_the_pattern(tmp_path):
    """`diagnose out/*/` over folders of several groups: their places are no names of groups."""
    for run in ("one", "two"):
        write_zoo(tmp_path / run, {"deep/w8": [0]})
    asked = replace(
        request(tmp_path / "one", pattern="w{width}"),
        others=(tmp_path / "two",),
        folder=tmp_path / "one",
    )
    with pytest.raises(RecipeError) as caught:
        find_groups(asked)
    assert str(caught.value).startswith(
        f"{tmp_path / 'one' / 'deep' / 'w8'}: folder 'deep/w8' does"
    )
    assert f"the pattern is that of {tmp_path / 'one' / 'mdtree.yaml'}; directories that" in str(
        caught.value
    )
