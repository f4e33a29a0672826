"""Zoos: groups of networks that are trained on purpose, to be measured and learnt from."""

from mdtree.zoo.demo import train_demo

__all__ = ["train_demo"]
