"""Zoos: groups of networks that are trained on purpose, to be measured and learnt from."""

from mdtree.zoo.demo import train_demo
from mdtree.zoo.training import Training, train

__all__ = ["Training", "train", "train_demo"]
