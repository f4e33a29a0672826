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
image remains to be differentiated, and elsewhere it is x s + t.  The second derivative of a ReLU
is zero, where torch fills an image with zeros and adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["FastConvolutions"]

_Known = Callable[[], Tensor]  # computes the output otherwise
_DIMENSIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}


_FORWARD = False  # not a transposed convolution
_IMAGES = 4  # dimensions
_RELUS = (F.relu, torch.relu, torch.Tensor.relu)


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


def _apply(function: type[Function], *args: Any) -> Any:
    apply: Callable[..., Any] = function.apply
    return apply(*args)


class _Convolution(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: _Geometry,
        known: _Known | None = None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return geometry.apply(x, weight, bias) if known is None else known()

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        (gradient,) = outputs
        if gradient is None:
            return (None,) * 5
        wanted = tuple(ctx.needs_input_grad[:3])
        return *_apply(_Gradients, gradient, *ctx.saved_tensors, ctx.geometry, wanted), None, None


class _Gradients(Function):
    """Both gradients of a convolution, and that of its bias: those that are wanted."""

    @staticmethod
    def forward(  # noqa: PLR0917 - the function applies to its arguments
        ctx: Any,
        gradient: Tensor,
        x: Tensor,
        weight: Tensor,
        geometry: _Geometry,
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
        geometry: _Geometry = ctx.geometry
        of_gradient = of_x = of_weight = None
        if wants_gradient:
            if along_weight is not None:
                of_gradient = _apply(_Convolution, x, along_weight, along_bias, geometry)
            elif along_bias is not None:
                shape = (1, -1) + (1,) * (gradient.dim() - 2)
                of_gradient = along_bias.view(shape).expand_as(gradient)
            if along_x is not None:
                other = _apply(_Convolution, along_x, weight, None, geometry)
                of_gradient = other if of_gradient is None else of_gradient + other
        wants_x = wants_x and along_weight is not None
        wants_weight = wants_weight and along_x is not None
        if wants_x or wants_weight:
            there = x if along_x is None else along_x  # for the shape alone, if there is none
            kernel = weight if along_weight is None else along_weight
            wanted = (wants_x, wants_weight, False)
            of_x, of_weight, _ = _apply(_Gradients, gradient, there, kernel, geometry, wanted)
        return of_gradient, of_x, of_weight, None, None


class _Rectified(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        return _apply(_Masked, outputs[0], *ctx.saved_tensors)


class _Masked(Function):
    """What passes where a ReLU is positive: linear, and constant between the kinks."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        result: Tensor = torch.ops.aten.threshold_backward(gradient, y, 0)
        return result

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        return _apply(_Masked, outputs[0], *ctx.saved_tensors), None


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """A convolution that was computed: a BatchNorm may follow."""

    output: Tensor
    version: int  # of the output: it must not have been changed since
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: _Geometry

    def times(self, scale: Tensor, shift: Tensor) -> Tensor:
        """Compute what the folded convolution gives, without another one."""
        shape = (1, -1) + (1,) * (self.output.dim() - 2)
        bias = shift if self.bias is None else shift - self.bias.detach() * scale
        return torch.addcmul(bias.view(shape), self.output.detach(), scale.view(shape))


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
        elif func in _RELUS and not named.get("inplace") and args[0].is_floating_point():
            return _apply(_Rectified, args[0])
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
        known = partial(last.times, scale.detach(), shift.detach())
        result: Tensor = _apply(_Convolution, last.x, kernel, shift, last.geometry, known)
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
