"""The real command, stopped in the middle by signals, and then run again."""

from __future__ import annotations

import signal

import pytest

from tests.support.stopping import WAITING_NETWORK, stop_command
from tests.support.zoos import change_recipe, lines_of, rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("error_rates_only")


@pytest.fixture
def waiting(tmp_path):
    """Three groups whose network waits for the signal that stops it."""
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1], "b": [2, 3], "c": [4, 5]})
    module = f"waiting_{tmp_path.name}"
    (root / f"{module}.py").write_text(WAITING_NETWORK)
    change_recipe(root, model={"factory": f"{module}:net", "kwargs": {"width": 2}})
    return ["measure", root, "--recipe", root / "mdtree.yaml", "--metrics", "error_rate", "--out"]


def stopped_at(args, out, how):
    """Stop the command after its first row."""
    return stop_command([*args, out], how, until=out)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (signal.SIGKILL, (-signal.SIGKILL, "", "")),
        (
            signal.SIGINT,
            (130, "", "\nInterrupted. Run the same command again to resume.\n"),
        ),
    ],
)
def test_a_stopped_run_goes_on_and_ends_like_one_that_was_not(
    mdtree, waiting, tmp_path, how, expected
):
    cut, whole = tmp_path / "cut.jsonl", tmp_path / "whole.jsonl"

    assert stopped_at(waiting, cut, how) == expected
    assert len(rows_of(cut)) == 1
    ran = mdtree(*waiting, cut)
    assert ran.code == 0
    assert "2 measured, 1 already there, 0 failed" in ran.out
    assert mdtree(*waiting, whole).code == 0
    assert lines_of(cut) == lines_of(whole)


def test_a_stopped_run_of_several_workers_goes_on_too(mdtree, waiting, tmp_path):
    ended, _, said = stopped_at(
        [*waiting[:-1], "--workers", 2, "--out"], tmp_path / "r.jsonl", signal.SIGINT
    )
    assert ended == 130
    assert "Traceback" not in said
    assert mdtree(*waiting, tmp_path / "r.jsonl").code == 0
    assert rows_of(tmp_path / "r.jsonl").keys() == {"a", "b", "c"}
