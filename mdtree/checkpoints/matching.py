"""Matching: weights checked against their model, every name and every shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mdtree.checkpoints.state_dict import wrapping
from mdtree.exceptions import DivergedError, MismatchError
from mdtree.messages import listed, nearest

__all__ = ["matched"]

_SHOWN = 5  # names listed in an error; the others are counted
_WHERE = "--model-arg, or model.kwargs in a recipe"
_SMALL = 1 << 14  # numbers of a tensor
_LONGEST = 300  # characters of one of them


def matched(tensors: Mapping[str, Tensor], model: nn.Module, *, name: str) -> dict[str, Tensor]:
    """Return exactly the parameters and buffers of `model`, in its types.

    A leading attribute name that all weights share is removed if they fit without it (a Lightning
    module stores its network's weights as `net.*`).  A tensor that the model has under several
    names is returned once, under the first of them, as `named_parameters()` does.

    Raises:
        MismatchError: Names, shapes or types do not fit.
        DivergedError: Weights are NaN or infinite.
    """
    expected: dict[str, Tensor] = model.state_dict(keep_vars=True)
    stored = _renamed(tensors, expected)
    tied = _tied(expected)
    for names in tied:
        if len(names) > 1:  # the file may store them once, under any of the names
            shared = next((stored[key] for key in names if key in stored), None)
            stored |= {key: shared for key in names if key not in stored and shared is not None}
    _check_names(stored, expected, name)
    _check_types(stored, expected, name)
    # copied: stored tensors may lie anywhere, and are slower to use where they are not aligned
    weights = {n: _copied(stored[n].detach(), t.dtype) for n, t in expected.items()}
    _check_finite(weights, name)
    _check_tied(weights, tied, name)
    return {names[0]: weights[names[0]] for names in tied}


def _copied(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    # the same for one type, but faster
    return tensor.clone() if tensor.dtype == dtype else tensor.to(dtype)


def _renamed(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove leading attribute names that all keys share, as long as more keys fit without them."""
    own = wrapping(expected)  # a model may have an attribute `module` without being wrapped
    stripped = {own + key: tensor for key, tensor in tensors.items()}
    best = stripped
    while len({key.partition(".")[0] for key in stripped}) == 1 and all("." in k for k in stripped):
        stripped = {key.partition(".")[2]: tensor for key, tensor in stripped.items()}
        best = max(best, stripped, key=lambda keys: len(keys.keys() & expected.keys()))
    return best


def _tied(expected: Mapping[str, Tensor]) -> list[list[str]]:
    """List the names of each tensor of a model: usually one."""
    names: dict[int, list[str]] = {}
    for key, tensor in expected.items():
        names.setdefault(id(tensor), []).append(key)
    return list(names.values())


def _check_names(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    missing = [key for key in expected if key not in stored]
    unexpected = [key for key in stored if key not in expected]
    shapes = [
        f"{key} is {tuple(stored[key].shape)} in the file and {tuple(tensor.shape)} in the model"
        for key, tensor in expected.items()
        if key in stored and stored[key].shape != tensor.shape
    ]
    parts = [f"{name} does not fit the model"]
    if missing:
        parts.append(f"missing: {_list(missing)}")
    if unexpected:
        hinted = [key + nearest(key[:_LONGEST], missing) for key in unexpected[:_SHOWN]]
        parts.append(f"unexpected: {_list(hinted + unexpected[_SHOWN:])}")
    if shapes:
        parts.append(f"other shapes: {_list(shapes)}")
        if not (missing or unexpected):
            parts.append(_advice(stored, expected))
    if len(parts) > 1:
        raise MismatchError("; ".join(parts))


def _check_types(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    faults = {key: _fault(stored[key], tensor) for key, tensor in expected.items()}
    odd = [f"{key} is {fault}" for key, fault in faults.items() if fault]
    if odd:
        raise MismatchError(
            f"{name} contains weights that are not plain numbers: {_list(odd)}; "
            "save the state_dict of the network as it was trained"
        )


def _fault(stored: Tensor, expected: Tensor) -> str | None:
    """Return why a tensor of the right shape cannot be used as these weights, or None."""
    if stored.is_meta:
        return "on the meta device, without values"
    if stored.is_quantized or stored.layout is not torch.strided:
        return "quantized" if stored.is_quantized else "sparse"
    if expected.is_floating_point() and not stored.is_floating_point():
        return str(stored.dtype).removeprefix("torch.")
    return None


def _check_finite(weights: Mapping[str, Tensor], name: str) -> None:
    # one NaN or infinity spreads to the sum: a quick check before counting
    floats = [tensor for tensor in weights.values() if tensor.is_floating_point()]
    sums = [part.sum(dtype=torch.float64) for part in _large_and_joined(floats)]
    if not sums or bool(torch.stack(sums).isfinite().all()):
        return
    broken = []
    left = sum(t.numel() for t in weights.values() if t.is_floating_point())
    for key, tensor in weights.items():
        if tensor.is_floating_point() and not math.isfinite(tensor.sum(dtype=torch.float64)):
            count = int((~torch.isfinite(tensor)).sum())
            broken.append(f"{key} ({count} of {tensor.numel()})")
            left -= count
    if broken:
        error = DivergedError(
            f"{name} contains NaN or infinite weights, so training diverged: {_list(broken)}"
        )
        error.whole = left == 0
        raise error


def _large_and_joined(tensors: list[Tensor]) -> Iterator[Tensor]:
    """Yield large tensors as they are, and small ones joined: calls take longer than sums."""
    small: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        if tensor.numel() > _SMALL:
            yield tensor
        else:
            small.setdefault(tensor.dtype, []).append(tensor.flatten())
    yield from map(torch.cat, small.values())


def _check_tied(weights: Mapping[str, Tensor], tied: list[list[str]], name: str) -> None:
    for first, *others in tied:
        for other in others:
            if not torch.equal(weights[first], weights[other]):
                raise MismatchError(
                    f"{name} contains different weights for {first} and {other}, "
                    "which are the same tensor in the model"
                )


def _advice(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Recognise the most frequent cause: a last layer with a different number of classes."""
    wrong = [key for key, tensor in expected.items() if stored[key].shape != tensor.shape]
    last = list(expected)[-1].rpartition(".")[0]
    if all(
        key.rpartition(".")[0] == last
        and stored[key].dim() == expected[key].dim()
        and stored[key].shape[1:] == expected[key].shape[1:]
        for key in wrong
    ):
        return (
            f"only the last layer differs: the file has {len(stored[wrong[0]])} classes and the "
            f"model {len(expected[wrong[0]])}, so set the number of classes (with {_WHERE})"
        )
    return "is the width right? It is set with --model-arg width=..., or model.kwargs in a recipe"


def _list(names: list[str]) -> str:
    short = [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..." for name in names]
    return listed(short, most=_SHOWN)
