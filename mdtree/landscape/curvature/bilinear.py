"""Convolutions and ReLUs whose second derivatives are as cheap as the first.

torch's second derivative of a convolution exchanges items and channels, and so runs convolutions
whose kernels are as large as the image; on a CPU they take up to eight times as long as the first
derivative.  But the three maps below are bilinear, and each one's derivatives are the other two:

    y  = conv(x, w) + b
    gx = input_gradient(g, w)          <gx, r> = <g, conv(r, w)>
    gw = weight_gradient(g, x)         <gw, v> = <g, conv(x, v)>

so derivatives of any order consist of plain convolutions and their first derivatives, here with the
channels last, where narrow layers are fastest.  The second derivative of a ReLU is zero, where
torch fills an image with zeros and adds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["Convolution", "Geometry", "Known", "Rectified", "applied"]

Known = Callable[[], Tensor]  # computes the output of a convolution otherwise

_FORWARD = False  # not a transposed convolution
_IMAGES = 4  # dimensions


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What a convolution is besides its tensors."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the convolution."""
        none = (0,) * len(self.stride)
        result: Tensor = torch.ops.aten.convolution(
            _laid(x), _laid(weight), bias, *self._lists, _FORWARD, none, self.groups
        )
        return result

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, mask: tuple[bool, bool, bool]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute those of the gradients of input, weight and bias that are in the mask."""
        none = (0,) * len(self.stride)
        gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
            _laid(gradient),
            _laid(x),
            _laid(weight),
            [len(weight)],
            *self._lists,
            _FORWARD,
            none,
            self.groups,
            mask,
        )
        return gradients

    @property
    def _lists(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.stride, self.padding, self.dilation


def _laid(tensor: Tensor) -> Tensor:
    """Lay images out with the channels last; oneDNN, which profits, has no doubles."""
    if tensor.dim() == _IMAGES and tensor.dtype is torch.float32:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor.contiguous()


def applied(function: type[Function], *args: Any) -> Any:
    """Apply a function of autograd, whose `apply` has no types."""
    apply: Callable[..., Any] = function.apply
    return apply(*args)


class Convolution(Function):
    """A convolution, or what `known` computes instead of it."""

    @staticmethod
    def forward(  # noqa: PLR0917, D102 - the function applies to its arguments
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        known: Known | None = None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return geometry.apply(x, weight, bias) if known is None else known()

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:  # noqa: D102 - torch's
        (gradient,) = outputs
        if gradient is None:
            return (None,) * 5
        wanted = tuple(ctx.needs_input_grad[:3])
        return *applied(_Gradients, gradient, *ctx.saved_tensors, ctx.geometry, wanted), None, None


class _Gradients(Function):
    """Both gradients of a convolution, and that of its bias: those that are wanted."""

    @staticmethod
    def forward(  # noqa: PLR0917 - the function applies to its arguments
        ctx: Any,
        gradient: Tensor,
        x: Tensor,
        weight: Tensor,
        geometry: Geometry,
        wanted: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        ctx.save_for_backward(gradient, x, weight)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return geometry.gradients(gradient, x, weight, wanted)

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        along_x, along_weight, along_bias = outputs
        gradient, x, weight = ctx.saved_tensors
        wants_gradient, wants_x, wants_weight, *_ = ctx.needs_input_grad
        geometry: Geometry = ctx.geometry
        of_gradient = of_x = of_weight = None
        if wants_gradient:
            if along_weight is not None:
                of_gradient = applied(Convolution, x, along_weight, along_bias, geometry)
            elif along_bias is not None:
                shape = (1, -1) + (1,) * (gradient.dim() - 2)
                of_gradient = along_bias.view(shape).expand_as(gradient)
            if along_x is not None:
                other = applied(Convolution, along_x, weight, None, geometry)
                of_gradient = other if of_gradient is None else of_gradient + other
        wants_x = wants_x and along_weight is not None
        wants_weight = wants_weight and along_x is not None
        if wants_x or wants_weight:
            there = x if along_x is None else along_x  # for the shape alone, if there is none
            kernel = weight if along_weight is None else along_weight
            wanted = (wants_x, wants_weight, False)
            of_x, of_weight, _ = applied(_Gradients, gradient, there, kernel, geometry, wanted)
        return of_gradient, of_x, of_weight, None, None


class Rectified(Function):
    """A ReLU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: D102 - torch's
        y = torch.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:  # noqa: D102 - torch's
        return applied(_Masked, outputs[0], *ctx.saved_tensors)


class _Masked(Function):
    """What passes where a ReLU is positive: linear, and constant between the kinks."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        result: Tensor = torch.ops.aten.threshold_backward(gradient, y, 0)
        return result

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        return applied(_Masked, outputs[0], *ctx.saved_tensors), None
