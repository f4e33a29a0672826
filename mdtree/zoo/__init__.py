"""Zoos: networks that are trained on purpose, on a grid of facts."""

from mdtree.zoo.demo import FAULTS, demo_zoo
from mdtree.zoo.plan import AxisPrice, Price, TimeEstimate, by_axis, prices, total
from mdtree.zoo.train import CONFIG_NAME, ZooTrainingSummary, pending, train_zoo

__all__ = [
    "CONFIG_NAME",
    "FAULTS",
    "AxisPrice",
    "Price",
    "TimeEstimate",
    "ZooTrainingSummary",
    "by_axis",
    "demo_zoo",
    "pending",
    "prices",
    "total",
    "train_zoo",
]
