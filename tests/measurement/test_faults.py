"""Faults on the real thing: after each, every group has one row, that of a run without faults."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.executors import ExecutorConfig
from mdtree.measurement import find_groups, measure
from mdtree.measurement.group import measure_or_fail
from mdtree.progress import Silent
from tests.support.disks import mounted
from tests.support.troubled import (
    EXECUTORS,
    request,
    rows_without_times,
    rows_without_trouble,
    run_command,
    write_troubled_zoo,
)
from tests.support.worker_tasks import eventually
from tests.support.workers import patience
from tests.support.zoos import rows_of, write_zoo

__all__ = ["patience"]


def needs(way):
    """Skip what is not installed."""
    if "--ray" in way:
        pytest.importorskip("ray")
    return way


def _rows_in(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("way", EXECUTORS)
def test_a_worker_that_is_killed_costs_nothing(mdtree, tmp_path, way):
    args = write_troubled_zoo(tmp_path, ["good", "die-once", "good", "good"])

    ran = mdtree(*args, *needs(way))

    assert (ran.code, json.loads(ran.out)["measured"]) == (0, 4), ran.err
    assert rows_without_times(tmp_path / "rows.jsonl") == rows_without_trouble(tmp_path)


@pytest.mark.usefixtures("ready_workers")
@pytest.mark.parametrize("way", EXECUTORS)
def test_groups_that_take_too_much_fail_alone_and_are_tried_again_by_the_next_run(
    mdtree, tmp_path, patience, way
):
    args = write_troubled_zoo(tmp_path, ["good", "die", "hang", "hoard", "raise", "good"])
    limits = ["--timeout-per-group", 15, "--memory-per-group", "1.2G", "--retries", 0]
    hangs, healed = tmp_path / "was-hang", tmp_path / "healed"
    patience(lambda task: task.group == "2-hang" and hangs.exists() and not healed.exists())

    ran = mdtree(*args, *limits, *needs(way))
    failed = {row["group"]: row["reason"] for row in json.loads(ran.out)["failed"]}

    assert (ran.code, len(failed)) == (1, 4), ran.err
    assert "the worker process died" in failed["1-die"]
    assert failed["2-hang"] == "took longer than 15 seconds"
    assert failed["3-hoard"] == "took more than 1.2 GiB of memory"
    assert "red" in failed["4-raise"]
    expected = rows_without_trouble(tmp_path)
    assert rows_of(tmp_path / "rows.jsonl").keys() == {row["group"] for row in expected}
    healed.touch()
    again = json.loads(mdtree(*args).out)  # here: what failed in a worker is tried anywhere
    assert (again["measured"], again["already"], again["failed"]) == (4, 2, [])
    assert rows_without_times(tmp_path / "rows.jsonl") == expected


def test_the_trace_of_a_failure_lies_beside_the_rows_until_the_group_is_mended(mdtree, tmp_path):
    args = write_troubled_zoo(tmp_path, ["raise", "good"])

    assert mdtree(*args).code == 1

    failure = rows_of(tmp_path / "rows.jsonl")["0-raise"].failure
    trace = (tmp_path / failure.trace).read_text()
    assert "in forward" in trace
    assert r"RuntimeError: \x1b[31mred" in trace
    assert "\x1b" not in trace
    (tmp_path / "healed").touch()
    assert mdtree(*args).code == 0
    assert not (tmp_path / failure.trace).parent.exists()


def test_a_trace_that_cannot_be_written_costs_nothing_else(mdtree, tmp_path):
    args = write_troubled_zoo(tmp_path, ["raise"])
    (tmp_path / "rows.jsonl.failures").write_text("in the way")

    assert mdtree(*args).code == 1

    failure = rows_of(tmp_path / "rows.jsonl")["0-raise"].failure
    assert (failure.kind, failure.trace) == ("DataError", None)


def test_a_run_stops_when_too_many_have_failed_and_goes_on_later(mdtree, tmp_path):
    args = write_troubled_zoo(tmp_path, ["raise", "good", "raise", "raise", "good"])

    ran = mdtree(*args, "--max-failures", 1)

    said = json.loads(ran.out)
    assert (ran.code, said["measured"], len(said["failed"]), said["left"]) == (1, 1, 2, 2)
    again = mdtree(*(arg for arg in args if arg != "--json"), "--max-failures", 0)
    assert "4 groups not reached: too many failures" in again.err
    (tmp_path / "healed").touch()
    assert mdtree(*args, "--max-failures", 0).code == 0
    assert rows_without_times(tmp_path / "rows.jsonl") == rows_without_trouble(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("way", EXECUTORS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on(tmp_path, way, how):
    args = [
        *write_troubled_zoo(tmp_path, ["good", "good", "hang-once", "good", "good"]),
        *needs(way),
    ]
    out, hangs = tmp_path / "rows.jsonl", tmp_path / "was-hang-once"
    driver = subprocess.Popen(
        [sys.executable, "-m", "mdtree", *map(str, args)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with driver:
        while driver.poll() is None and not (hangs.exists() and _rows_in(out) == 4):
            time.sleep(0.05)
        driver.send_signal(how)
        said = driver.stderr.read()
        code = driver.wait()

    assert code == (130 if how == signal.SIGINT else -how)
    assert "Traceback" not in said
    assert len(rows_of(out)) == 4
    ran = run_command(args)
    assert (ran.returncode, json.loads(ran.stdout)["measured"]) == (0, 1), ran.stderr
    assert rows_without_times(out) == rows_without_trouble(tmp_path)


@pytest.mark.slow
def test_a_machine_that_leaves_the_cluster_takes_no_row_with_it(tmp_path):
    pytest.importorskip("ray")
    import ray
    from ray.cluster_utils import Cluster

    write_troubled_zoo(tmp_path, ["good", "hang-once", "good", "good", "good"])
    expected = rows_without_trouble(tmp_path)
    (tmp_path / "healed").unlink(missing_ok=True)
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    other = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)

    class Removing(Silent):
        """Remove the other machine while the group that hangs is under way, wherever that is."""

        def start(self, total, stage=""):
            self.left = total

        def step(self, _):
            self.left -= 1
            if self.left == 1:
                assert eventually((tmp_path / "was-hang-once").exists)
                cluster.remove_node(other, allow_graceful=False)
                (tmp_path / "released").touch()  # the group, if it is on the machine that stays

    try:
        done = measure(
            request(tmp_path),
            out=tmp_path / "rows.jsonl",
            executor=ExecutorConfig(ray=cluster.address),
            progress=Removing(),
        )
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert done.failed == {}
    assert done.measured == 5
    assert rows_without_times(tmp_path / "rows.jsonl") == expected


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"replaced")])
def test_a_checkpoint_that_goes_or_changes_after_it_was_listed_fails_its_group(zoo, harm):
    (task, _) = find_groups(request(zoo))
    harm(task.files[0])
    failed = measure_or_fail(task).row.failure
    assert failed.kind == "UnreadableError"
    assert str(task.files[0]) in failed.reason


class After(Silent):
    """A progress that does something after the first group."""

    def __init__(self, work):
        self._work = [work]

    def start(self, total, stage=""):
        pass

    def step(self, _):
        while self._work:
            self._work.pop()()


def test_a_folder_that_goes_before_its_turn_is_told(tmp_path):
    root = write_zoo(tmp_path, {"a": [0], "b": [1]})
    gone = After(lambda: [path.unlink() for path in (root / "b").iterdir()])

    done = measure(request(root), out=root / "rows.jsonl", progress=gone)

    assert (done.measured, done.left, list(done.failed)) == (1, 0, ["b"])
    assert "No such file" in done.failed["b"]


def test_a_checkpoint_that_is_replaced_before_its_turn_is_measured_as_it_is_then(tmp_path):
    root = write_zoo(tmp_path, {"a": [0], "b": [1]})
    file, other = root / "b" / "seed-1.safetensors", root / "a" / "seed-0.safetensors"
    swapped = After(lambda: file.write_bytes(other.read_bytes()))

    measure(request(root), out=root / "rows.jsonl", progress=swapped)

    rows = rows_of(root / "rows.jsonl")
    assert rows["a"].quantities == rows["b"].quantities
    assert [*rows["a"].provenance.weights.values()] == [*rows["b"].provenance.weights.values()]


def test_a_full_disk_ends_the_run_and_no_row_is_lost_or_broken(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {f"g{number}": [number] for number in range(9)})
    args = ["measure", root, "--metrics", "error_rate", "--out"]
    whole = tmp_path / "whole.jsonl"
    assert mdtree(*args, whole).code == 0
    with mounted(tmp_path / "small", "size=4k") as small:
        out = small / "rows.jsonl"
        ran = mdtree(*args, out)
        assert ran.code == 5
        assert "cannot be written: No space left on device" in ran.err
        kept = rows_without_times(out)
        assert 0 < len(kept) < 9
        assert kept == rows_without_times(whole)[: len(kept)]
        (larger := tmp_path / "larger.jsonl").write_bytes(out.read_bytes())
    assert mdtree(*args, larger).code == 0
    assert rows_without_times(larger) == rows_without_times(whole)


def test_a_place_that_is_read_only_is_told_before_anything_is_measured(mdtree, zoo, tmp_path):
    with mounted(tmp_path / "fixed", "ro,size=4k") as fixed:
        ran = mdtree("measure", zoo, "--metrics", "error_rate", "--out", fixed / "rows.jsonl")
    assert ran.code == 5
    assert "cannot be written" in ran.err
    assert "--out" in ran.err


def test_names_of_groups_make_no_paths_of_traces(tmp_path):
    from mdtree.measurement.failures import TracebackFiles
    from mdtree.rows import GroupFailure

    root = write_zoo(tmp_path / "zoo", {"a": [0]})
    (task,) = find_groups(request(root))
    row = measure_or_fail(task).row
    traces = TracebackFiles(tmp_path / "rows.jsonl")
    names = ["../../up", "a/b", "a_b", "a\x00b", "é" * 300, "a" * 300]
    kept = [
        traces.keep(
            replace(row, group=name, failure=GroupFailure(kind="E", reason="r")), f"of {name}"
        )
        for name in names
    ]
    files = [tmp_path / each.failure.trace for each in kept]
    assert len(set(files)) == len(names)
    assert {file.parent for file in files} == {tmp_path / "rows.jsonl.failures"}
    assert all(file.is_file() for file in files)
