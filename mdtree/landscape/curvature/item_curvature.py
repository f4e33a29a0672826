"""The curvature of each item's own loss along one direction, without a backward pass.

    c_i = v^T H_i v = d^2/dt^2 l_i(w + t v) at t = 0

by two nested forward derivatives, which run all items of a batch at once.  Their mean is the
curvature of the mean loss, so their spread tells its standard error over the items.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import jvp

from mdtree.batch import Batch
from mdtree.exceptions import MdtreeError
from mdtree.landscape.runner import ModelRunner
from mdtree.network import Weights

__all__ = ["item_curvatures"]

Direction = Mapping[str, Tensor]


def item_curvatures(
    runner: ModelRunner, weights: Weights, direction: Direction, batch: Batch
) -> Tensor | None:
    """Compute the curvature of each item's loss along a direction of the parameters.

    Args:
        runner: The network and its loss.
        weights: The point, with parameters and buffers.
        direction: The direction, for the parameters that are trained.
        batch: The items.

    Returns:
        A number for each item; None if the loss is a mean over the items, or if an operation has
        no forward derivative.
    """
    fixed = {name: tensor.detach() for name, tensor in weights.items()}
    start = {name: fixed[name] for name in direction}
    along = {name: tensor.detach() for name, tensor in direction.items()}
    # the second derivative of the direction is zero: said, so that torch need not make zeros
    still = {name: torch.zeros_like(tensor) for name, tensor in along.items()}

    def losses(moved: Direction) -> Tensor:
        return runner.losses(runner.network({**fixed, **moved}, batch), batch)

    def slopes(moved: Direction, by: Direction) -> Tensor:
        slope: Tensor = jvp(losses, (moved,), (by,))[1]
        return slope

    with torch.no_grad(), warnings.catch_warnings():
        # torch's own way to forward derivatives warns of torch's own past
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        try:
            curvatures: Tensor = jvp(slopes, (start, along), (along, still))[1]
        except torch.OutOfMemoryError:
            raise
        except (MdtreeError, RuntimeError):
            return None
    finite = curvatures.dim() == 1 and bool(curvatures.isfinite().all())
    return curvatures if finite else None
