"""Predictions: the classes that a network chooses, their probabilities, and the loss of every item.

There is one decision for each item, or for each counted token.  Numbers of decisions are averaged
within each item first, so that an item counts once, however many of its tokens count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import Batch, describe, size, targets
from mdtree.exceptions import DataError
from mdtree.items import Items
from mdtree.landscape.oom import within_memory
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.network import Run
from mdtree.tokens import TokenLoss

__all__ = ["Decisions", "Predictions", "decisions", "item_means", "predict"]


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """The outputs of a network for a batch, and the right classes."""

    output: Tensor  # (n, classes), or (n, tokens, classes)
    labels: Tensor  # (n,), or (n, tokens)
    counted: Tensor | None  # (n, tokens): which tokens count; None: there is one class for an item

    def wrong(self) -> Tensor:
        """Return the wrong share of each item: 0 or 1 for one class, NaN if an output is."""
        largest, predicted = self.output.max(-1)
        return self.mean((predicted != self.labels).float().masked_fill(largest.isnan(), math.nan))

    def mean(self, values: Tensor) -> Tensor:
        """Average numbers of decisions (n, tokens, ...) within each item."""
        if self.counted is None:
            return values
        counted = self.counted.reshape(*self.counted.shape, *[1] * (values.dim() - 2))
        return values.masked_fill(~counted, 0).sum(1) / counted.sum(1).clamp(min=1)

    def last(self, values: Tensor) -> Tensor:
        """Return the numbers at the last counted token of each item: (n, ...)."""
        if self.counted is None:
            return values
        places = torch.arange(self.counted.shape[1], device=self.counted.device)
        last = places.masked_fill(~self.counted, 0).amax(1)
        return values[torch.arange(len(values), device=values.device), last]

    @property
    def numbers(self) -> Tensor | None:
        """Numbers of counted tokens of the items; None: there is one class for an item."""
        return None if self.counted is None else self.counted.sum(1).cpu()

    def listed(self, values: Tensor) -> Tensor:
        """Return the numbers of decisions that count, item after item: (m, ...)."""
        return values if self.counted is None else values[self.counted]


def item_means(values: Tensor, numbers: Tensor | None) -> Tensor:
    """Average listed numbers (m,) within each item, of which each has so many; None: one each."""
    if numbers is None:
        return values
    parts = torch.split(values, numbers.tolist())
    return torch.stack([part.sum() / max(len(part), 1) for part in parts])


def decisions(runner: ModelRunner, batch: Batch, output: Tensor) -> Decisions | None:
    """Compare an output with the classes of a batch; None if the targets are not classes.

    Args:
        runner: The network and its loss, which says whether tokens have classes.
        batch: The batch, if possible on the CPU: a GPU would abort on a wrong label.
        output: The output of the network.

    Raises:
        DataError: The labels do not fit the output.
    """
    if isinstance(runner.loss, TokenLoss):
        labels = runner.loss.labels(batch)
        runner.loss.check(output, labels)
        counted = runner.loss.counted(labels)
        _check_range(labels[counted], output)
        return Decisions(
            output=output, labels=labels.to(output.device), counted=counted.to(output.device)
        )
    if not runner.is_classification(batch):
        return None
    labels = targets(batch)
    if output.dim() != 2:  # noqa: PLR2004 - items and classes
        raise DataError(f"class numbers need outputs of (items, classes), got {describe(output)}")
    _check_range(labels, output)
    return Decisions(output=output, labels=labels.to(output.device), counted=None)


def _check_range(labels: Tensor, output: Tensor) -> None:
    if labels.numel() == 0:
        return
    lowest, highest = (int(label) for label in torch.aminmax(labels))
    if lowest < 0 or highest >= output.shape[-1]:
        raise DataError(
            f"the labels are from {lowest} to {highest}, but the network has {output.shape[-1]} "
            "outputs: check the number of classes of the model (in a recipe: model.kwargs), and "
            "the data (targets of a regression must be floats)"
        )


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
