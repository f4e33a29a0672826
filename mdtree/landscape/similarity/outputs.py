"""Outputs of networks on the same items, and mixed items (mixup) to compare them on.

    x = lambda * x_i + (1 - lambda) * x_j         lambda ~ Beta(16, 16), j: a random partner

On the training items themselves, networks that fit them have the same outputs; between the items
their outputs may differ.  Where tokens have classes, the features of an item are the mean of the
probabilities of its counted tokens, or those of the last one.
Zhang et al. 2018, mixup, arXiv 1710.09412.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.items import Items, TensorItems, in_memory
from mdtree.landscape.oom import within_memory
from mdtree.landscape.predictions import decisions
from mdtree.landscape.reproducibility import draw
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.landscape.similarity.cka import Kernel
from mdtree.network import Run
from mdtree.tokens import TokenLoss

__all__ = ["Outputs", "mixed_sample", "outputs"]

_ALPHA = 16  # of the Beta distribution


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The outputs of one network on a sample, reduced to what is compared."""

    kernel: Kernel | None  # of probabilities (classification) or outputs; None: there is a fault
    classes: Tensor | None  # (m,) predicted classes; None: not a classification
    fault: str | None = None  # "the outputs ..."
    numbers: Tensor | None = None  # (n,) of classes, where each counted token has one
    last: Kernel | None = None  # of the last counted token, where each has a class


def mixed_sample(
    runner: ModelRunner,
    items: Items,
    count: int,
    source: torch.Generator,
    *,
    together: int | None = None,
) -> tuple[Items, str | None]:
    """Draw items, and mix each with another one.

    Args:
        runner: The network and its device.
        items: The items to draw from.
        count: How many to draw.
        source: The source of random numbers.
        together: Mix within batches of this size, with one lambda per batch.  None: mix within the
            whole sample, with one lambda per item.

    Returns:
        The items and None, or the unmixed items and the reason why they cannot be mixed.
    """
    drawn = in_memory(draw(runner, items, count, source))
    if not isinstance(drawn, TensorItems):
        return drawn, "inputs that do not fit into one tensor cannot be mixed"
    if not isinstance(drawn.all, tuple):
        return drawn, "named inputs cannot be mixed"
    x, y = drawn.all
    if not x.is_floating_point():
        return drawn, "integer inputs cannot be mixed"
    if together is None:
        return TensorItems((_mixed(x, len(x), source), y)), None
    return TensorItems(
        (torch.cat([_mixed(part, 1, source) for part in torch.split(x, together)]), y)
    ), None


def outputs(runner: ModelRunner, items: Items, run: Run) -> Outputs:
    """Run a network once on all items.

    Args:
        runner: The network and its batch size.
        items: The items.
        run: The network at its weights, from `Network.with_weights`.
    """
    work = _tokens if isinstance(runner.loss, TokenLoss) else _items
    result: Outputs = within_memory(lambda size: work(runner, items, run, size), runner.batch_size)
    runner.meter.add(ComputeCost(forward=len(items)))
    return result


def _items(runner: ModelRunner, items: Items, run: Run, batch_size: int) -> Outputs:
    with torch.inference_mode():
        parts = [_floating(run(batch)).cpu() for batch in runner.batches(items, batch_size)]
    if len({part.shape[1:] for part in parts}) > 1:
        return Outputs(kernel=None, classes=None, fault="differ in size from batch to batch")
    output = torch.cat(parts)
    if not bool(output.isfinite().all()):
        return Outputs(kernel=None, classes=None, fault="are not finite")
    is_class = output.dim() == 2 and runner.is_classification(next(items.batches(1)))  # noqa: PLR2004
    if not is_class:
        return Outputs(kernel=Kernel.of(output), classes=None)
    return Outputs(kernel=Kernel.of(output.softmax(1)), classes=output.argmax(1))


def _tokens(runner: ModelRunner, items: Items, run: Run, batch_size: int) -> Outputs:
    """Pool each batch at once: probabilities of all tokens would fill the memory."""
    features, ends, classes, numbers = [], [], [], []
    with torch.inference_mode():
        for raw in items.batches(batch_size):
            decided = decisions(runner, raw, run(runner.place(raw)))
            assert decided is not None
            assert decided.numbers is not None
            features.append(decided.mean(decided.output.softmax(-1)).cpu())
            ends.append(decided.last(decided.output).softmax(-1).cpu())
            classes.append(decided.listed(decided.output.argmax(-1)).cpu())
            numbers.append(decided.numbers)
    pooled = torch.cat(features)
    of_items = torch.cat(numbers)
    if not bool(pooled.isfinite().all()):
        return Outputs(kernel=None, classes=None, fault="are not finite", numbers=of_items)
    return Outputs(
        kernel=Kernel.of(pooled),
        classes=torch.cat(classes),
        numbers=of_items,
        last=Kernel.of(torch.cat(ends)),
    )


def _floating(output: Tensor) -> Tensor:
    return output if output.is_floating_point() else output.float()


def _mixed(x: Tensor, lambdas: int, source: torch.Generator) -> Tensor:
    """Mix items; Beta(a, a) is the distribution of the median of 2a - 1 uniform numbers."""
    draws = torch.rand(lambdas, 2 * _ALPHA - 1, generator=source)
    share = draws.median(dim=1).values.to(x).reshape(-1, *[1] * (x.dim() - 1))
    partner = torch.randperm(len(x), generator=source).to(x.device)
    return share * x + (1 - share) * x[partner]
