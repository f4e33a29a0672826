"""What was fetched from a storage is gone, however the process ended that had fetched it."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path

import pytest

from mdtree.checkpoints import fetched, remove_temporary_folders
from tests.support.stopping import WAITING_NETWORK
from tests.support.troubled import EXECUTORS, run_command
from tests.support.worker_tasks import PATH, eventually
from tests.support.zoos import change_recipe, rows_of, write_zoo

DYING = """
import os, signal
from pathlib import Path
from torch import nn
from mdtree.models import cnn
HERE = Path(__file__).parent
class Net(nn.Sequential):
    def forward(self, x):
        fetched = [*Path(os.environ["TMPDIR"]).glob("mdtree-fetched-*/files/*/*.safetensors")]
        (HERE / f"fetched-{len(fetched)}").touch()
        if not (HERE / "healed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)
def net(width):
    return Net(*cnn(width=width))
"""


@pytest.fixture
def place(monkeypatch):
    """A folder for temporary files that nobody else uses; its name is short, for Ray's sockets."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setenv("PYTHONPATH", PATH)  # of networks that wait
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def stored(tmp_path, source):
    """Write a storage of two groups, and give the command that measures it."""
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1], "b": [2, 3]})
    module = f"leaving_{abs(hash(str(tmp_path)))}"
    change_recipe(root, model={"factory": f"{module}:net", "kwargs": {"width": 2}})
    recipe = tmp_path / "recipe.yaml"
    (root / "mdtree.yaml").rename(recipe)
    (tmp_path / f"{module}.py").write_text(source)
    return [
        *("measure", root.as_uri(), "--recipe", recipe, "--metrics", "error_rate"),
        *("--out", tmp_path / "rows.jsonl", "--json"),
    ]


def left(place):
    return sorted(path.name for path in place.iterdir() if path.name.startswith("mdtree"))


@pytest.mark.parametrize(
    ("how", "workers"),
    [(signal.SIGTERM, 1), (signal.SIGHUP, 1), (signal.SIGINT, 1), (signal.SIGTERM, 2)],
)
def test_it_is_gone_when_the_command_is_asked_to_end(
    mdtree, tmp_path, place, stop_ready_command, *, how, workers
):
    args = stored(tmp_path, WAITING_NETWORK)
    until = place / "*.safetensors"  # once a network is fetched
    code, _, said = stop_ready_command([*args, "--workers", workers], how, until=until)
    assert code == (130 if how == signal.SIGINT else 128 + how)
    assert said == "\nInterrupted. Run the same command again to resume.\n"
    assert left(place) == []
    assert mdtree(*args).code == 0
    assert rows_of(tmp_path / "rows.jsonl").keys() == {"a", "b"}


@pytest.mark.usefixtures("ready_workers")
@pytest.mark.parametrize("way", EXECUTORS)
def test_it_is_gone_after_workers_were_killed(mdtree, tmp_path, place, way):
    args = [*stored(tmp_path, DYING), *way, "--retries", 0]
    if "--ray" in way:  # whose cluster takes its folder for temporary files once and for all
        ran = run_command(args)
        code, out, err = ran.returncode, ran.stdout, ran.stderr
    else:
        ran = mdtree(*args)
        code, out, err = ran.code, ran.out, ran.err
    assert (code, len(json.loads(out)["failed"])) == (1, 2), err
    assert [*tmp_path.glob("fetched-*")]
    assert left(place) == []


def test_what_a_killed_command_has_left_goes_with_the_next(
    mdtree, tmp_path, place, stop_ready_command
):
    args = stored(tmp_path, WAITING_NETWORK)
    stop_ready_command(args, signal.SIGKILL, until=place / "*.safetensors")
    assert len(left(place)) == 1
    assert mdtree(*args).code == 0
    assert left(place) == []


HOLDING = """
import signal, sys
from pathlib import Path
from mdtree.checkpoints import fetched
with fetched(sys.argv[1], [Path("0.pt")]) as (file,):
    Path(sys.argv[2]).write_text(str(file) + "\\n")
    while True:
        signal.pause()
"""


def test_what_others_still_need_stays(tmp_path, place, ready_program):
    (tmp_path / "0.pt").write_bytes(b"x")
    known = tmp_path / "where"
    with ready_program(HOLDING, tmp_path.as_uri(), known) as other:
        assert eventually(lambda: known.exists() and known.read_text().endswith("\n"))
        file = Path(known.read_text().strip())
        remove_temporary_folders()
        assert file.exists()
        with fetched(tmp_path.as_uri(), []):
            assert file.exists()
        other.kill()
        other.communicate()
        assert file.exists()
        remove_temporary_folders()
    assert not file.exists()
    assert left(place) == []


def test_nothing_else_is_taken_for_what_was_left(tmp_path, place):
    """Whoever shares the folder of temporary files may lay out traps."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / ".lock").touch()
    (mine / "precious").touch()
    (place / "mdtree-fetched-link").symlink_to(mine)
    (place / "mdtree-fetched-bare").mkdir()
    (place / "mdtree-fetched-file").touch()
    (place / "mdtree-demo").mkdir()
    (place / "mdtree-demo" / ".lock").touch()
    before = left(place)
    remove_temporary_folders()
    assert left(place) == before
    assert (mine / "precious").exists()
