"""Training a whole zoo: what is whole is kept, what is missing is trained, nothing is mixed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mdtree.exceptions import DataError, MdtreeError, RecipeError
from mdtree.models import cnn
from mdtree.progress import Silent
from mdtree.recipes import Trust, read_recipe
from mdtree.zoo import OUT_OF_TIME, pending, train_zoo
from tests.support.zoo_training import BASE_CONFIG, contents, trained_zoo, zoo


class Heard(Silent):
    """Progress that remembers."""

    def __init__(self):
        self.total, self.names = None, []

    def start(self, total, stage=""):
        self.total = total

    def step(self, done):
        self.names.append(done)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Hold a zoo of two groups of two members that was never disturbed."""
    out = tmp_path_factory.mktemp("whole") / "zoo"
    assert trained_zoo(out).trained == 4
    return out


def test_a_zoo_is_its_config_a_recipe_and_its_members(tmp_path):
    heard = Heard()
    run = train_zoo(zoo(), folder=Path(), out=tmp_path / "new/zoo", trust=Trust(), progress=heard)
    names = [f"width-{width}/seed-{seed}" for width in (2, 3) for seed in (0, 1)]
    files = [f"{name}.{end}" for name in names for end in ("json", "safetensors")]
    assert [*contents(run.out)] == [".zoo.lock", "mdtree.yaml", *files, "zoo.yaml"]
    assert (heard.total, heard.names) == (4, names)
    assert (run.groups, run.trained, run.already) == (2, 4, 0)
    assert (run.diverged, run.failed) == ((), {})
    assert run.seconds > 0


def test_what_is_whole_is_kept_and_the_rest_trained_to_the_same_bits(whole, tmp_path):
    out = tmp_path / "zoo"
    trained_zoo(out)
    (out / "width-2" / "seed-1.json").unlink()
    (out / "width-3" / "seed-0.safetensors").unlink()
    (out / "width-3" / ".seed-1.safetensors.new").write_text("left by a kill")
    (out / "width-3" / "seed-1.json").write_text("")
    old = (out / "width-2" / "seed-0.safetensors").stat().st_mtime_ns

    again = trained_zoo(out)

    assert (again.trained, again.already) == (3, 1)
    assert contents(out) == contents(whole)
    assert (out / "width-2" / "seed-0.safetensors").stat().st_mtime_ns == old
    assert trained_zoo(out).already == 4


def mortal(width):
    if width == 3:
        os._exit(7)
    return cnn(width)


@pytest.mark.usefixtures("ready_workers")
def test_a_worker_that_dies_costs_its_own_member_alone_and_others_have_the_same_bits(
    whole, tmp_path
):
    parts = {
        "model": {"factory": "tests.zoo.test_train:mortal", "kwargs": {"width": "$width"}},
        "seeds": 1,
    }
    run = trained_zoo(tmp_path, workers=2, **parts)
    assert [*run.failed] == ["width-3/seed-0"]
    assert "the worker process died" in run.failed["width-3/seed-0"]
    assert (run.trained, run.already, run.diverged) == (1, 0, ())
    left = contents(tmp_path)
    assert [name for name in left if "/" in name] == [
        "width-2/seed-0.json",
        "width-2/seed-0.safetensors",
    ]
    assert left["width-2/seed-0.safetensors"] == contents(whole)["width-2/seed-0.safetensors"]
    todo, _ = pending(zoo(**parts), folder=Path(), out=tmp_path, trust=Trust())
    assert [member.name for member in todo] == ["width-3/seed-0"]


def picky(width):
    if width == 3 and not Path("mended").exists():
        raise ValueError("three is odd")
    return cnn(width)


def test_a_member_that_cannot_be_trained_is_told_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = {"factory": "tests.zoo.test_train:picky", "kwargs": {"width": "$width"}}
    first = trained_zoo(tmp_path / "zoo", model=model)
    assert (first.trained, [*first.failed]) == (2, ["width-3/seed-0", "width-3/seed-1"])
    assert "ValueError: three is odd" in first.failed["width-3/seed-0"]
    Path("mended").touch()
    second = trained_zoo(tmp_path / "zoo", model=model)
    assert (second.trained, second.already, second.failed) == (2, 2, {})


