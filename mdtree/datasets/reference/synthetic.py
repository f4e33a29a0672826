"""Synthetic tasks with parameters: overlap, distractors, size of a teacher, depth, modulus."""

from __future__ import annotations

import torch

from mdtree.datasets.reference.halves import (
    Halves,
    even_labels,
    evenly_split,
    generator,
    halved,
    refuse_endless,
    refuse_less,
)
from mdtree.exceptions import DataError

__all__ = ["boxes", "factors", "mixture", "modular", "parity", "shells", "teacher"]

_DEEPEST = 12  # cuts of a cube: 4,096 boxes
_SPARE = 3  # times as many points as needed, so that the rarest class has enough


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
    """Draw points around several centres per class; `spread` is their overlap.

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
    """Label standard normal points with a random network, in balanced classes.

    y = argmax standardised(V tanh(2 W x / sqrt(inputs)));  all entries are standard normal
    """
    random = generator(seed)
    x = torch.randn(_SPARE * (train + test), inputs, generator=random)
    first = torch.randn(inputs, hidden, generator=random) * 2 / inputs**0.5
    second = torch.randn(hidden, classes, generator=random)
    scores = torch.tanh(x @ first) @ second
    y = ((scores - scores.mean(0)) / scores.std(0)).argmax(1)
    return evenly_split(x, y, train, test, random)


def boxes(
    *,
    classes: int = 4,
    depth: int = 5,
    inputs: int = 8,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Cut a cube into 2^depth boxes with equally many points, as a tree does; each box has a class.

    x is uniform in [-1, 1]^inputs;  every cut is at the median of a random column of its box;  the
    classes alternate over the boxes in random order
    """
    refuse_less(1, classes=classes, depth=depth, inputs=inputs, train=train, test=test)
    if depth > _DEEPEST:
        raise DataError(f"depth must be at most {_DEEPEST}, got {depth}")
    if 2**depth < classes:
        raise DataError(f"{2**depth} boxes are too few for {classes} classes: raise depth")
    random = generator(seed)
    x = 2 * torch.rand(_SPARE * (train + test), inputs, generator=random) - 1
    box = torch.zeros(len(x), dtype=torch.long)
    for _ in range(depth):
        halves = 2 * box
        for part in range(int(box.max()) + 1):
            inside = box == part
            column = x[inside, int(torch.randint(inputs, (1,), generator=random))]
            halves[inside] += (column > column.median()).long()
        box = halves
    kinds = torch.randperm(2**depth, generator=random) % classes
    return evenly_split(x, kinds[box], train, test, random)


def shells(
    *,
    classes: int = 4,
    inputs: int = 10,
    relevant: int = 5,
    waves: float = 1.0,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Classify points by their distance from the origin, in a stretched and rotated space.

    y = the quantile, one of `classes`, of r + sin(waves pi a) / 2,
    r = |z| over the median, z the first `relevant` columns of A x, a = z_1;  x is standard normal
    """
    refuse_less(1, classes=classes, inputs=inputs, relevant=relevant, train=train, test=test)
    refuse_endless(waves=waves)
    if relevant > inputs:
        raise DataError(f"relevant must be at most inputs = {inputs}, got {relevant}")
    random = generator(seed)
    x = torch.randn(_SPARE * (train + test), inputs, generator=random)
    turned = torch.linalg.qr(torch.randn(inputs, inputs, generator=random))[0]
    z = (x @ turned)[:, :relevant] * (0.5 + torch.rand(relevant, generator=random))
    radius = z.norm(dim=1)
    score = radius / radius.median() + torch.sin(waves * torch.pi * z[:, 0]) / 2
    place = score.argsort().argsort()
    return evenly_split(x, place * classes // len(x), train, test, random)


def factors(
    *,
    classes: int = 5,
    hidden: int = 4,
    inputs: int = 16,
    noise: float = 0.3,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Classify a few hidden factors by many noisy measurements, some of them binary.

    x = A z + noise e, of every third column only the sign;  y = argmax of a random network of z, in
    balanced classes
    """
    refuse_less(1, classes=classes, hidden=hidden, inputs=inputs, train=train, test=test)
    refuse_endless(noise=noise)
    random = generator(seed)
    z = torch.randn(_SPARE * (train + test), hidden, generator=random)
    loads = torch.randn(hidden, inputs, generator=random) / hidden**0.5
    x = z @ loads + noise * torch.randn(len(z), inputs, generator=random)
    x[:, ::3] = x[:, ::3].sign()
    first = torch.randn(hidden, 6 * classes, generator=random) * 1.5
    second = torch.randn(6 * classes, classes, generator=random)
    scores = torch.tanh(z @ first + torch.randn(6 * classes, generator=random)) @ second
    y = ((scores - scores.mean(0)) / scores.std(0)).argmax(1)
    return evenly_split(x, y, train, test, random)


def parity(
    *, relevant: int = 3, bits: int = 16, train: int = 4096, test: int = 2500, seed: int = 0
) -> Halves:
    """Compute the parity of the first bits; the other bits are distractors.

    x = +-1 (1 is a one);  y = (number of ones among x_1 ... x_relevant) mod 2

    No pattern is in both halves: all are drawn without repetition.
    """
    if train + test > 2**bits:
        raise DataError(
            f"{bits} bits have only {2**bits} patterns, got train + test {train + test}"
        )
    random = generator(seed)
    number = torch.randperm(2**bits, generator=random)[: train + test]
    ones = (number.unsqueeze(1) >> torch.arange(bits)) & 1
    return halved(2.0 * ones - 1, ones[:, :relevant].sum(1) % 2, train)


def modular(
    *, modulus: int = 13, numbers: int = 78, train: int = 3200, test: int = 2000, seed: int = 0
) -> Halves:
    """Add two numbers modulo `modulus`.

    x = (a, b), ids from 0 to numbers - 1;  y = (a + b) mod modulus

    No pair is in both halves: all are drawn without repetition.
    """
    if train + test > numbers**2:
        raise DataError(f"there are only {numbers**2} pairs, got train + test {train + test}")
    random = generator(seed)
    pair = torch.randperm(numbers**2, generator=random)[: train + test]
    x = torch.stack([pair // numbers, pair % numbers], dim=1)
    return halved(x, x.sum(1) % modulus, train)
