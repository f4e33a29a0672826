"""Error rates and losses on the whole training and test sets, with stored BatchNorm statistics.

    error = 100 * (wrong items) / n                      in percent
    loss  = (1/n) * sum_i loss_i                         in nats for cross entropy
    perplexity = exp(loss)                               where tokens are predicted

Where tokens are predicted, items are sequences: item i is wrong by the share of its counted tokens
whose largest output is another one, and loss_i is the mean over them.

One value per member, then the mean over members, with its standard error.  For a single member the
standard error is sqrt(p (1-p) / n) for the error, and sd(loss_i) / sqrt(n) for the loss.  Both
protocols measure these quantities in the same way.

What a network reaches without looking at the inputs, from the labels of the test items alone:

    chance_error = 100 * (1 - share of the most frequent class)
    chance_loss  = -sum_c p_c ln p_c                     p_c: share of class c

Where tokens are predicted, classes are tokens, and p_c are the shares of all counted test tokens,
each sequence with the same weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from mdtree.datasets import Items
from mdtree.landscape import ComputeCost, Score, derive_seed, preserved_state, score
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.models import Run
from mdtree.rows import Measured, Missing, Value, mean_over_members
from mdtree.tokens import TokenLoss

__all__ = ["CHANCE", "ERROR_RATE"]

CHANCE = ("chance_error", "chance_loss")


def compute(metric_input: MetricInput) -> MetricResult:
    """Measure train_error, test_error, train_loss, test_loss, chance_error and chance_loss."""
    halves = {"train": metric_input.data.train, "test": metric_input.data.test}
    with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "error_rate")):
        members = [
            metric_input.runner.network.with_weights(
                weights, partial(_scores, metric_input, halves)
            )
            for weights in metric_input.members.values()
        ]
    test = members[0].get("test")
    values: dict[str, Value] = {} if test is None else _chance(test.labels, test.numbers)
    for half, items in halves.items():
        if items is None:
            missing = Missing(missing=metric_input.data.without_test)
            names = (f"{half}_error", f"{half}_loss", *CHANCE)
            values |= dict.fromkeys(names, missing)
            continue
        scores = [member[half] for member in members]
        values[f"{half}_error"] = _error(scores)
        values[f"{half}_loss"] = mean_over_members(
            [score.mean_loss() for score in scores], single_stderr=scores[0].loss_stderr()
        )
        if isinstance(metric_input.runner.loss, TokenLoss):
            values[f"{half}_perplexity"] = _perplexity(metric_input.runner.loss, scores)
    return MetricResult(values)


def cost(work: Workload) -> ComputeCost:
    """Estimate the cost: one forward pass per item and member."""
    return ComputeCost(forward=work.members * (work.train_items + work.test_items))


def _error(scores: list[Score]) -> Value:
    if any(score.wrong is None for score in scores):
        return Missing(missing="the targets are not class numbers")
    return mean_over_members(
        [score.error() for score in scores], single_stderr=scores[0].error_stderr()
    )


def _perplexity(loss: TokenLoss, scores: list[Score]) -> Value:
    """Compute exp(loss) of each member; of one, its standard error is exp(loss) times its own."""
    if loss.label_smoothing:
        return Missing(missing="a loss with smoothed labels is not the log of a perplexity")
    perplexities = [_exp(score.mean_loss()) for score in scores]
    stderr = scores[0].loss_stderr()
    return mean_over_members(
        perplexities, single_stderr=None if stderr is None else perplexities[0] * stderr
    )


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _scores(
    metric_input: MetricInput, halves: Mapping[str, Items | None], run: Run
) -> dict[str, Score]:
    return {
        half: score(metric_input.runner, items, run)
        for half, items in halves.items()
        if items is not None
    }


def _chance(labels: Tensor | None, numbers: Tensor | None = None) -> dict[str, Value]:
    """Compute the error and the loss of chance.

    Args:
        labels: The labels (m,), item after item; None: the targets are not class numbers.
        numbers: How many of them each item has (n,); None: one.
    """
    if labels is None:
        missing = Missing(missing="needs test items whose targets are class numbers")
        return dict.fromkeys(CHANCE, missing)
    weights = None
    if numbers is not None:
        usual = len(labels) / len(numbers)
        weights = (usual / numbers.double()).repeat_interleave(numbers)
    shares = torch.bincount(labels, weights=weights).double() / len(labels)
    return {
        "chance_error": Measured(value=100 * (1 - float(shares.max()))),
        "chance_loss": Measured(value=float(torch.special.entr(shares).sum())),
    }


ERROR_RATE = Metric(
    name="error_rate",
    quantities=("train_error", "test_error", "train_loss", "test_loss", *CHANCE),
    of_tokens=("train_perplexity", "test_perplexity"),
    compute=compute,
    cost=cost,
)
