"""The plan of a zoo: its members in order, where their data are, and what they will cost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mdtree.exceptions import DataError, MdtreeError
from mdtree.progress import Silent
from mdtree.recipes import (
    Animals,
    Digits,
    FactoryData,
    Images,
    Tensors,
    TorchvisionData,
    Trust,
    Zoo,
)
from mdtree.zoo.plan import by_axis, members, placed, prices, total


class Watch(Silent):
    """Progress that is remembered."""

    def start(self, total, stage=""):
        self.total, self.done = total, []

    def step(self, done):
        self.done.append(done)


def zoo(grid, model="cnn", data=None, seeds=1, **training):
    return Zoo.model_validate(
        {
            "model": {"factory": model, "kwargs": {"width": "$width" if "width" in grid else 2}},
            "data": {"source": "digits", "amount": 7, **(data or {})},
            "training": {"learning_rate": 0.1, "batch_size": 3, "epochs": 2, **training},
            "grid": grid,
            "seeds": seeds,
        }
    )


def planned(made, out=Path("out")):
    return members(made, out, trust=Trust(any_factory=True), device="cpu")


def test_the_seeds_of_a_group_stand_beside_each_other_with_all_their_facts():
    grid = {"epochs": [1, 2], "batch_size": [3, 4]}
    made = zoo(grid, seeds=2, epochs="$epochs", batch_size="$batch_size")
    everyone = planned(made.model_copy(update={"facts": {"width": 2}}))

    groups = [f"epochs-{epochs}_batch_size-{batch}" for epochs in (1, 2) for batch in (3, 4)]
    assert [f"{group}/seed-{seed}" for group in groups for seed in (0, 1)] == [
        member.name for member in everyone
    ]
    assert everyone[2].facts == {"width": 2, "epochs": 1, "batch_size": 4}
    assert everyone[2].weights == Path("out/epochs-1_batch_size-4/seed-0.safetensors")
    assert everyone[2].record == Path("out/epochs-1_batch_size-4/seed-0.json")


@pytest.mark.parametrize(
    ("data", "full"),
    [
        (Digits(), Digits()),
        (FactoryData(source="a:b"), FactoryData(source="a:b")),
        (Animals(), Animals()),
        (Animals(root="d"), Animals(root="/home/z/d")),
        (Images(root="../d"), Images(root="/home/d")),
        (Images(root="/d"), Images(root="/d")),
        (TorchvisionData(name="MNIST", root="."), TorchvisionData(name="MNIST", root="/home/z")),
        (Tensors(train="t.npz"), Tensors(train="/home/z/t.npz")),
        (
            Tensors(train="t.npz", test="x/v.npz"),
            Tensors(train="/home/z/t.npz", test="/home/z/x/v.npz"),
        ),
    ],
)
def test_data_are_placed_from_the_folder_of_the_config(data, full):
    made = zoo({"momentum": [0.5]}, momentum="$momentum").model_copy(update={"data": data})
    resolved = placed(made, Path("/home/z"))
    assert resolved.data == full
    assert resolved == made.model_copy(update={"data": full})


def test_steps_and_items_are_counted_for_each_member():
    """7 items: two steps of 3, one of 4, and one of all 7 where the batch is larger."""
    grid = {"batch_size": [3, 4, 100], "data_amount": [7, 2]}
    made = zoo(grid, data={"amount": "$data_amount"}, batch_size="$batch_size", epochs=5, steps=8)
    counted = [(price.steps, price.items) for price in prices(planned(made))]
    assert counted == [(8, 8 * 3), (5, 5 * 2), (5, 5 * 4), (5, 5 * 2), (5, 5 * 7), (5, 5 * 2)]


def test_the_time_grows_with_the_steps_and_is_measured_once_for_each_network():
    grid = {"epochs": [1, 10], "batch_size": [3, 6]}
    made = zoo(grid, seeds=2, epochs="$epochs", batch_size="$batch_size")
    (few, _, _, _, many, twin, wide, _) = (price.time.seconds for price in prices(planned(made)))
    assert many == pytest.approx(10 * few)
    assert many == twin > 0
    assert 0 < wide <= many  # half of the steps, with twice the items


def test_a_price_draws_no_random_numbers_and_needs_no_folder(tmp_path):
    made = zoo({"momentum": [0.5]}, momentum="$momentum", warmup=0.5)
    before = torch.random.get_rng_state()
    (price,) = prices(planned(made, tmp_path / "none"))
    assert price.member.name == "momentum-0.5/seed-0"
    assert torch.equal(before, torch.random.get_rng_state())
    assert not (tmp_path / "none").exists()


def test_one_item_has_a_price(tmp_path):
    made = zoo({"momentum": [0]}, data={"amount": 1}, momentum="$momentum", epochs=3)
    (price,) = prices(planned(made))
    assert (price.steps, price.items) == (3, 3)
    assert price.time.seconds > 0


def test_each_shape_is_timed_twice_and_the_range_is_told():
    """A machine that is busy in the first round puts off one timing of one shape."""
    grid = {"width": [2, 3], "batch_size": [50, 100]}
    made = zoo(grid, data={"amount": 100}, seeds=2, batch_size="$batch_size")
    timings = iter([10, 10, 2, 2, 1, 1, 2, 2])  # of few and many items: widths 2, 3, and again
    watch = Watch()
    told = prices(planned(made), watch, time_step=lambda *_: float(next(timings)))
    assert (watch.total, watch.done) == (4, ["width-2_batch_size-50", "width-3_batch_size-50"] * 2)
    # two epochs: 4 steps of half of the items, or 2 of all
    assert [(price.time.low, price.time.high) for price in told] == [
        (4, 40), (4, 40), (2, 20), (2, 20), (8, 8), (8, 8), (4, 4), (4, 4)
    ]  # fmt: skip
    assert told[0].time.seconds == pytest.approx(4 * 10**0.5)
    whole = total(told)
    assert (whole.low, whole.high) == (12 + 24, 120 + 24)

    summed = {(axis.axis, axis.value): axis for axis in by_axis(made, told)}
    assert [*summed] == [("width", 2), ("width", 3), ("batch_size", 50), ("batch_size", 100)]
    assert {(axis.groups, axis.members) for axis in summed.values()} == {(2, 4)}
    assert (summed["width", 3].time.low, summed["width", 3].time.high) == (24, 24)
    assert (summed["batch_size", 50].time.low, summed["batch_size", 50].time.high) == (24, 96)
    assert (summed["batch_size", 100].steps, summed["batch_size", 100].items) == (8, 800)


@pytest.mark.parametrize(
    ("parts", "kind", "reason"),
    [
        (
            {"model": "tests.support.cases:Broken"},
            MdtreeError,
            "seed-0 cannot be trained: KeyError",
        ),
        ({"data": {"amount": 5000}}, DataError, "amount must be at most the 1200 training"),
        ({"data": {"source": "images", "root": "/not/there"}}, DataError, "/not/there"),
    ],
)
def test_what_cannot_be_trained_has_no_price(parts, kind, reason):
    made = zoo({"momentum": [0.5]}, momentum="$momentum", **parts)
    with pytest.raises(kind, match=reason):
        list(prices(planned(made)))
