"""Synthetic tasks with dials: overlap, distractors, the size of a teacher, a modulus."""

from __future__ import annotations

import torch

from mdtree.datasets.reference.halves import (
    Halves,
    even_labels,
    evenly_split,
    generator,
    halved,
)
from mdtree.exceptions import DataError

__all__ = ["mixture", "modular", "parity", "teacher"]

_SPARE = 3  # times the points that are needed: the rarest class of a teacher has enough


def mixture(
    *,
    classes: int = 8,
    clumps: int = 4,
    dimensions: int = 12,
    spread: float = 0.7,
    train: int = 2048,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Draw points around centres, several of them for each class; `spread` is their overlap.

    x = c + spread e;  the centres c and the noise e are standard normal
    """
    random = generator(seed)
    centres = torch.randn(classes, clumps, dimensions, generator=random)
    y = even_labels(train, test, classes, random)
    clump = torch.randint(clumps, y.shape, generator=random)
    x = centres[y, clump] + spread * torch.randn(len(y), dimensions, generator=random)
    return halved(x, y, train)


def teacher(
    *,
    classes: int = 4,
    hidden: int = 8,
    inputs: int = 16,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Label standard normal points by a random network, each class equally often.

    y = argmax standardised(V tanh(2 W x / sqrt(inputs)));  all entries are standard normal
    """
    random = generator(seed)
    x = torch.randn(_SPARE * (train + test), inputs, generator=random)
    first = torch.randn(inputs, hidden, generator=random) * 2 / inputs**0.5
    second = torch.randn(hidden, classes, generator=random)
    scores = torch.tanh(x @ first) @ second
    y = ((scores - scores.mean(0)) / scores.std(0)).argmax(1)
    return evenly_split(x, y, train, test, random)


def parity(
    *, relevant: int = 3, bits: int = 16, train: int = 4096, test: int = 2500, seed: int = 0
) -> Halves:
    """Ask whether the number of ones among the first bits is odd; the other bits distract.

    x = +-1 (1 is a one);  y = (number of ones among x_1 ... x_relevant) mod 2

    No pattern is in both halves: all are drawn without repetition.
    """
    if train + test > 2**bits:
        raise DataError(f"{bits} bits have {2**bits} patterns, {train + test} are asked for")
    random = generator(seed)
    number = torch.randperm(2**bits, generator=random)[: train + test]
    ones = (number.unsqueeze(1) >> torch.arange(bits)) & 1
    return halved(2.0 * ones - 1, ones[:, :relevant].sum(1) % 2, train)


def modular(
    *, modulus: int = 13, numbers: int = 78, train: int = 3200, test: int = 2000, seed: int = 0
) -> Halves:
    """Add two numbers on a circle: what a number is modulo the modulus has to be found out.

    x = (a, b), ids from 0 to numbers - 1;  y = (a + b) mod modulus

    No pair is in both halves: all are drawn without repetition.
    """
    if train + test > numbers**2:
        raise DataError(f"there are {numbers**2} pairs, {train + test} are asked for")
    random = generator(seed)
    pair = torch.randperm(numbers**2, generator=random)[: train + test]
    x = torch.stack([pair // numbers, pair % numbers], dim=1)
    return halved(x, x.sum(1) % modulus, train)
