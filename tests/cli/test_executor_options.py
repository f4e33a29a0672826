from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from mdtree.cli.executor_options import (
    executor_options,
    make_executor_config,
    results_alone,
    share_of_work,
)
from mdtree.exceptions import MdtreeError
from mdtree.executors import HERE, ExecutorConfig


def options(*args):
    """Read words of a command line as commands do."""
    chosen = {}

    @click.command()
    @executor_options
    def command(**given):
        chosen.update(given)

    ran = CliRunner().invoke(command, list(args))
    if ran.exit_code:
        raise MdtreeError(ran.output)
    return chosen


def test_without_any_word_the_work_is_done_here():
    assert make_executor_config(options(), "cpu") == HERE
    assert HERE.is_here


@pytest.mark.parametrize(
    ("args", "executor"),
    [
        (["--workers", "3"], ExecutorConfig(workers=3)),
        (["--ray"], ExecutorConfig(ray="local")),
        (
            ["--ray", "10.0.0.1:6379", "--workers", "8"],
            ExecutorConfig(ray="10.0.0.1:6379", workers=8),
        ),
        (["--timeout-per-group", "1.5", "--retries", "0"], ExecutorConfig(timeout=1.5, retries=0)),
        (["--memory-per-group", "4G"], ExecutorConfig(memory=4 * 2**30)),
        (["--memory-per-group", "4"], ExecutorConfig(memory=4 * 2**30)),
        (["--memory-per-group", "1.5 GiB"], ExecutorConfig(memory=3 * 2**29)),
        (["--memory-per-group", "500m"], ExecutorConfig(memory=500 * 2**20)),
    ],
)
def test_words_make_a_crew(args, executor):
    assert make_executor_config(options(*args), "cpu") == executor


@pytest.mark.parametrize("amount", ["0", "-1", "much", "4T", "1e3", ""])
def test_what_is_no_amount_of_memory_is_told_with_what_is(amount):
    with pytest.raises(MdtreeError, match="write it like 4G or 500M"):
        options("--memory-per-group", amount)


@pytest.mark.parametrize(
    "args",
    [
        ["--workers", "0"],
        ["--timeout-per-group", "0"],
        ["--retries", "-1"],
        ["--gpus-per-worker", "0"],
    ],
)
def test_numbers_that_make_no_sense_are_told(args):
    with pytest.raises(MdtreeError, match="is not in the range"):
        options(*args)


@pytest.mark.parametrize(
    ("args", "device"),
    [(["--gpus-per-worker", "0.5"], "cuda"), (["--ray", "--gpus-per-worker", "0.5"], "cpu")],
)
def test_shares_of_gpus_need_ray_and_gpus(args, device):
    with pytest.raises(MdtreeError, match="--gpus-per-worker needs --ray and --device cuda"):
        make_executor_config(options(*args), device)


def test_on_ray_the_share_of_a_gpu_is_said_or_found_out():
    assert make_executor_config(options("--ray"), "cuda").gpus is None
    assert make_executor_config(options("--gpus-per-worker", "0.25", "--ray"), "cuda").gpus == 0.25
    assert make_executor_config(options("--ray"), "cpu").gpus == 0.0


def test_processes_are_spread_over_gpus_and_ray_does_that_itself(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert make_executor_config(options("--workers", "4"), "cuda").devices == ("0", "3")
    assert make_executor_config(options("--workers", "4"), "cuda:1").devices == ()
    assert make_executor_config(options("--ray"), "cuda").devices == ()


def test_times_are_divided_by_workers_that_are_known():
    assert [share_of_work(options(*args)) for args in ([], ["--workers", "5"], ["--ray"])] == [
        1,
        5,
        1,
    ]


def test_on_ray_stdout_is_left_to_results(capsys):
    with results_alone(options("--ray")):
        sys.stdout.write("(raylet) a worker died\n")
    with results_alone(options()):
        sys.stdout.write("result\n")
    assert (sys.stdout, *capsys.readouterr()) == (
        sys.stdout,
        "result\n",
        "(raylet) a worker died\n",
    )
