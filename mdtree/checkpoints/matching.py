"""Weights against the model they are meant for: every name and every shape, always."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mdtree.checkpoints.state_dict import wrapping
from mdtree.exceptions import DivergedError, MismatchError
from mdtree.messages import nearest

__all__ = ["matched"]

_SHOWN = 5  # names listed in an error; the rest is counted
_LONGEST = 300  # characters of one of them


def matched(tensors: Mapping[str, Tensor], model: nn.Module, *, name: str) -> dict[str, Tensor]:
    """Give exactly the parameters and buffers of `model`, in its types; raise if that is not so.

    Attribute names that all weights share at the front come off where that makes them fit (a
    Lightning module stores its network's weights as `net.*`).  A tensor that the model has under
    several names is given once, under the first of them, as `named_parameters()` does.
    """
    wanted: dict[str, Tensor] = model.state_dict(keep_vars=True)
    given = _renamed(tensors, wanted)
    tied = _tied(wanted)
    for names in tied:  # the file may store them once, under any of the names
        shared = next((given[key] for key in names if key in given), None)
        given |= {key: shared for key in names if key not in given and shared is not None}
    _check_names(given, wanted, name)
    _check_types(given, wanted, name)
    # copied: safetensors lie in a mapped file, which may be replaced, and run slower from there
    weights = {n: given[n].detach().to(t.dtype, copy=True) for n, t in wanted.items()}
    _check_finite(weights, name)
    _check_tied(weights, tied, name)
    return {names[0]: weights[names[0]] for names in tied}


def _renamed(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off leading attribute names that all keys share, as far as more of the keys then fit."""
    own = wrapping(wanted)  # a model may have an attribute `module` without being wrapped
    stripped = {own + key: tensor for key, tensor in tensors.items()}
    best = stripped
    while len({key.partition(".")[0] for key in stripped}) == 1 and all("." in k for k in stripped):
        stripped = {key.partition(".")[2]: tensor for key, tensor in stripped.items()}
        best = max(best, stripped, key=lambda keys: len(keys.keys() & wanted.keys()))
    return best


def _tied(wanted: Mapping[str, Tensor]) -> list[list[str]]:
    """List the names of each tensor of a model: usually one."""
    names: dict[int, list[str]] = {}
    for key, tensor in wanted.items():
        names.setdefault(id(tensor), []).append(key)
    return list(names.values())


def _check_names(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> None:
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    shapes = [
        f"{key} is {tuple(given[key].shape)} in the file and {tuple(tensor.shape)} in the model"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    parts = [f"{name} does not fit the model of the recipe"]
    if missing:
        parts.append(f"missing: {_list(missing)}")
    if unexpected:
        hinted = [key + nearest(key[:_LONGEST], missing) for key in unexpected[:_SHOWN]]
        parts.append(f"unexpected: {_list(hinted + unexpected[_SHOWN:])}")
    if shapes:
        parts.append(f"other shapes: {_list(shapes)}")
        if not (missing or unexpected):
            parts.append(_advice(given, wanted))
    if len(parts) > 1:
        raise MismatchError("; ".join(parts))


def _check_types(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> None:
    faults = {key: _fault(given[key], tensor) for key, tensor in wanted.items()}
    odd = [f"{key} is {fault}" for key, fault in faults.items() if fault]
    if odd:
        raise MismatchError(
            f"{name} holds weights that are no plain numbers: {_list(odd)}; "
            "save the state_dict of the network as it was trained"
        )


def _fault(given: Tensor, wanted: Tensor) -> str | None:
    """Say what keeps a tensor of the right shape from being the weights that are wanted."""
    if given.is_meta:
        return "on the meta device, without values"
    if given.is_quantized or given.layout is not torch.strided:
        return "quantized" if given.is_quantized else "sparse"
    if wanted.is_floating_point() and not given.is_floating_point():
        return str(given.dtype).removeprefix("torch.")
    return None


def _check_finite(weights: Mapping[str, Tensor], name: str) -> None:
    broken = []
    for key, tensor in weights.items():
        # one NaN or infinity makes the sum so: a quick look, before any counting
        if tensor.is_floating_point() and not math.isfinite(tensor.sum(dtype=torch.float64)):
            count = int((~torch.isfinite(tensor)).sum())
            broken.append(f"{key} ({count} of {tensor.numel()})")
    if broken:
        raise DivergedError(
            f"{name} holds NaN or infinite weights, so training had diverged: {_list(broken)}"
        )


def _check_tied(weights: Mapping[str, Tensor], tied: list[list[str]], name: str) -> None:
    for first, *others in tied:
        for other in others:
            if not torch.equal(weights[first], weights[other]):
                raise MismatchError(
                    f"{name} holds different weights for {first} and {other}, "
                    "which are one and the same in the model of the recipe"
                )


def _advice(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Recognise the most frequent cause: the last layer has another number of classes."""
    wrong = [key for key, tensor in wanted.items() if given[key].shape != tensor.shape]
    last = list(wanted)[-1].rpartition(".")[0]
    if all(
        key.rpartition(".")[0] == last
        and given[key].dim() == wanted[key].dim()
        and given[key].shape[1:] == wanted[key].shape[1:]
        for key in wrong
    ):
        return (
            f"only the last layer differs: the file has {len(given[wrong[0]])} classes and the "
            f"model {len(wanted[wrong[0]])}, so set the number of classes in model.kwargs"
        )
    return "is the width in model.kwargs right?"


def _list(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    shown = (name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..." for name in names[:_SHOWN])
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
