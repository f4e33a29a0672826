"""SGD with momentum, by torch's own fused kernel, without what its class does around each step.

    v <- momentum v + (g + decay w),   w <- w - rate v

For a small network the class's hooks, profiling and checks take as long as the forward pass.  The
numbers are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.sgd import sgd

__all__ = ["FusedSgd"]


class FusedSgd:
    """SGD for floating-point parameters on a CPU or a GPU.

    Args:
        parameters: What is trained.
        momentum: The share of the last step that is kept.
        weight_decay: The pull towards zero.
    """

    def __init__(
        self, parameters: Sequence[Tensor], *, momentum: float, weight_decay: float
    ) -> None:
        self._parameters = list(parameters)
        self._momentum, self._weight_decay = momentum, weight_decay
        self._velocities: list[Tensor | None] = [None] * len(self._parameters)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Make a step; a parameter without a gradient stays as it is."""
        used = [n for n, parameter in enumerate(self._parameters) if parameter.grad is not None]
        for started in (True, False):  # the kernel begins all velocities at once, or none
            part = [n for n in used if (self._velocities[n] is not None) is started]
            if part:
                self._move(part, rate)

    def _move(self, part: Sequence[int], rate: float) -> None:
        gradients = [self._parameters[n].grad for n in part]
        velocities = [self._velocities[n] for n in part]
        sgd(
            [self._parameters[n] for n in part],
            gradients,  # type: ignore[arg-type]  # none of them is None
            velocities,
            has_sparse_grad=any(g is not None and g.is_sparse for g in gradients),
            fused=True,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for n, velocity in zip(part, velocities, strict=True):
            self._velocities[n] = velocity
