"""Losses: functions of (output, batch) that return one number per item, or the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mdtree.batch import Batch, targets
from mdtree.exceptions import RecipeError
from mdtree.factory import call, find
from mdtree.messages import nearest
from mdtree.network import Loss
from mdtree.recipes import LossSpec, Trust

__all__ = ["LOSSES", "Loss", "build_loss"]


def cross_entropy(*, label_smoothing: float = 0.0) -> Loss:
    """Classification: -log softmax(output)[target]."""

    def loss(output: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(
            output, targets(batch), reduction="none", label_smoothing=label_smoothing
        )

    return loss


def mse() -> Loss:
    """Regression: the mean squared error of each item."""

    def loss(output: Tensor, batch: Batch) -> Tensor:
        target = targets(batch).to(output.dtype).reshape(output.shape)
        return (output - target).square().reshape(len(output), -1).mean(1)

    return loss


LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
}


def build_loss(spec: LossSpec, trust: Trust) -> Loss:
    """Build the loss of a recipe; `pkg.module:name` names a factory that returns the function.

    Raises:
        RecipeError: The loss is unknown, or its factory does not return a function.
        UntrustedError: The recipe may not use this factory.
    """
    if ":" in spec.factory:
        loss: Any = call(find(spec.factory, trust), spec.kwargs, spec.factory)
    elif spec.factory in LOSSES:
        loss = call(LOSSES[spec.factory], spec.kwargs, spec.factory)
    else:
        raise RecipeError(
            f"loss {spec.factory!r} is unknown{nearest(spec.factory, LOSSES)} "
            f"(known: {', '.join(LOSSES)}, or pkg.module:name)"
        )
    if not callable(loss):
        raise RecipeError(
            f"loss factory {spec.factory!r} must return a function of (output, batch), "
            f"got a {type(loss).__name__}"
        )
    return loss  # type: ignore[no-any-return]
