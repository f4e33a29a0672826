"""A tiny zoo that was trained and measured, and trees that advise a change of it."""

from __future__ import annotations

from pathlib import Path

from mdtree.measurement import make_request, measure
from mdtree.models import mlp
from mdtree.recipes import Trust, Zoo
from mdtree.trees import RemedyGain, write_tree
from mdtree.zoo import train_zoo
from tests.support.trees import leaf, small_tree, split

# an epoch has ten steps; a learning rate of 0.001 does not come far in forty of them
CONFIG = {
    "model": {"factory": "mlp", "kwargs": {"inputs": 64, "width": "$width"}},
    "data": {"source": "digits", "amount": 200},
    "training": {"learning_rate": "$learning_rate", "batch_size": 20, "epochs": 4},
    "grid": {"width": [8], "learning_rate": [0.001, 0.01]},
    "seeds": 2,
    "name": "w{width}-r{learning_rate}",
}
COLD, WARM = "w8-r0.001", "w8-r0.01"
MODES = ("data_small", "model_small", "none", "temperature_high", "temperature_low")


def own_network(inputs, width):
    return mlp(inputs, width)


def trained_and_measured(folder: Path, **parts: object) -> Path:
    zoo = Zoo.model_validate({**CONFIG, **parts})
    train_zoo(zoo, folder=folder, out=folder, trust=Trust())
    request = make_request(folder, metrics=("error_rate",), device="cpu")
    measure(request, out=folder / "rows.jsonl")
    return folder


def advising(
    mode="temperature_low",
    remedy="raise_temperature",
    fact="learning_rate",
    factor=8.0,
    **others,
):
    """Return a tree that always answers `mode`, and expects 20 points (5 to 40) from its remedy."""
    way = RemedyGain(low=5.0, high=40.0, fact=fact, factor=factor)
    return small_tree(
        leaf(mode, gains={remedy: 20.0}, ways={remedy: way}, **{**others, mode: 10.0}),
        features=("train_error",),
        task="failure",
        classes=MODES,
    )


def advising_the_cold_alone(threshold: float = 40.0):
    """Return a tree that finds groups with a high training error cold, and others well."""
    way = RemedyGain(low=5.0, high=40.0, fact="learning_rate", factor=80.0)
    cold = leaf(
        "temperature_low",
        gains={"raise_temperature": 20.0},
        ways={"raise_temperature": way},
        temperature_low=10.0,
    )
    return small_tree(
        split("train_error", threshold, leaf("none", none=10.0), cold),
        features=("train_error",),
        task="failure",
        classes=MODES,
    )


def tree_file(folder: Path, tree, name: str = "tree.json") -> Path:
    write_tree(folder / name, tree)
    return folder / name
