"""`mdtree zoo train`: what it prints, its exit codes, and the real command stopped midway."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from safetensors.torch import load_file

from tests.support.disks import mounted
from tests.support.stopping import WAITING_NETWORK
from tests.support.zoos import rows_of

CONFIG = {
    "model": {"factory": "cnn", "kwargs": {"width": 2}},
    "data": {"source": "digits", "amount": 50},
    "training": {
        "learning_rate": "$learning_rate",
        "optimizer": "$optimizer",
        "batch_size": 16,
        "epochs": 2,
    },
    "grid": {"learning_rate": [0.05, 1e-5], "optimizer": ["sgd", "adamw"]},
    "seeds": 2,
    "facts": {"epochs": 2},
}


@pytest.fixture
def config(tmp_path):
    """Write a config of four groups of two, with parts of it changed."""

    def write(**parts) -> Path:
        path = tmp_path / "zoo.yaml"
        path.write_text(yaml.safe_dump({**CONFIG, **parts}))
        return path

    return write


@pytest.mark.usefixtures("error_rates_only")
def test_a_group_that_diverged_is_a_row_a_verdict_and_a_place_on_the_map(mdtree, config, tmp_path):
    out = tmp_path / "zoo"
    parts = {
        "grid": {"learning_rate": [0.05, 1e12]},
        "training": {"learning_rate": "$learning_rate", "batch_size": 16, "epochs": 2},
    }
    lost = "learning_rate-1000000000000.0"
    assert mdtree("zoo", "train", config(**parts), "--out", out).code == 1

    planned = mdtree("measure", out, "--dry-run")
    assert (planned.code, planned.err) == (0, "")
    assert "diverged" in next(line for line in planned.out.splitlines() if lost in line)
    ran = mdtree("measure", out)
    assert ran.code == 0
    assert f"diverged {lost}: its loss became NaN or infinite in training (all of 2" in ran.out
    assert "1 measured, 0 already there, 1 diverged, 0 failed" in ran.out
    row = rows_of(out / "rows.jsonl")[lost]
    assert (row.failure.kind, row.quantities) == ("DivergedError", {})
    assert row.facts["learning_rate"] == 1e12
    assert row.facts["batch_size"] == 16  # from `training`, as of groups that were measured

    alone = mdtree("diagnose", out, "--group", lost, "--json")
    (verdict,) = json.loads(alone.out)["verdicts"]
    assert (verdict["group"], verdict["mode"]) == (lost, "temperature_high")
    assert verdict["clues"][0]["says"] == row.failure.reason
    assert "MD111" in {each["code"] for each in verdict["checks"] if each["status"] == "found"}
    from_rows = json.loads(mdtree("diagnose", out / "rows.jsonl", "--json").out)["verdicts"]
    assert {each["group"] for each in from_rows} == {*rows_of(out / "rows.jsonl")}

    (out / "mdtree.yaml").unlink()
    (out / "rows.jsonl").unlink()
    without = json.loads(mdtree("diagnose", out, "--group", lost, "--json").out)
    assert without["verdicts"][0]["mode"] == "temperature_high"


def weights_in(folder):
    return {
        path.relative_to(folder).as_posix(): {
            name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()
        }
        for path in folder.rglob("*.safetensors")
    }


@pytest.mark.usefixtures("error_rates_only")
def test_what_was_trained_is_measured_as_it_is_with_its_facts(mdtree, config, tmp_path):
    out = tmp_path / "zoo"
    ran = mdtree("zoo", "train", config(), "--out", out)
    assert (ran.code, ran.err) == (0, "")
    summary, advice = ran.out.splitlines()
    assert summary.startswith(
        "4 groups: 8 members trained, 0 already there, 0 diverged, 0 failed; "
    )
    assert advice == f"measure them: mdtree measure {out}"

    assert mdtree("measure", out).code == 0
    rows = rows_of(out / "rows.jsonl")
    facts = {"epochs": 2, "data_amount": 50, "schedule": "constant", "width": 2}
    measured = {name: {**row.facts} for name, row in rows.items()}
    assert all(0 < row.pop("conv_parameters") < row.pop("parameters") for row in measured.values())
    assert measured == {
        f"learning_rate-{rate}_optimizer-{optimizer}": {
            **facts, "learning_rate": float(rate), "optimizer": optimizer
        }
        for rate in ("0.05", "1e-05")
        for optimizer in ("sgd", "adamw")
    }  # fmt: skip
    assert {len(row.quantities["test_error"].members) for row in rows.values()} == {2}


def test_the_summary_is_json_too(mdtree, config, tmp_path):
    args = ("zoo", "train", config(seeds=1), "--out", tmp_path / "zoo", "--json")
    for trained in (4, 0):
        content = json.loads(mdtree(*args).out)
        assert content.pop("seconds") > 0
        assert content == {
            "format": 1,
            "out": str(tmp_path / "zoo"),
            "groups": 4,
            "trained": trained,
            "already": 4 - trained,
            "left": 0,
            "diverged": [],
            "failed": {},
        }


def test_a_dry_run_sums_up_by_axis_and_writes_nothing(mdtree, config, tmp_path):
    out = tmp_path / "zoo"
    args = ("zoo", "train", config(), "--out", out, "--dry-run")
    ran = mdtree(*args)
    assert (ran.code, ran.err, out.exists()) == (0, "", False)
    header, _, *rows, space, last = ran.out.splitlines()
    assert header.split() == [
        "axis", "value", "groups", "members", "steps", "items", "time", "on", "one", "worker"
    ]  # fmt: skip
    # 50 items in batches of 16 are 3 steps; 2 epochs, 2 seeds, 2 groups
    assert [row.split()[:6] for row in rows] == [
        [axis, value, "2", "4", "24", "384"]
        for axis, value in (
            ("learning_rate", "0.05"),
            ("learning_rate", "1e-05"),
            ("optimizer", "sgd"),
            ("optimizer", "adamw"),
        )
    ]
    assert space == ""
    assert last.startswith("to train: 8 of 8 members, in 4 groups; ")
    assert last.endswith(" with 1 worker; nothing was written")

    assert mdtree(*args[:-1]).code == 0
    (out / "learning_rate-0.05_optimizer-sgd" / "seed-1.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]}
    content = json.loads(mdtree(*args, "--json", "--workers", 2).out)
    (member,) = content["members"]
    assert 0 < content["low"] <= content["seconds"] <= content["high"]
    for key in ("seconds", "low", "high"):
        assert member.pop(key) == pytest.approx(2 * content[key])
    name = "learning_rate-0.05_optimizer-sgd/seed-1"
    assert member == {"member": name, "steps": 6, "items": 96}
    counted = {(axis["axis"], axis["value"]): axis["members"] for axis in content["axes"]}
    assert counted == {
        ("learning_rate", 0.05): 1,
        ("learning_rate", 1e-5): 0,
        ("optimizer", "sgd"): 1,
        ("optimizer", "adamw"): 0,
    }
    assert before == {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]}


def test_a_grid_of_one_point_has_no_table_and_one_that_is_whole_takes_no_time(
    mdtree, config, tmp_path
):
    grid = {"learning_rate": [0.05], "optimizer": ["sgd"]}
    args = ("zoo", "train", config(grid=grid, seeds=1), "--out", tmp_path / "zoo")
    (line,) = mdtree(*args, "--dry-run").out.splitlines()
    assert line.startswith("to train: 1 of 1 member, in 1 group; ")
    assert mdtree(*args).code == 0
    (line,) = mdtree(*args, "--dry-run").out.splitlines()
    assert line == (
        "to train: 0 of 1 member, in 0 groups; no time with 1 worker; nothing was written"
    )


def test_a_member_that_diverges_is_told_and_the_others_go_on(mdtree, config, tmp_path):
    grid = {"learning_rate": [1e12, 0.05], "optimizer": ["sgd"]}
    args = ("zoo", "train", config(grid=grid, seeds=1), "--out", tmp_path / "zoo")
    for trained in (2, 0):
        ran = mdtree(*args)
        assert ran.code == 1
        name = "learning_rate-1000000000000.0_optimizer-sgd/seed-0"
        assert ran.err == f"diverged {name}: its loss became NaN or infinite\n"
        assert f"{trained} members trained, {2 - trained} already there, 1 diverged" in ran.out
    assert [*weights_in(tmp_path / "zoo")] == [
        "learning_rate-0.05_optimizer-sgd/seed-0.safetensors"
    ]


WRONG = [
    ({"grid": {"learning_rat": [1]}}, "fact 'learning_rat' is unknown, did you mean 'learning_ra"),
    ({"model": "cnnn"}, "model 'cnnn' is unknown, did you mean 'cnn'?"),
    ({"model": "nowhere:net"}, "factory 'nowhere:net': No module named 'nowhere'"),
    ({"data": {"source": "images", "root": "none"}}, "none"),
    ({"data": {"source": "tensors", "train": "none.npz"}}, "none.npz cannot be read: No such file"),
]


@pytest.mark.parametrize(("parts", "reason"), WRONG)
def test_a_wrong_config_is_told_and_nothing_is_trained(mdtree, config, tmp_path, parts, reason):
    for flags in ([], ["--dry-run"]):
        ran = mdtree("zoo", "train", config(**parts), "--out", tmp_path / "zoo", *flags)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("error: ")
        assert reason in ran.err
        assert not (tmp_path / "zoo" / "zoo.yaml").exists()


def test_a_config_that_is_not_there_is_told(mdtree, tmp_path):
    ran = mdtree("zoo", "train", tmp_path / "none.yaml", "--out", tmp_path / "zoo")
    assert ran.err == f"error: {tmp_path}/none.yaml cannot be read: No such file or directory\n"
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])


def test_a_config_that_was_changed_is_refused_with_the_difference(mdtree, config, tmp_path):
    args = ("zoo", "train", config(seeds=1), "--out", tmp_path / "zoo")
    assert mdtree(*args).code == 0
    config(seeds=1, training={**CONFIG["training"], "epochs": 3}, facts={"epochs": 3})
    for flags in ([], ["--dry-run"]):
        ran = mdtree(*args, *flags)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.splitlines() == [
            f"error: the members in {tmp_path}/zoo were trained with another config:",
            "  training.epochs: 2, now 3",
            "  facts.epochs: 2, now 3",
            "Change it back, or train into another directory with --out",
        ]


def test_two_runs_in_one_directory_are_refused(mdtree, config, tmp_path):
    out = tmp_path / "zoo"
    out.mkdir()
    with FileLock(out / ".zoo.lock"):
        ran = mdtree("zoo", "train", config(), "--out", out)
    assert (ran.code, ran.out) == (4, "")
    assert f"another mdtree is training in {out}: wait until it has finished" in ran.err


def test_a_full_disk_ends_the_run_and_what_is_whole_stays(mdtree, config, tmp_path):
    with mounted(tmp_path / "small", "size=40k") as out:
        args = ("zoo", "train", config(), "--out", out)

        ran = mdtree(*args)

        assert (ran.code, ran.out) == (5, "")
        assert ran.err.endswith(
            " cannot be written: No space left on device; members that are whole stay, and the "
            "same command goes on with the others\n"
        )
        whole = len([*out.rglob("seed-*.json")])
        assert 0 < whole < 8
        subprocess.run(["mount", "-o", "remount,size=1m", out], check=True)  # there is room again
        assert f"{8 - whole} members trained, {whole} already there" in mdtree(*args).out


ENDS = {  # exit code, and what is printed
    signal.SIGKILL: (-signal.SIGKILL, "", ""),
    signal.SIGINT: (130, "", "\nInterrupted. Run the same command again to resume.\n"),
}


@pytest.mark.parametrize(("how", "workers"), [(signal.SIGKILL, 1), (signal.SIGINT, 2)])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bits(
    mdtree, config, tmp_path, stop_ready_command, *, how, workers
):
    module = f"waiting_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(WAITING_NETWORK)  # beside the config, where it is found
    train = ["zoo", "train", config(model={"factory": f"{module}:net", "kwargs": {"width": 2}})]
    cut, whole = tmp_path / "cut", tmp_path / "whole"

    args = [*train, "--workers", workers, "--out", cut]
    assert stop_ready_command(args, how, until=cut / "seed-*.json") == ENDS[how]
    done = len([*cut.rglob("seed-*.json")])
    assert 1 <= done <= workers

    ran = mdtree(*train, "--out", cut)
    assert f"{8 - done} members trained, {done} already there, 0 diverged, 0 failed" in ran.out
    assert mdtree(*train, "--out", whole).code == 0
    assert weights_in(cut) == weights_in(whole)
    assert len(weights_in(whole)) == 8
    assert not [*cut.rglob("*.new")]


@pytest.mark.usefixtures("error_rates_only")
def test_the_advice_how_to_measure_trusts_what_the_zoo_names(mdtree, config, tmp_path, monkeypatch):
    module = f"mine_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text("from mdtree.models import cnn as net\n")
    monkeypatch.chdir(tmp_path)
    model = {"factory": f"{module}:net", "kwargs": {"width": 2}}
    path = config(model=model, grid={"learning_rate": [0.05], "optimizer": ["sgd"]})
    ran = mdtree("zoo", "train", path, "--out", "zoo")
    *_, advice = ran.out.splitlines()
    assert advice == f"measure them: mdtree measure zoo --trust {module}:net"
    words = advice.removeprefix("measure them: mdtree ").split()
    assert mdtree(*words[:2]).code == 2
    assert mdtree(*words).code == 0


@pytest.mark.usefixtures("error_rates_only")
def test_an_axis_of_the_loss_is_one_of_measuring_too(mdtree, config, tmp_path):
    loss = {"factory": "cross_entropy", "kwargs": {"label_smoothing": "$smoothing"}}
    training = {"learning_rate": 0.05, "batch_size": 16, "steps": 2}
    path = config(loss=loss, training=training, grid={"smoothing": [0.1, 0.5]})
    assert mdtree("zoo", "train", path, "--out", tmp_path / "zoo").code == 0
    assert mdtree("measure", tmp_path / "zoo").code == 0
    losses = [
        r.quantities["train_loss"].value for r in rows_of(tmp_path / "zoo/rows.jsonl").values()
    ]
    assert len(set(losses)) == 2
