"""The analysis of one checkpoint: its layers, skipped tensors, means over layers, and their flow.

Means and medians are over the layers that have the number, each with the same weight.  Embeddings
are left out by default, because their sizes are of another order.

Correlation Flow is alpha against depth.  In well trained networks alpha stays small from the first
layer to the last; an upward drift, or an unsteady alpha, means that correlations are lost with
depth (Martin, Peng, Mahoney 2021, section "Correlation Flow").  The paper has no formula; here it
is the Theil-Sen slope (the median over all pairs of layers), the interquartile range, and the share
above 6.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mdtree.checkpoints import LazyTensor
from mdtree.progress import Progress, Silent
from mdtree.runtime.device import single_threads
from mdtree.spectra.layer import Layer, Rules, analyse
from mdtree.spectra.matrix import Matrix, Skipped, find_matrices
from mdtree.spectra.state import State

__all__ = ["AVERAGED", "Analysis", "Flow", "analyse_all", "flow_of"]

_SILENT = Silent()
_LEAST = 4  # layers of a flow
_LEVEL = 0.9  # of the interval of a slope
_MUCH = 6.0  # alpha
AVERAGED = (
    "alpha",
    "alpha_hat",
    "log_norm",
    "log_spectral_norm",
    "log_alpha_norm",
    "stable_rank",
    "soft_rank",
)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The layers of one checkpoint, and averages over them."""

    layers: tuple[Layer, ...]  # in the order of the file
    skipped: tuple[Skipped, ...]
    rules: Rules
    embeddings: bool = False  # include embeddings in averages

    @property
    def averaged(self) -> tuple[Layer, ...]:
        """The layers that averages are taken over."""
        return tuple(x for x in self.layers if self.embeddings or x.kind != "embedding")

    def values(self, figure: str) -> list[float]:
        """Return a figure of all averaged layers that have it."""
        numbers = [getattr(layer.figures, figure) for layer in self.averaged]
        return [value for value in numbers if value is not None]

    def mean(self, figure: str) -> float | None:
        """Compute the mean of a figure over layers."""
        values = self.values(figure)
        return statistics.fmean(values) if values else None

    def median(self, figure: str) -> float | None:
        """Compute the median of a figure over layers."""
        values = self.values(figure)
        return statistics.median(values) if values else None

    def states(self) -> dict[State, int]:
        """Count the averaged layers in each state."""
        counts = Counter(layer.state for layer in self.averaged)
        return {state: counts[state] for state in State if counts[state]}

    @property
    def random_like(self) -> float | None:
        """Share of averaged layers that look like random matrices."""
        return self._share(lambda layer: layer.state is State.RANDOM)

    @property
    def traps(self) -> float | None:
        """Share of averaged layers with single huge weights, in any state."""
        return self._share(lambda layer: layer.trap)

    def _share(self, holds: Callable[[Layer], bool]) -> float | None:
        layers = self.averaged
        return sum(holds(layer) for layer in layers) / len(layers) if layers else None


def analyse_all(
    tensors: Iterable[LazyTensor],
    rules: Rules,
    *,
    embeddings: bool = False,
    threads: int = 1,
    progress: Progress = _SILENT,
) -> Analysis:
    """Analyse every layer, several at a time with one thread of linear algebra each.

    Args:
        tensors: The tensors of a checkpoint.
        rules: How layers are analysed.
        embeddings: Include embeddings in averages.
        threads: Layers that are analysed at a time.
        progress: Receives a step for each layer.
    """
    matrices, skipped = find_matrices(tensors, convention=rules.convention)
    progress.start(len(matrices))
    # the largest first, so that all threads end together
    order = sorted(range(len(matrices)), key=lambda place: _work(matrices[place]), reverse=True)
    layers: dict[int, Layer] = {}
    with single_threads(threads) as pool:
        found = pool.map(partial(analyse, rules=rules), [matrices[place] for place in order])
        for place, layer in zip(order, found, strict=True):
            progress.step(layer.name)
            layers[place] = layer
    return Analysis(
        layers=tuple(layers[place] for place in range(len(matrices))),
        skipped=tuple(skipped),
        rules=rules,
        embeddings=embeddings,
    )


def _work(matrix: Matrix) -> int:
    """Estimate the work: products, and eigenvalues, which take as long as some products."""
    short, long = sorted(matrix.sizes)
    return matrix.slices * short**2 * (long + 4 * short)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How alpha changes with depth."""

    layers: int
    slope: float  # of alpha, from the first layer to the last
    low: float  # 90 % interval of the slope
    high: float
    spread: float  # interquartile range of alpha
    above: float  # share of layers with alpha > 6

    @property
    def shape(self) -> str:
        """The direction of the change, in words."""
        if self.low > 0:
            return "rises with depth"
        return "falls with depth" if self.high < 0 else "no drift"


def flow_of(layers: tuple[Layer, ...]) -> Flow | None:
    """Compute the flow of the layers that have an alpha; None if there are fewer than four."""
    alphas = np.array([x.figures.alpha for x in layers if x.figures.alpha is not None])
    if len(alphas) < _LEAST:
        return None
    from scipy.stats import theilslopes  # takes a second to load

    fit = theilslopes(alphas, np.linspace(0, 1, len(alphas)), alpha=_LEVEL)
    lower, upper = np.percentile(alphas, [25, 75])
    return Flow(
        layers=len(alphas),
        slope=float(fit.slope),
        low=float(fit.low_slope),
        high=float(fit.high_slope),
        spread=float(upper - lower),
        above=float(np.mean(alphas > _MUCH)),
    )
