"""Zoos: networks that are trained on purpose, on a grid of facts."""

from mdtree.zoo.demo import FAULTS, demo_zoo
from mdtree.zoo.plan import Price, prices
from mdtree.zoo.train import CONFIG_NAME, ZooTrainingSummary, pending, train_zoo

__all__ = [
    "CONFIG_NAME",
    "FAULTS",
    "Price",
    "ZooTrainingSummary",
    "demo_zoo",
    "pending",
    "prices",
    "train_zoo",
]
