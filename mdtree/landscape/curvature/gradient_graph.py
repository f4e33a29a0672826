"""The gradient of a batch's loss with its graph, from which products with the Hessian come.

Building the graph takes a third of the time of a product with it, so it is kept for the next
product where memory allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from mdtree.batch import Batch, size
from mdtree.exceptions import MdtreeError
from mdtree.landscape.curvature.double_backward import check_double_backward
from mdtree.landscape.parameters import ParameterLayout
from mdtree.landscape.runner import ModelRunner
from mdtree.network import Run

__all__ = ["GradientGraph", "LossError", "mean_loss", "room_for_graphs"]

_MOST = 1 << 30  # bytes: of several workers on one machine, each may keep that much
_MEMORY_FILE = Path("/proc/meminfo")  # "MemAvailable:    8123456 kB"
_FREE = "MemAvailable:"
_SHARE = 4  # of the memory that is free, one part is used
_SHARE_OF_GPU = 16  # of one that several workers share, by what the first group needed


class LossError(MdtreeError):
    """The loss or its derivatives are not finite, or cannot be computed."""


@dataclass(frozen=True, kw_only=True)
class GradientGraph:
    """The gradient of the mean loss of a batch at the leaves, with its graph."""

    items: int
    leaves: Sequence[Tensor]
    outputs: Sequence[Tensor]  # the gradients that depend on the weights
    curved: Sequence[int]  # the numbers of their leaves
    by_item: bool  # the loss is a number for each item, so batches may be joined

    @classmethod
    def of(
        cls, runner: ModelRunner, run: Run, batch: Batch, leaves: Sequence[Tensor]
    ) -> GradientGraph:
        """Run a batch forward and backward.

        Raises:
            LossError: The mean loss is not finite, or cannot be differentiated.
            NoSecondDerivativeError: An operation is marked as once differentiable.
        """
        losses = runner.losses(run(batch), batch)
        loss = _checked(losses.mean())
        gradients = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        outputs = {
            number: gradient
            for number, gradient in enumerate(gradients)
            if gradient is not None and gradient.requires_grad
        }
        check_double_backward(list(outputs.values()))
        return cls(
            items=size(batch),
            leaves=leaves,
            outputs=list(outputs.values()),
            curved=list(outputs),
            by_item=losses.dim() > 0,
        )

    def products(self, vectors: Tensor, layout: ParameterLayout, *, keep: bool) -> Tensor:
        """Compute H v of the batch for each row of `vectors`; the graph can be kept for others."""
        result = torch.zeros_like(vectors)
        if not self.outputs:
            return result
        for line, vector in enumerate(vectors):
            direction = list(layout.views(vector).values())
            products = torch.autograd.grad(
                self.outputs,
                self.leaves,
                grad_outputs=[direction[number] for number in self.curved],
                retain_graph=keep or line + 1 < len(vectors),
                materialize_grads=True,  # zeros for unused leaves
            )
            result[line] = layout.joined(products)
        return result

    def bytes(self, known: Iterable[Tensor]) -> int:
        """Count the bytes that the graph holds, without the tensors that are known."""
        held = {_place(output): _held(output) for output in self.outputs}
        nodes = [output.grad_fn for output in self.outputs]
        seen = set(nodes)
        while nodes:
            node = nodes.pop()
            if node is None:
                continue
            for name in _saved(type(node)):
                for tensor in _tensors(getattr(node, name)):
                    held[_place(tensor)] = _held(tensor)
            following = {other for other, _ in node.next_functions} - seen
            seen |= following
            nodes += following
        for tensor in known:
            held.pop(_place(tensor), None)
        return sum(held.values())


def mean_loss(runner: ModelRunner, output: Tensor, batch: Batch) -> Tensor:
    """Compute the mean loss of a batch.

    Args:
        runner: The loss.
        output: The output of the network.
        batch: The batch.

    Raises:
        LossError: The mean loss is not finite, or cannot be differentiated.
    """
    return _checked(runner.losses(output, batch).mean())


def _checked(loss: Tensor) -> Tensor:
    if not torch.isfinite(loss):
        raise LossError(f"the loss is not finite: {loss.item()}")
    if not loss.requires_grad:
        raise LossError(
            "the loss does not depend on any trainable parameter: "
            "check whether the network runs under torch.no_grad"
        )
    return loss


def room_for_graphs(device: torch.device) -> int:
    """Say how many bytes of graphs may be kept: none where nobody can say what is free."""
    if device.type == "cuda":
        return min(_MOST, torch.cuda.mem_get_info(device)[0] // _SHARE_OF_GPU)
    if device.type != "cpu":
        return 0
    try:
        lines = _MEMORY_FILE.read_text("ascii").splitlines()
    except OSError:  # not every system has it
        return _MOST
    free = next((1024 * int(line.split()[1]) for line in lines if line.startswith(_FREE)), _MOST)
    return min(_MOST, free // _SHARE)


@cache
def _saved(kind: type) -> tuple[str, ...]:
    """Name the attributes under which nodes of a kind tell what they have saved."""
    return tuple(n for n in dir(kind) if n.startswith("_saved_") or n == "saved_tensors")


def _tensors(saved: object) -> list[Tensor]:
    if isinstance(saved, Tensor):
        return [saved]
    parts = saved if isinstance(saved, (tuple, list)) else ()
    return [part for part in parts if isinstance(part, Tensor)]


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _held(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
