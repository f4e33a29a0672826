"""The Hessian of the mean loss over a sample, as a matrix-free operator.

    H v = sum_b (n_b / n) * d/dw <grad L_b(w), v>          Pearlmutter 1994

L_b is the mean loss over micro-batch b of n_b items, so batches may have different sizes.  Only one
micro-batch's graph is alive at a time, so memory does not grow with the sample.  Several vectors
share the graph of each gradient, which is a third of the cost of a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from mdtree.batch import Batch, size
from mdtree.exceptions import MdtreeError
from mdtree.items import Items
from mdtree.landscape.cost import ComputeCost
from mdtree.landscape.curvature.double_backward import check_double_backward
from mdtree.landscape.parameters import ParameterLayout, trainable_parameters
from mdtree.landscape.runner import ModelRunner
from mdtree.network import Run, Weights

__all__ = ["Hessian", "LossError", "mean_loss"]


class LossError(MdtreeError):
    """The loss or its derivatives are not finite, or cannot be computed."""


class Hessian:
    """The Hessian at `weights`, with respect to the trainable parameters.

    Parameters that the network does not use, or on which the loss depends linearly, have zero
    rows.  The module runs in its current mode, at copies of the weights and buffers.

    Args:
        runner: The network and its loss.
        weights: The point at which the Hessian is taken.
        items: The sample.
        batch_size: The items of a micro-batch.
    """

    def __init__(
        self, runner: ModelRunner, weights: Weights, items: Items, batch_size: int
    ) -> None:
        self.runner = runner
        self.items = items
        self.batch_size = batch_size
        self.layout: ParameterLayout = trainable_parameters(runner.network)
        self.weights: dict[str, Tensor] = {
            name: tensor.detach().clone() for name, tensor in weights.items()
        }
        self.leaves: dict[str, Tensor] = {
            name: self.weights[name].requires_grad_() for name in self.layout.shapes
        }

    def over(self, items: Items) -> Hessian:
        """Return the Hessian on other items."""
        return Hessian(self.runner, self.weights, items, self.batch_size)

    @property
    def size(self) -> int:
        """Number of trainable parameters."""
        return self.layout.size

    def random(self, source: torch.Generator) -> Tensor:
        """Draw a standard normal vector."""
        leaf = next(iter(self.leaves.values()))
        return torch.randn(self.size, generator=source).to(leaf)

    def product(self, vector: Tensor) -> Tensor:
        """Compute H v."""
        return self.products(vector.unsqueeze(0))[0]

    def products(self, vectors: Tensor) -> Tensor:
        """Compute H v for each row of `vectors`."""
        total = torch.zeros_like(vectors)
        for share, part in self.parts(vectors, self.batch_size):
            total += share * part
        return total

    def parts(self, vectors: Tensor, batch_size: int) -> Iterator[tuple[float, Tensor]]:
        """Yield each micro-batch's share of the items, and the products with its own Hessian."""
        for batch in self.runner.batches(self.items, batch_size):
            work = partial(self._of_batch, batch, vectors)
            part = self.runner.network.with_weights(self.weights, work)
            self.runner.meter.add(
                ComputeCost(gradient=size(batch), product=size(batch) * len(vectors)),
            )
            yield size(batch) / len(self.items), part

    def _of_batch(self, batch: Batch, vectors: Tensor, run: Run) -> Tensor:
        leaves = list(self.leaves.values())
        loss = mean_loss(self.runner, run(batch), batch)
        result = torch.zeros_like(vectors)
        gradients = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        curved = [
            number
            for number, gradient in enumerate(gradients)
            if gradient is not None and gradient.requires_grad
        ]
        outputs = [gradients[number] for number in curved]
        if not outputs:
            return result
        check_double_backward(outputs)
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
        # the extremes are NaN if a number is; a mask of all numbers takes as long as a tenth of H v
        if result.numel() and not torch.stack(torch.aminmax(result)).isfinite().all():
            raise LossError("the second derivatives of the loss are not finite")
        return result


def mean_loss(runner: ModelRunner, output: Tensor, batch: Batch) -> Tensor:
    """Compute the mean loss of a batch.

    Args:
        runner: The loss.
        output: The output of the network.
        batch: The batch.

    Raises:
        LossError: The mean loss is not finite, or cannot be differentiated.
    """
    loss = runner.losses(output, batch).mean()
    if not torch.isfinite(loss):
        raise LossError(f"the loss is not finite: {loss.item()}")
    if not loss.requires_grad:
        raise LossError(
            "the loss does not depend on any trainable parameter: "
            "check whether the network runs under torch.no_grad"
        )
    return loss
