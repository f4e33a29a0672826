"""Convolutions whose second derivatives are convolutions again.

torch's second derivative of a convolution exchanges items and channels, and so runs convolutions
whose kernels are as large as the image; on a CPU they take up to eight times as long as the first
derivative.  But the three maps below are bilinear, and each one's derivatives are the other two:

    y  = conv(x, w) + b
    gx = input_gradient(g, w)          <gx, r> = <g, conv(r, w)>
    gw = weight_gradient(g, x)         <gw, v> = <g, conv(x, v)>

so derivatives of any order consist of plain convolutions and their first derivatives, here with the
channels last, where narrow layers are fastest.  A BatchNorm in evaluation is affine: behind a
convolution it is folded into the kernel, conv(x, w s) + t, so that nothing of the size of the
image remains to be differentiated, and elsewhere it is x s + t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["FastConvolutions"]

_DIMENSIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}


_FORWARD = False  # not a transposed convolution
_IMAGES = 4  # dimensions


@dataclass(frozen=True, kw_only=True)
class _Geometry:
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


def _blank(like: Tensor, shape: torch.Size) -> Tensor:
    """Make a tensor of which only the shape and the layout count."""
    last = len(shape) == _IMAGES and like.dtype is torch.float32
    layout = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)


def _apply(function: type[Function], *args: Any) -> Any:
    apply: Callable[..., Any] = function.apply
    return apply(*args)


class _Convolution(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return geometry.apply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        (gradient,) = outputs
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        of_x = of_weight = of_bias = None
        if wants_x:
            of_x = _apply(_InputGradient, gradient, weight, x.shape, ctx.geometry)
        if wants_weight or wants_bias:
            of_weight, of_bias = _apply(_WeightGradient, gradient, x, weight.shape, ctx.geometry)
        return of_x, of_weight, of_bias if wants_bias else None, None


class _InputGradient(Function):
    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, weight: Tensor, shape: torch.Size, geometry: _Geometry
    ) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.geometry = geometry
        like = _blank(gradient, shape)
        return geometry.gradients(gradient, like, weight, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        (direction,) = outputs
        gradient, weight = ctx.saved_tensors
        of_gradient = of_weight = None
        if ctx.needs_input_grad[0]:
            of_gradient = _apply(_Convolution, direction, weight, None, ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_weight, _ = _apply(_WeightGradient, gradient, direction, weight.shape, ctx.geometry)
        return of_gradient, of_weight, None, None


class _WeightGradient(Function):
    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, x: Tensor, shape: torch.Size, geometry: _Geometry
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(gradient, x)
        ctx.geometry = geometry
        like = _blank(gradient, shape)
        _, of_weight, of_bias = geometry.gradients(gradient, x, like, (False, True, True))
        return of_weight, of_bias

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        weight, bias = outputs
        gradient, x = ctx.saved_tensors
        of_gradient = of_x = None
        if ctx.needs_input_grad[0]:
            of_gradient = _apply(_Convolution, x, weight, bias, ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_x = _apply(_InputGradient, gradient, weight, x.shape, ctx.geometry)
        return of_gradient, of_x, None, None


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """A convolution that was computed: a BatchNorm may follow."""

    output: Tensor
    version: int  # of the output: it must not have been changed since
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: _Geometry


class FastConvolutions(TorchFunctionMode):
    """While it is entered, convolutions and BatchNorm in evaluation are differentiated fast.

    `used` says whether there were any.  Transposed convolutions, and those that pad as much as
    keeps the size ("same"), stay torch's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used = False
        self._last: _Computed | None = None

    def __exit__(self, *error: object) -> None:
        self._last = None  # which holds a graph
        leave: Callable[..., None] = super().__exit__
        leave(*error)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        result: Tensor | None = None
        if func in _DIMENSIONS:
            result = self._convolved(_DIMENSIONS[func], *args, **named)
        elif func is F.batch_norm:
            result = self._normalised(*args, **named)
        elif func is torch.Tensor.view:
            return _viewed(*args, **named)
        if result is None:
            return func(*args, **named)
        self.used = True
        return result

    def _convolved(  # noqa: PLR0917 - torch's signature
        self,
        dimensions: int,
        input: Tensor,  # noqa: A002 - torch's name
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor | None:
        """Compute a convolution of floats; None: it is one of another kind."""
        batched = input.dim() == dimensions + 2 == weight.dim()
        if padding == "valid":
            padding = 0
        if isinstance(padding, str) or not batched or not weight.is_floating_point():
            return None
        geometry = _Geometry(
            stride=_numbers(stride, dimensions),
            padding=_numbers(padding, dimensions),
            dilation=_numbers(dilation, dimensions),
            groups=groups,
        )
        output: Tensor = _apply(_Convolution, input, weight, bias, geometry)
        self._last = _Computed(
            output=output,
            version=output._version,  # noqa: SLF001
            x=input,
            weight=weight,
            bias=bias,
            geometry=geometry,
        )
        return output

    def _normalised(  # noqa: PLR0917 - torch's signature
        self,
        input: Tensor,  # noqa: A002 - torch's name
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,  # noqa: FBT001, FBT002 - torch's
        momentum: float = 0.1,  # noqa: ARG002 - torch's
        eps: float = 1e-5,
    ) -> Tensor | None:
        """Compute a BatchNorm with stored statistics; None: it takes those of the batch."""
        if training or running_mean is None or running_var is None:
            return None
        scale = torch.rsqrt(running_var + eps)
        scale = scale if weight is None else scale * weight
        shift = -running_mean * scale
        shift = shift if bias is None else shift + bias
        last, self._last = self._last, None
        if last is None or last.output is not input or last.version != input._version:  # noqa: SLF001
            shape = (1, -1) + (1,) * (input.dim() - 2)
            return input * scale.view(shape) + shift.view(shape)
        shift = shift if last.bias is None else shift + last.bias * scale
        kernel = last.weight * scale.view(-1, *(1,) * (last.weight.dim() - 1))
        result: Tensor = _apply(_Convolution, last.x, kernel, shift, last.geometry)
        return result


def _viewed(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Give a view; what lies with the channels last has not all of them, and is copied."""
    try:
        return tensor.view(*args, **kwargs)
    except RuntimeError:
        if tensor.is_contiguous():
            raise
        return tensor.contiguous().view(*args, **kwargs)


def _numbers(given: Any, dimensions: int) -> tuple[int, ...]:
    return tuple(given) if isinstance(given, (tuple, list)) else (given,) * dimensions
