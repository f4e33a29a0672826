"""The Hessian of the mean loss over a sample, as a function of vectors.

    H v = sum_b (n_b / n) * d/dw <grad L_b(w), v>          Pearlmutter 1994

L_b is the mean loss over micro-batch b of n_b items, so the batches may be uneven.  Only one
micro-batch's graph is alive at a time: memory does not grow with the sample.  Several vectors share
the graph of each gradient, which is a third of the cost of a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from mdtree.batch import Batch, size
from mdtree.datasets import Items
from mdtree.exceptions import MdtreeError
from mdtree.landscape.effort import Effort
from mdtree.landscape.setup import Setup
from mdtree.landscape.vector import trainable
from mdtree.models import Run, Weights

__all__ = ["Hessian", "LossError"]


class LossError(MdtreeError):
    """The loss is not finite, so it has no derivatives."""


class Hessian:
    """The Hessian at `weights`, with respect to the parameters that are not frozen.

    Parameters that the network does not use, or on which the loss depends linearly, have zero
    rows.  The module runs in the mode that it is in.
    """

    def __init__(self, setup: Setup, weights: Weights, items: Items, batch_size: int) -> None:
        self.setup = setup
        self.items = items
        self.batch_size = batch_size
        self.layout = trainable(setup.network)
        self.leaves = {
            name: weights[name].detach().clone().requires_grad_() for name in self.layout.shapes
        }
        self.weights = {**weights, **self.leaves}

    @property
    def size(self) -> int:
        """Count the parameters."""
        return self.layout.size

    def random(self, source: torch.Generator) -> Tensor:
        """Draw a vector in which every direction is as likely."""
        leaf = next(iter(self.leaves.values()))
        return torch.randn(self.size, generator=source).to(leaf)

    def product(self, vector: Tensor) -> Tensor:
        """Give H v."""
        return self.products(vector.unsqueeze(0))[0]

    def products(self, vectors: Tensor) -> Tensor:
        """Give H v for each line of `vectors`."""
        total = torch.zeros_like(vectors)
        for share, part in self.parts(vectors):
            total += share * part
        return total

    def parts(self, vectors: Tensor) -> Iterator[tuple[float, Tensor]]:
        """Give each micro-batch's share of the items, and the products with its own Hessian."""
        for batch in self.setup.batches(self.items, self.batch_size):
            work = partial(self._of_batch, batch, vectors)
            part = self.setup.network.held(self.weights, work)
            self.setup.meter.add(
                Effort(gradient=size(batch), product=size(batch) * len(vectors)),
            )
            yield size(batch) / len(self.items), part

    def _of_batch(self, batch: Batch, vectors: Tensor, run: Run) -> Tensor:
        leaves = list(self.leaves.values())
        loss = self.setup.losses(run(batch), batch).mean()
        if not torch.isfinite(loss):
            raise LossError(f"the loss is not finite: {loss.item()}")
        result = torch.zeros_like(vectors)
        if not loss.requires_grad:
            return result
        gradients = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        curved = [
            number
            for number, gradient in enumerate(gradients)
            if gradient is not None and gradient.requires_grad
        ]
        outputs = [gradients[number] for number in curved]
        if not outputs:
            return result
        for line, vector in enumerate(vectors):
            direction = list(self.layout.views(vector).values())
            products = torch.autograd.grad(
                outputs,
                leaves,
                grad_outputs=[direction[number] for number in curved],
                retain_graph=line + 1 < len(vectors),
                allow_unused=True,
            )
            result[line] = self.layout.joined(
                [
                    torch.zeros_like(leaf) if product is None else product
                    for leaf, product in zip(leaves, products, strict=True)
                ]
            )
        return result