def test_a_member_that_diverges_is_told_each_time_and_trained_once(tmp_path):
    parts = {
        "training": {**BASE_CONFIG["training"], "learning_rate": "$learning_rate"},
        "grid": {"width": [2], "learning_rate": [1e12, 0.05]},
        "seeds": 1,
    }
    name = "width-2_learning_rate-1000000000000.0/seed-0"
    for count in (2, 0):
        run = trained_zoo(tmp_path, **parts)
        assert (run.trained, run.already) == (count, 2 - count)
        assert (run.diverged, run.failed) == ((name,), {})
    assert [path.parent.name for path in tmp_path.rglob("*.safetensors")] == [
        "width-2_learning_rate-0.05"
    ]


def test_the_places_of_data_begin_at_the_config_and_are_kept_in_full(tmp_path, monkeypatch):
    import numpy as np

    (tmp_path / "home").mkdir()
    np.savez(tmp_path / "home" / "x.npz", x=np.ones((20, 1, 8, 8), "float32"), y=np.arange(20) % 10)
    monkeypatch.chdir(tmp_path)
    made = zoo(data={"source": "tensors", "train": "x.npz"}, seeds=1)
    run = train_zoo(made, folder=Path("home"), out=Path("zoo"), trust=Trust())
    assert run.trained == 2
    monkeypatch.chdir("/")
    recipe = read_recipe(tmp_path / "zoo" / "mdtree.yaml")
    assert recipe.data.train == tmp_path / "home" / "x.npz"


AMOUNTS = {
    "data": {"source": "digits", "amount": "$data_amount"},
    "grid": {"width": [2], "data_amount": [50, 1201]},
}
TEXTS = {
    "model": {"factory": "$net", "kwargs": {"width": 2}},
    "grid": {"net": ["cnn", "resnet81"]},
}
LOSSES = {"loss": {"factory": "$loss"}, "grid": {"width": [2], "loss": ["mse", "msee"]}}


@pytest.mark.parametrize(
    ("parts", "kind", "reason"),
    [
        ({"model": {"factory": "cn", "kwargs": {"width": "$width"}}}, RecipeError, "did you mean"),
        ({"model": {"factory": "cnn", "kwargs": {"w": "$width"}}}, RecipeError, "no argument 'w'"),
        ({"loss": "mes"}, RecipeError, "loss 'mes' is unknown, did you mean 'mse'"),
        ({"data": {"source": "images", "root": "/not/there"}}, DataError, "/not/there"),
        (AMOUNTS, DataError, "amount must be at most the 1200 training items, got 1201"),
        (TEXTS, RecipeError, "model 'resnet81' is unknown, did you mean 'resnet18'"),
        (LOSSES, RecipeError, "loss 'msee' is unknown, did you mean 'mse'"),
    ],
)
def test_what_would_fail_after_hours_fails_at_once(tmp_path, parts, kind, reason):
    with pytest.raises(kind, match=reason) as error:
        trained_zoo(tmp_path, **parts)
    assert isinstance(error.value, MdtreeError)
    assert [path.name for path in tmp_path.iterdir()] == [".zoo.lock"]


def test_members_of_the_same_data_are_trained_one_after_another(tmp_path):
    heard = Heard()
    made = zoo(
        data={"source": "digits", "amount": "$data_amount"},
        grid={"width": [2, 3], "data_amount": [30, 20, 40]},
        seeds=1,
    )
    train_zoo(made, folder=Path(), out=tmp_path, trust=Trust(), progress=heard)
    amounts = [name.partition("amount-")[2] for name in heard.names]
    assert amounts == [f"{n}/seed-0" for n in (30, 30, 20, 20, 40, 40)]


def test_what_is_pending_is_told_without_a_trace(whole, tmp_path):
    todo, everyone = pending(zoo(), folder=Path(), out=tmp_path / "none", trust=Trust())
    assert len(todo) == len(everyone) == 4
    assert list(tmp_path.iterdir()) == []
    todo, everyone = pending(zoo(), folder=Path(), out=whole, trust=Trust())
    assert (len(todo), len(everyone)) == (0, 4)


def test_members_that_are_not_whole_at_the_deadline_are_left_for_the_next_call(whole, tmp_path):
    out = tmp_path / "zoo"
    where = {"folder": Path(), "out": out, "trust": Trust()}
    late = train_zoo(zoo(), **where, deadline=0.0)  # long ago
    assert set(late.failed.values()) == {OUT_OF_TIME}
    assert (len(late.failed), late.trained) == (4, 0)
    assert not [*out.rglob("*.safetensors")]
    assert train_zoo(zoo(), **where, deadline=time.time() + 3600).trained == 4
    assert contents(out) == contents(whole)
