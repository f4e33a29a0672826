"""The analysis of one checkpoint: its layers, skipped tensors, and means over layers.

Means and medians are over the layers that have the number, each with the same weight.  Embeddings
are left out by default, because their sizes are of another order.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch

from mdtree.checkpoints import LazyTensor
from mdtree.progress import Progress, Silent
from mdtree.runtime.threads import one_thread
from mdtree.spectra.layer import Layer, Rules, analyse
from mdtree.spectra.matrix import Skipped, find_matrices
from mdtree.spectra.state import State

__all__ = ["AVERAGED", "Analysis", "analyse_all"]

_SILENT = Silent()
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

    Two threads that share one small matrix wait for each other most of the time.

    Args:
        tensors: The tensors of a checkpoint.
        rules: How layers are analysed.
        embeddings: Include embeddings in averages.
        threads: Layers that are analysed at a time.
        progress: Receives a step for each layer.
    """
    matrices, skipped = find_matrices(tensors, convention=rules.convention)
    progress.start(len(matrices))
    layers = []
    with one_thread(), ThreadPoolExecutor(threads, initializer=_alone) as pool:
        for layer in pool.map(partial(analyse, rules=rules), matrices):
            progress.step(layer.name)
            layers.append(layer)
    return Analysis(
        layers=tuple(layers), skipped=tuple(skipped), rules=rules, embeddings=embeddings
    )


def _alone() -> None:
    torch.set_num_threads(1)
