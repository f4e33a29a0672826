"""Zoos: networks that are trained on purpose, on a grid of facts."""

from mdtree.zoo.demo import FAULTS, demo_zoo
from mdtree.zoo.plan import AxisPrice, Price, TimeEstimate, by_axis, prices, total
from mdtree.zoo.train import CONFIG_NAME, ZooTrainingSummary, names_to_trust, pending, train_zoo

__all__ = [
    "CONFIG_NAME",
    "FAULTS",
    "AxisPrice",
    "Price",
    "TimeEstimate",
    "ZooTrainingSummary",
    "by_axis",
    "demo_zoo",
    "names_to_trust",
    "pending",
    "prices",
    "total",
    "train_zoo",
]
