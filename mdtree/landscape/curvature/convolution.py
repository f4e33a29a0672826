"""A mode in which convolutions, BatchNorm and ReLU are differentiated twice by faster formulas.

A BatchNorm in evaluation is affine: behind a convolution it is folded into the kernel,
conv(x, w s) + t, so that nothing of the size of the image remains to be differentiated, and
elsewhere it is x s + t.  The derivatives are those of `bilinear`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mdtree.landscape.curvature.bilinear import Convolution, Geometry, Rectified, applied

__all__ = ["FastConvolutions"]

_DIMENSIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
_RELUS = (F.relu, torch.relu, torch.Tensor.relu)


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """A convolution that was computed: a BatchNorm may follow."""

    output: Tensor
    version: int  # of the output: it must not have been changed since
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    geometry: Geometry

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
        elif func in _RELUS:
            result = _rectified(*args, **named)
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
        geometry = Geometry(
            stride=_numbers(stride, dimensions),
            padding=_numbers(padding, dimensions),
            dilation=_numbers(dilation, dimensions),
            groups=groups,
        )
        output: Tensor = applied(Convolution, input, weight, bias, geometry)
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
        result: Tensor = applied(Convolution, last.x, kernel, shift, last.geometry, known)
        return result


def _rectified(input: Tensor, inplace: bool = False) -> Tensor | None:  # noqa: A002, FBT001, FBT002 - torch's
    """Compute a ReLU; None: it changes its input in place, or is one of integers."""
    if inplace or not input.is_floating_point():
        return None
    result: Tensor = applied(Rectified, input)
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
