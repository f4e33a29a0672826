"""The predictions of a network: probabilities and loss of every item."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import size, targets
from mdtree.items import Items
from mdtree.landscape.cost import ComputeCost
from mdtree.landscape.oom import within_memory
from mdtree.landscape.runner import ModelRunner
from mdtree.landscape.score import check_classes
from mdtree.network import Run

__all__ = ["Predictions", "predict"]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The predictions of one network for all items of a classification task."""

    probabilities: Tensor  # (n, classes)
    labels: Tensor  # (n,)
    losses: Tensor | None  # (n,) float64; None: the loss only returns means of batches


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
    each = True
    with torch.inference_mode():
        for raw in items.batches(batch_size):
            if not runner.is_classification(raw):
                return None
            batch = runner.place(raw)
            output = run(batch)
            check_classes(raw, output)
            loss = runner.losses(output, batch)
            each &= loss.dim() == 1
            losses.append(loss.expand(size(batch)))
            probabilities.append(output.double().softmax(1).float().cpu())
            labels.append(targets(batch).cpu())
    return Predictions(
        probabilities=torch.cat(probabilities),
        labels=torch.cat(labels),
        losses=torch.cat(losses).cpu().double() if each else None,
    )
