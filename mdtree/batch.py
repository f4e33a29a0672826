"""A batch of items, as a pair or as a dictionary.

(x, y)                                       called as model(x)
{"input_ids": .., "mask": .., "labels": ..}  called as model(input_ids=.., mask=..)

Token ids without labels are their own labels, as a causal language model needs them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mdtree.exceptions import DataError
from mdtree.messages import printable
from mdtree.runtime.requirements import refuse_older

refuse_older("torch", torch.__version__)  # nothing is measured without a batch

__all__ = [
    "IDS",
    "IGNORED",
    "LABELS",
    "MASK",
    "Batch",
    "as_batch",
    "describe",
    "inputs",
    "size",
    "targets",
    "to_device",
]

Batch = tuple[Tensor, Tensor] | Mapping[str, Tensor]

LABELS = ("labels", "label")  # keys of the targets in a dictionary
IDS = "input_ids"  # key of the tokens of a sequence
MASK = "attention_mask"  # key of what is no padding
IGNORED = -100  # label of tokens that do not count, as in torch and transformers

_LEVELS = 3  # of nesting that an error message describes
_SHOWN = 6  # entries of a long value that an error message lists


def as_batch(value: Any) -> Batch:
    """Check what a data set or loader yielded, and return it as a batch.

    Entries of a dictionary that are no tensors, such as texts beside their tokens, are left out.

    Raises:
        DataError: It is neither (x, y) nor a dictionary of tensors with labels.
    """
    if isinstance(value, Mapping):
        return _with_labels(value)
    if isinstance(value, tuple | list) and len(value) == 2:  # noqa: PLR2004 - (x, y)
        x, y = value
        if isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape[:1] == y.shape[:1] != ():
            return x, y
    raise DataError(f"a batch must be (x, y) or a dictionary of tensors, got {describe(value)}")


def _with_labels(value: Mapping[Any, Any]) -> dict[str, Tensor]:
    tensors = {key: inner for key, inner in value.items() if isinstance(inner, Tensor)}
    if IDS in tensors:
        _check_ids(tensors[IDS])
        if not any(label in value for label in LABELS):
            tensors[LABELS[0]] = _own_labels(tensors)
    labels = [tensors[label] for label in LABELS if label in tensors]
    if not labels or labels[0].dim() == 0 or len(tensors) == 1:
        raise DataError(
            "a batch that is a dictionary must contain tensors, one of them named "
            f"'labels'; got {describe(value)}"
        )
    return tensors


def _own_labels(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the ids as labels, except where the mask says that they are padding."""
    ids, mask = tensors[IDS], tensors.get(MASK)
    if mask is None:
        return ids
    if mask.shape != ids.shape:
        raise DataError(f"{MASK} must have the shape of {IDS}, got {describe(tensors)}")
    return ids.masked_fill(mask == 0, IGNORED)


def _check_ids(ids: Tensor) -> None:
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool or ids.dim() == 0:
        raise DataError(
            f"{IDS} must be whole numbers, (items, tokens), got {describe(ids)}: save the ids of "
            "the tokenizer as int64"
        )


def targets(batch: Batch) -> Tensor:
    """Return the targets."""
    if isinstance(batch, tuple):
        return batch[1]
    return next(batch[label] for label in LABELS if label in batch)


def inputs(batch: Batch) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Return the positional and keyword arguments for the model."""
    if isinstance(batch, tuple):
        return (batch[0],), {}
    return (), {key: value for key, value in batch.items() if key not in LABELS}


def size(batch: Batch) -> int:
    """Count the items."""
    return len(targets(batch))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move all tensors of a batch."""
    if isinstance(batch, tuple):
        return batch[0].to(device), batch[1].to(device)
    return {key: value.to(device) for key, value in batch.items()}


def describe(value: Any, *, levels: int = _LEVELS) -> str:
    """Describe a value for error messages: `(float32[32, 1, 8, 8], int64[32])`."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if not isinstance(value, Mapping | tuple | list) or levels == 0:
        return type(value).__name__
    remaining = levels - 1
    if isinstance(value, Mapping):
        parts = (
            f"{printable(f'{key!s:.60}')}: {describe(inner, levels=remaining)}"
            for key, inner in value.items()
        )
        return "{" + _listed(parts) + "}"
    return "(" + _listed(describe(inner, levels=remaining) for inner in value) + ")"


def _listed(texts: Iterator[str]) -> str:
    entries = list(itertools.islice(texts, _SHOWN + 1))
    return ", ".join(entries[:_SHOWN]) + (", ..." if len(entries) > _SHOWN else "")
