"""Weights against the model they are meant for: every name and every shape, always."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mdtree.exceptions import MismatchError
from mdtree.spelling import nearest

__all__ = ["matched"]

_SHOWN = 5  # names listed in an error; the rest is counted


def matched(tensors: Mapping[str, Tensor], model: nn.Module, *, name: str) -> dict[str, Tensor]:
    """Give exactly the parameters and buffers of `model`, in its types; raise if that is not so.

    One attribute prefix that all names share comes off if the names then fit (a Lightning module
    stores its network's weights as `net.*`).
    """
    wanted: dict[str, Tensor] = model.state_dict(keep_vars=True)
    given = _without_prefix(tensors, wanted)
    given |= _tied(given, wanted)
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    shapes = [
        f"{key} is {tuple(given[key].shape)} in the file and {tuple(tensor.shape)} in the model"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    if missing or unexpected or shapes:
        parts = [f"{name} does not fit the model of the recipe"]
        if missing:
            parts.append(f"missing: {_list(missing)}")
        if unexpected:
            hinted = [key + nearest(key, missing) for key in unexpected]
            parts.append(f"unexpected: {_list(hinted)}")
        if shapes:
            parts.append(f"other shapes: {_list(shapes)}")
        if not (missing or unexpected):
            parts.append(_advice(given, wanted))
        raise MismatchError("; ".join(parts))
    _check_finite(given, name)
    return {key: given[key].detach().to(tensor.dtype, copy=True) for key, tensor in wanted.items()}


def _without_prefix(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Take off leading attribute names that all keys share, until the keys fit; or none at all."""
    stripped = dict(tensors)
    while stripped and stripped.keys() != wanted.keys():
        heads = {key.partition(".")[0] for key in stripped}
        if len(heads) != 1 or not all("." in key for key in stripped):
            return dict(tensors)
        stripped = {key.partition(".")[2]: tensor for key, tensor in stripped.items()}
    return stripped


def _tied(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fill in what the model shares between two names and the file stores once."""
    by_identity = {id(tensor): given[key] for key, tensor in wanted.items() if key in given}
    return {
        key: by_identity[id(tensor)]
        for key, tensor in wanted.items()
        if key not in given and id(tensor) in by_identity
    }


def _check_finite(tensors: Mapping[str, Tensor], name: str) -> None:
    broken = []
    for key, tensor in tensors.items():
        # one NaN or infinity makes the sum so: a quick look, before any counting
        if tensor.is_floating_point() and not math.isfinite(tensor.sum(dtype=torch.float64)):
            count = int((~torch.isfinite(tensor)).sum())
            broken.append(f"{key} ({count} of {tensor.numel()})")
    if broken:
        raise MismatchError(
            f"{name} holds NaN or infinite weights, so training had diverged: {_list(broken)}"
        )


def _advice(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Recognise the most frequent cause: the last layer has another number of classes."""
    wrong = {key for key, tensor in wanted.items() if given[key].shape != tensor.shape}
    last = list(wanted)[-1].rpartition(".")[0]
    if wrong and all(key.rpartition(".")[0] == last for key in wrong):
        key = min(wrong)
        return (
            f"only the last layer differs: the file has {len(given[key])} classes "
            f"and the model {len(wanted[key])}, so set the number of classes in model.kwargs"
        )
    return "is the width in model.kwargs right?"


def _list(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
