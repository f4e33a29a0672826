"""The score of a network: which items are wrong, and the loss of each.

Where tokens have classes, an item is wrong by the share of its counted tokens that are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import size
from mdtree.items import Items
from mdtree.landscape.oom import within_memory
from mdtree.landscape.predictions import decisions
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.network import Run

__all__ = ["Score", "score"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one network on all items."""

    wrong: Tensor | None  # (n,) 0 to 1, or NaN if an output is; None: the targets are not classes
    losses: Tensor  # (n,) float64
    each: bool  # False: the loss only returns means of batches
    labels: Tensor | None = None  # (m,) right classes, one for each item or for each counted token
    numbers: Tensor | None = None  # (n,) of counted tokens; None: one class for each item

    def error(self) -> float:
        """Compute the share of wrong items in percent."""
        assert self.wrong is not None
        return 100 * float(self.wrong.double().mean())

    def error_stderr(self) -> float | None:
        """Compute the standard error of the error, in percent: sqrt(p (1-p) / n) for 0 and 1.

        Of shares of tokens it is sd / sqrt(n), since the tokens of an item are not independent.
        """
        assert self.wrong is not None
        if bool(((self.wrong == 0) | (self.wrong == 1)).all()):
            share = self.error() / 100
            return 100 * math.sqrt(share * (1 - share) / len(self.wrong))
        if len(self.wrong) == 1:
            return None
        return 100 * float(self.wrong.double().std()) / math.sqrt(len(self.wrong))

    def mean_loss(self) -> float:
        """Compute the mean loss over the items."""
        return float(self.losses.mean())

    def loss_stderr(self) -> float | None:
        """Compute sd / sqrt(n), if the loss of each item is known."""
        if not self.each or len(self.losses) == 1:
            return None
        return float(self.losses.std()) / math.sqrt(len(self.losses))


def score(runner: ModelRunner, items: Items, run: Run) -> Score:
    """Score a network on all items, in smaller batches if memory runs out.

    Args:
        runner: The network and its loss.
        items: The items.
        run: The network at its weights, from `Network.with_weights`.

    Raises:
        DataError: The labels do not fit the outputs, or memory runs out with single items.
    """
    result = within_memory(
        lambda batch_size: _score(runner, items, run, batch_size), runner.batch_size
    )
    runner.meter.add(ComputeCost(forward=len(items)))
    return result


def _score(runner: ModelRunner, items: Items, run: Run, batch_size: int) -> Score:
    """Score all items; results are copied from the device only at the end."""
    wrong: list[Tensor] = []
    losses: list[Tensor] = []
    labels: list[Tensor] = []
    numbers: list[Tensor] = []
    each = True
    with torch.inference_mode():
        for raw in items.batches(batch_size):
            batch = runner.place(raw)
            output = run(batch)
            decided = decisions(runner, raw, output)
            if decided is not None:
                wrong.append(decided.wrong())
                labels.append(decided.listed(decided.labels))
                if decided.numbers is not None:
                    numbers.append(decided.numbers)
            loss = runner.losses(output, batch)
            each &= loss.dim() == 1
            losses.append(loss.expand(size(batch)))
    return Score(
        wrong=torch.cat(wrong).cpu() if wrong else None,
        losses=torch.cat(losses).cpu().double(),
        each=each,
        labels=torch.cat(labels).cpu() if labels else None,
        numbers=torch.cat(numbers) if numbers else None,
    )
