"""The model runner: a network with its loss, batch size, device and precision.

It adds up its compute cost, in forward passes of one item:

    forward    one item forward, no graph kept                                1
    gradient   one item forward and backward                                  4
    product    one item's share of a Hessian-vector product, on a gradient    8
               whose graph was kept

The costs on the right were measured on ResNet-18 of widths 4 to 16 on a CPU (3.5 to 4.6, and 8 to
9); `python scripts/bench_metrics.py` measures them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mdtree.batch import LABELS, Batch, describe, size, targets, to_device
from mdtree.exceptions import DataError
from mdtree.items import Items, TensorItems
from mdtree.network import Loss, Network
from mdtree.tokens import TokenLoss

__all__ = ["ComputeCost", "CostMeter", "ModelRunner"]

_GRADIENT = 4.0
_PRODUCT = 8.0
_PICTURES = 4  # dimensions of a batch of them


@dataclass(frozen=True, kw_only=True)
class ComputeCost:
    """Numbers of items run forward, forward and backward, and through a second derivative."""

    forward: float = 0.0
    gradient: float = 0.0
    product: float = 0.0

    @property
    def passes(self) -> float:
        """The total in forward passes of one item."""
        return self.forward + _GRADIENT * self.gradient + _PRODUCT * self.product

    def __add__(self, other: ComputeCost) -> ComputeCost:
        return ComputeCost(
            forward=self.forward + other.forward,
            gradient=self.gradient + other.gradient,
            product=self.product + other.product,
        )

    def __mul__(self, times: float) -> ComputeCost:
        return ComputeCost(
            forward=self.forward * times,
            gradient=self.gradient * times,
            product=self.product * times,
        )


class CostMeter:
    """Adds up the cost of work."""

    def __init__(self) -> None:
        self.total: ComputeCost = ComputeCost()

    def add(self, cost: ComputeCost) -> None:
        """Add the cost of a computation."""
        self.total += cost


@dataclass(frozen=True, kw_only=True)
class ModelRunner:
    """A network and everything needed to evaluate it at any weights."""

    network: Network
    loss: Loss
    batch_size: int  # items per forward pass
    device: torch.device
    dtype: torch.dtype | None = None  # of the inputs; None: that of the data
    output_bytes: int = 0  # of one item, where outputs are so large that they must be counted
    channels_last: bool = False  # how pictures lie in memory; see `with_suited_layout`
    meter: CostMeter = field(default_factory=CostMeter)

    def batches(self, items: Items, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield all items in order, on the device; the last batch may be smaller."""
        for batch in items.batches(batch_size or self.batch_size):
            yield self.place(batch)

    def place(self, batch: Batch) -> Batch:
        """Move a batch to the device, cast it to the runner's dtype, and lay its pictures out."""
        here = to_device(batch, self.device)
        if self.dtype is not None:
            here = _each(here, self._cast)
        return _laid_out(here) if self.channels_last else here

    def here(self, items: Items) -> Items:
        """Move items in memory to the device, once for all passes."""
        return TensorItems(self.place(items.all)) if isinstance(items, TensorItems) else items

    def losses(self, output: Tensor, batch: Batch) -> Tensor:
        """Compute the loss of each item, or their mean if the loss only returns that.

        Raises:
            DataError: The loss fails on the output, or returns something else.
        """
        try:
            loss = self.loss(output, batch)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise DataError(
                f"the loss fails on the output {describe(output)} of a batch "
                f"{describe(batch)}: {str(error).strip()}"
            ) from error
        if not isinstance(loss, Tensor) or (loss.dim() > 0 and loss.shape != (size(batch),)):
            raise DataError(
                f"the loss must return one number for each of {size(batch)} items or their mean, "
                f"got {describe(loss)}"
            )
        return loss

    def is_classification(self, batch: Batch) -> bool:
        """Return whether the targets are class numbers, one per item or per token."""
        if isinstance(self.loss, TokenLoss):
            return True
        labels = targets(batch)
        return labels.dim() == 1 and not labels.is_floating_point()

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor


def _is_picture(tensor: Tensor) -> bool:
    """Return whether a tensor of inputs can hold pictures: (items, channels, height, width)."""
    return tensor.dim() == _PICTURES and tensor.dtype is torch.float32


def _laid_out(batch: Batch) -> Batch:
    """Lay the pictures among the inputs out with the channels last; targets stay as they are."""
    if isinstance(batch, tuple):
        return _channels_last(batch[0]), batch[1]
    return {n: t if n in LABELS else _channels_last(t) for n, t in batch.items()}


def _channels_last(tensor: Tensor) -> Tensor:
    # not `contiguous`: pictures of one channel are that already, but convolutions go by strides
    return tensor.to(memory_format=torch.channels_last) if _is_picture(tensor) else tensor


def _each(batch: Batch, work: Callable[[Tensor], Tensor]) -> Batch:
    if isinstance(batch, tuple):
        return work(batch[0]), work(batch[1])
    return {name: work(tensor) for name, tensor in batch.items()}
