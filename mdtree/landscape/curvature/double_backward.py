"""Second derivatives of modules whose fused kernels do not support them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtree.exceptions import MdtreeError

__all__ = [
    "DoubleBackwardResult",
    "NoSecondDerivativeError",
    "check_double_backward",
    "double_backward",
]

ResultT = TypeVar("ResultT")


class NoSecondDerivativeError(MdtreeError):
    """The second derivative of the network or the loss is not available."""


@dataclass(frozen=True)
class DoubleBackwardResult(Generic[ResultT]):
    """A result, and notes on the kernels that were avoided."""

    result: ResultT
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Fallback:
    mark: str  # in the error of the fast kernel
    without: Callable[[], AbstractContextManager[object]]
    note: str


@contextmanager
def _without_cudnn() -> Iterator[None]:
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


_FALLBACKS = (
    _Fallback(
        "scaled_dot_product",
        lambda: sdpa_kernel(SDPBackend.MATH),
        "attention ran with the math kernel: the fused kernel has no second derivative",
    ),
    _Fallback(
        "cudnn",
        _without_cudnn,
        "recurrent layers ran without cuDNN: it has no second derivative",
    ),
)
_MARKS = (  # of errors about a missing derivative
    "differentiate twice",
    "double backward",
    "is not implemented",
    "not supported",
    "only be called in training mode",
)
_MESSAGE = "the network or the loss has no second derivative"


def double_backward(work: Callable[[], ResultT]) -> DoubleBackwardResult[ResultT]:
    """Run `work`, which differentiates twice, without the fused kernels that do not support it.

    Args:
        work: The computation; it is repeated each time that a kernel has to be avoided.

    Returns:
        The result, with a note for each kernel that was avoided.

    Raises:
        NoSecondDerivativeError: There is no second derivative without fused kernels either.
    """
    left = list(_FALLBACKS)
    notes: list[str] = []
    with ExitStack() as around:
        while True:
            try:
                return DoubleBackwardResult(work(), tuple(notes))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                message = str(error).strip()
                if not any(mark in message for mark in _MARKS):
                    raise
                fallback = next(
                    (candidate for candidate in left if candidate.mark in message.lower()), None
                )
                if fallback is None:
                    raise NoSecondDerivativeError(
                        f"{_MESSAGE}: {message.splitlines()[0]}"
                    ) from error
            left.remove(fallback)
            notes.append(fallback.note)
            around.enter_context(fallback.without())


def check_double_backward(gradients: Sequence[Tensor]) -> None:
    """Raise NoSecondDerivativeError if an operation is marked as once differentiable.

    torch raises an error only when it passes through such an operation.  On the way to the weights
    it may not pass it, and its part of the second derivative would silently be zero.
    """
    nodes = [gradient.grad_fn for gradient in gradients]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        if node is None:
            continue
        if node.name() == "torch::autograd::Error":
            raise NoSecondDerivativeError(
                f"{_MESSAGE}: an operation is marked as once differentiable"
            )
        following = {other for other, _ in node.next_functions} - seen
        seen |= following
        nodes += following
