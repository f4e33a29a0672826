"""The real command, stopped in the middle by signals, and then run again."""

from __future__ import annotations

import signal

import pytest

from tests.support.stopping import WAITING_NETWORK, stop_command
from tests.support.zoos import change_recipe, lines_of, rows_of, write_zoo

INTERRUPTED = (130, "", "\nInterrupted. Run the same command again to resume.\n")

pytestmark = pytest.mark.usefixtures("error_rates_only")


@pytest.fixture
def waiting(tmp_path):
    """Three groups whose network waits for the signal that stops it."""
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1], "b": [2, 3], "c": [4, 5]})
    module = f"waiting_{tmp_path.name}"
    (root / f"{module}.py").write_text(WAITING_NETWORK)
    change_recipe(root, model={"factory": f"{module}:net", "kwargs": {"width": 2}})
    return ["measure", root, "--recipe", root / "mdtree.yaml", "--metrics", "error_rate", "--out"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (signal.SIGKILL, (-signal.SIGKILL, "", "")),
        (signal.SIGINT, INTERRUPTED),
    ],
)
def test_a_stopped_run_goes_on_and_ends_like_one_that_was_not(
    mdtree, waiting, tmp_path, stop_ready_command, *, how, expected
):
    cut, whole = tmp_path / "cut.jsonl", tmp_path / "whole.jsonl"

    assert stop_ready_command([*waiting, cut], how, until=cut) == expected
    assert len(rows_of(cut)) == 1
    ran = mdtree(*waiting, cut)
    assert ran.code == 0
    assert "2 measured, 1 already there, 0 failed" in ran.out
    assert mdtree(*waiting, whole).code == 0
    assert lines_of(cut) == lines_of(whole)


def test_a_stopped_run_of_several_workers_goes_on_too(mdtree, waiting, tmp_path):
    """As a user starts it, in a new Python."""
    out = tmp_path / "r.jsonl"
    command = [*waiting[:-1], "--workers", 2, "--out", out]
    assert stop_command(command, signal.SIGINT, until=out) == INTERRUPTED
    assert mdtree(*waiting, out).code == 0
    assert rows_of(out).keys() == {"a", "b", "c"}
