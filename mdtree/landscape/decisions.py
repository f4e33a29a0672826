"""Decisions: the classes that a network chooses, one for each item or for each counted token.

Numbers of decisions are averaged within each item first, so that an item counts once, however many
of its tokens count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import Batch, describe, targets
from mdtree.exceptions import DataError
from mdtree.landscape.runner import ModelRunner
from mdtree.tokens import TokenLoss

__all__ = ["Decisions", "decisions", "item_means"]


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
            "outputs: check the number of classes in model.kwargs, and the data "
            "(targets of a regression must be floats)"
        )
