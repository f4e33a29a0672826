"""What many tests share: the command line run in this process, and tiny checkpoint directories."""

from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import settings
from safetensors.torch import save_file
from threadpoolctl import threadpool_limits

from mdtree.cli import main
from mdtree.measurements import Row, read_rows
from mdtree.metrics import METRICS
from mdtree.models import cnn
from mdtree.shipped import PUBLISHED_TABLE

# The networks of tests are tiny: more threads are no faster, and far slower where the cores are
# busy with something else.  `MDTREE_TEST_THREADS=4` tests that more of them change no answer.
# Programs that tests start take it from the environment.
THREADS = int(os.environ.get("MDTREE_TEST_THREADS", "1"))
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS))
torch.set_num_threads(THREADS)
threadpool_limits(THREADS)  # NumPy and SciPy, which were loaded before this was said

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

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def mdtree(capsys) -> Callable[..., Ran]:
    """Run a command in this process: mdtree("measure", folder, "--json").code == 0."""

    def run(*args: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Ran(code=int(stop.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture(scope="session")
def published_table(tmp_path_factory) -> Path:
    """The published table as it was published, unpacked."""
    path = tmp_path_factory.mktemp("published") / "published.csv"
    path.write_bytes(gzip.decompress(PUBLISHED_TABLE.read_bytes()))
    return path


def write_zoo(root: Path, groups: dict[str, list[int]], *, width: int = 2) -> Path:
    """Write untrained CNNs: a folder for each group, a file for each seed, and a recipe."""
    for group, seeds in groups.items():
        (root / group).mkdir(parents=True)
        for seed in seeds:
            torch.manual_seed(seed)
            weights = cnn(width=width).state_dict()
            save_file(weights, root / group / f"seed-{seed}.safetensors")
    recipe = {
        "model": {"factory": "cnn", "kwargs": {"width": width}},
        "data": {"source": "digits", "amount": 50},
    }
    (root / "mdtree.yaml").write_text(yaml.safe_dump(recipe))
    return root


@pytest.fixture
def zoo(tmp_path) -> Path:
    """Two groups of two tiny networks each."""
    return write_zoo(tmp_path / "zoo", {"hot": [0, 1], "cold": [2, 3]})


@pytest.fixture
def error_rates_only(monkeypatch) -> None:
    """Let `mdtree measure` measure error rates alone, unless more is asked for by name."""
    for name, metric in METRICS.items():
        if name != "error_rate":
            monkeypatch.setitem(METRICS, name, replace(metric, on_request=True))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Let what tests draw be the same in every run."""
    torch.manual_seed(0)


def change(zoo: Path, **recipe: object) -> None:
    """Change parts of the recipe of a zoo."""
    path = zoo / "mdtree.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **recipe}))


def rows_of(path: Path) -> dict[str, Row]:
    """Read a file of measurements: group -> row."""
    return {row.group: row for row in read_rows(path)}
