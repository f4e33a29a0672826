"""A linear classifier by least squares, in closed form.

    W = argmin |X W - Y|^2 + ridge |W|^2        X: features, Y: one column a class, both centred
    class of x = argmax (x W + mean of Y)

The ridge is the one with the least squared error of items that are left out one by one, which the
eigenvalues of X'X (or X X', if there are more features than items) give without fitting anew.

Hastie, Tibshirani, Friedman: "The Elements of Statistical Learning", 2009, sections 3.4.1 and 7.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LinearClassifier", "least_squares"]

_RIDGES = torch.logspace(-6, 2, 17, dtype=torch.float64)  # in units of the mean eigenvalue
_COLUMNS = 512  # solutions of all classes and ridges that are computed together
_LEAST_LEFT = 1e-9  # keeps a division finite where an item is fitted exactly


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Weights for standardised features."""

    mean: Tensor
    scale: Tensor
    weights: Tensor  # (features, classes)
    offset: Tensor  # (classes,)

    def classes_of(self, features: Tensor) -> Tensor:
        """Return the class of each line."""
        return (self._standard(features) @ self.weights + self.offset).argmax(1)

    def _standard(self, features: Tensor) -> Tensor:
        return (features.double() - self.mean) / self.scale


def least_squares(features: Tensor, labels: Tensor, classes: int) -> LinearClassifier:
    """Fit a linear classifier.

    Args:
        features: One line an item; all finite.
        labels: Class numbers, from 0 to `classes` - 1.
        classes: The number of classes.
    """
    exact = features.double()
    mean, scale = exact.mean(0), exact.std(0, correction=0)
    scale = torch.where(scale > 1e-9 * scale.max().clamp_min(1e-300), scale, torch.inf)
    lines = (exact - mean) / scale
    wanted = torch.nn.functional.one_hot(labels, classes).double()
    offset = wanted.mean(0)
    solve = _by_features if lines.shape[1] <= lines.shape[0] else _by_items
    return LinearClassifier(mean, scale, solve(lines, wanted - offset), offset)


def _by_features(lines: Tensor, wanted: Tensor) -> Tensor:
    """Solve by the eigenvalues of X'X."""
    values, vectors = torch.linalg.eigh(lines.T @ lines)
    rotated = lines @ vectors
    turned, squares = rotated.T @ wanted, rotated.square()
    errors = []
    for ridges in _parts(values, wanted):
        inverses = 1 / (values[:, None] + ridges)
        fits = _of_ridges(rotated, inverses, turned)
        own = (squares @ inverses).T
        errors += [_left_out(wanted - fit, pull) for fit, pull in zip(fits, own, strict=True)]
    ridge = _ridges(values)[int(torch.stack(errors).argmin())]
    return vectors @ (turned / (values + ridge)[:, None])  # type: ignore[no-any-return]


def _by_items(lines: Tensor, wanted: Tensor) -> Tensor:
    """Solve by the eigenvalues of X X'."""
    values, vectors = torch.linalg.eigh(lines @ lines.T)
    values = values.clamp_min(0)  # one is 0, as the lines are centred
    turned, squares = vectors.T @ wanted, vectors.square()
    errors = []
    for ridges in _parts(values, wanted):
        inverses = 1 / (values[:, None] + ridges)
        duals = _of_ridges(vectors, inverses, turned)
        own = (squares @ (values[:, None] * inverses)).T
        errors += [
            _left_out(ridge * dual, pull)
            for ridge, dual, pull in zip(ridges, duals, own, strict=True)
        ]
    ridge = _ridges(values)[int(torch.stack(errors).argmin())]
    return lines.T @ (vectors @ (turned / (values + ridge)[:, None]))  # type: ignore[no-any-return]


def _of_ridges(basis: Tensor, inverses: Tensor, turned: Tensor) -> Tensor:
    """Return basis @ (inverses * turned) for each ridge: (ridges, lines, classes)."""
    solutions = inverses[:, :, None] * turned[:, None]
    together = basis @ solutions.flatten(1)  # one product is much faster than one for each ridge
    return together.unflatten(1, solutions.shape[1:]).transpose(0, 1)  # type: ignore[no-any-return, no-untyped-call]


def _parts(values: Tensor, wanted: Tensor) -> Sequence[Tensor]:
    """Return the ridges in parts that fit into memory where there are many classes."""
    return _ridges(values).split(max(1, _COLUMNS // wanted.shape[1]))  # type: ignore[no-any-return, no-untyped-call]


def _left_out(residuals: Tensor, own: Tensor) -> Tensor:
    """Return the mean squared error of items that are left out, one by one.

    Args:
        residuals: What the fit to all items leaves.
        own: How far each item pulls the fit towards itself; the mean, which is fitted as well,
            adds 1 / n.
    """
    left = (1 - own - 1 / len(own)).clamp_min(_LEAST_LEFT)
    return (residuals / left[:, None]).square().mean()


def _ridges(values: Tensor) -> Tensor:
    """Return ridges in units of the mean eigenvalue; 1 where all features are constant."""
    mean = values.clamp_min(0).mean()
    return _RIDGES * (mean if float(mean) > 0 else 1.0)
