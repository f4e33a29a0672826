"""What many tests share: the command line run in this process, and tiny checkpoint directories."""

from __future__ import annotations

import functools
import gc
import gzip
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from threadpoolctl import threadpool_limits

from mdtree.cli import main, progress_bar
from mdtree.metrics import METRICS
from mdtree.metrics.budgets import HessianBudget, StandardHessian
from mdtree.metrics.hessian import hessian_metric
from mdtree.runtime.cores import cores
from mdtree.trees import bundled
from mdtree.trees.bundled import PUBLISHED_TABLE
from tests.support.ready_programs import (  # noqa: F401 - fixtures
    ready_code,
    ready_program,
    stop_ready_command,
)
from tests.support.ready_workers import _forking, ready_workers  # noqa: F401 - fixtures
from tests.support.valleys import few_steps
from tests.support.zoos import GROUPS, CommandResult, write_zoo

# The networks of tests are tiny: more threads are no faster, and far slower where the cores are
# busy with something else.  `MDTREE_TEST_THREADS=4` tests that more of them change no answer.
# Programs that tests start take it from the environment.
THREADS = int(os.environ.get("MDTREE_TEST_THREADS", "1"))
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS))
torch.set_num_threads(THREADS)
threadpool_limits(THREADS)  # NumPy and SciPy, which were loaded before this was said

# Programs that tests start keep what they have compiled of the package: else each compiles it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False  # nor are the asserts of all tests made anew for each run

# Where cores are busy, workers of Ray would have none, as they are nicer than all others.
os.environ.setdefault("RAY_worker_niceness", "0")

# Nor does the terminal in which they run change what is printed.
for _name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
    os.environ.pop(_name, None)

# What a shell starts with `&` ignores Ctrl-C, and what `nohup` starts the end of a terminal; the
# programs that tests stop would inherit that.
for _name, _usual in {
    "SIGINT": signal.default_int_handler,
    "SIGTERM": signal.SIG_DFL,
    "SIGHUP": signal.SIG_DFL,
}.items():
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _usual)

# The same examples in every run, so that a test is green or not; `make test-all` draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)
settings.load_profile("same")


gc.disable()  # all that is collected is kept

# files whose tests take longest: where a worker began with one of them at last, the others would
# have nothing left to do
LONGEST = (
    "reference/test_zoos.py",
    "test_transcripts.py",
    "executors/test_dispatch.py",
    "landscape/test_oom.py",
    "integrations/test_transformers.py",
    "render/test_accessibility.py",
    "integrations/test_lightning.py",
    "metrics/test_hessian.py",
)


assert all((Path(__file__).parent / name).exists() for name in LONGEST), LONGEST


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest (`--no-loadscope-reorder` keeps this order)."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


def pytest_xdist_auto_num_workers() -> int:
    """Let one more worker than there are cores run tests: many wait for what they have started."""
    return cores() + 1


def pytest_collection_finish() -> None:
    """Keep what was imported out of the garbage collector, which `within_memory` calls often.

    And let it not come by itself for every 700 new objects: that takes a twentieth of all time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _collection_read_once() -> Iterator[None]:
    """Unpack the reference collection once: that takes two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundled, "_unpacked", functools.cache(bundled._unpacked))
        yield


@pytest.fixture
def mdtree(capsys) -> Callable[..., CommandResult]:
    """Run a command in this process: mdtree("measure", folder, "--json").code == 0."""

    def run(*args: object) -> CommandResult:
        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(progress_bar, "_LINE", float("inf"))  # however busy the machine is
            with pytest.raises(SystemExit) as stop:
                main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return CommandResult(code=int(stop.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture(scope="session")
def published_table(tmp_path_factory) -> Path:
    """The published table as it was published, unpacked."""
    path = tmp_path_factory.mktemp("published") / "published.csv"
    path.write_bytes(gzip.decompress(PUBLISHED_TABLE.read_bytes()))
    return path


@pytest.fixture
def zoo(tmp_path) -> Path:
    """Two groups of two tiny networks each."""
    return write_zoo(tmp_path / "zoo", GROUPS)


@pytest.fixture
def error_rates_only(monkeypatch) -> None:
    """Let `mdtree measure` measure error rates alone, unless more is asked for by name."""
    for name, metric in METRICS.items():
        if name != "error_rate":
            monkeypatch.setitem(METRICS, name, replace(metric, on_request=True))


@pytest.fixture
def short_curves(monkeypatch) -> None:
    """Train curves for a few steps in this process, where no number of theirs is looked at."""
    monkeypatch.setitem(METRICS, "connectivity", few_steps(steps=12, epochs=2))


@pytest.fixture
def short_hessian(monkeypatch) -> None:
    """Take few steps and probes in this process, where no number of the curvature is looked at."""
    budget = HessianBudget(standard=StandardHessian(steps=8, least_probes=2, probes=4))
    monkeypatch.setitem(METRICS, "hessian", hessian_metric(budget))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Let what tests draw be the same in every run."""
    torch.manual_seed(0)
