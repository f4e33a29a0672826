"""The predictions of a network: probabilities and loss of every item."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import size
from mdtree.items import Items
from mdtree.landscape.decisions import decisions, item_means
from mdtree.landscape.oom import within_memory
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.network import Run

__all__ = ["Predictions", "predict"]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The predictions of one network for all items of a classification task.

    There are m decisions: one for each item, or one for each counted token, item after item.
    """

    probabilities: Tensor  # (m, classes)
    labels: Tensor  # (m,)
    losses: Tensor | None  # (n,) float64; None: the loss only returns means of batches
    numbers: Tensor | None = None  # (n,) of decisions; None: one for each item

    def item_means(self, values: Tensor) -> Tensor:
        """Average numbers of decisions (m,) within each item."""
        return item_means(values, self.numbers)


def predict(runner: ModelRunner, items: Items, run: Run) -> Predictions | None:
    """Run a network on all items; None if the targets are not class numbers.

    Args:
        runner: The network and its loss.
        items: The items.
        run: The network at its weights, from `Network.with_weights`.

    Raises:
        DataError: The labels do not fit the outputs, or memory runs out.
    """
    result = within_memory(
        lambda batch_size: _run(runner, items, run, batch_size), runner.batch_size
    )
    runner.meter.add(ComputeCost(forward=len(items)))
    return result


def _run(runner: ModelRunner, items: Items, run: Run, batch_size: int) -> Predictions | None:
    probabilities: list[Tensor] = []
    labels: list[Tensor] = []
    losses: list[Tensor] = []
    numbers: list[Tensor] = []
    each = True
    with torch.inference_mode():
        for raw in items.batches(batch_size):
            if not runner.is_classification(raw):
                return None
            batch = runner.place(raw)
            output = run(batch)
            decided = decisions(runner, raw, output)
            assert decided is not None
            if decided.numbers is not None:
                numbers.append(decided.numbers)
            loss = runner.losses(output, batch)
            each &= loss.dim() == 1
            losses.append(loss.expand(size(batch)))
            listed = decided.listed(output)
            probabilities.append(listed.double().softmax(1).float().cpu())
            labels.append(decided.listed(decided.labels).cpu())
    return Predictions(
        probabilities=torch.cat(probabilities),
        labels=torch.cat(labels),
        losses=torch.cat(losses).cpu().double() if each else None,
        numbers=torch.cat(numbers) if numbers else None,
    )
