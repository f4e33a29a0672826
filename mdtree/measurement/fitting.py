"""Fitting: data are held to the network before the first pass.

Token ids must be in the vocabulary.  Sequences without a token that counts are left out, and
entries that the network does not take are named.  Where tokens are predicted, outputs are so large
(2,048 tokens of 50,000 classes take 400 MB) that they limit the items of a forward pass.  Pictures
are laid out as the network takes them fastest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mdtree.batch import IDS, Batch
from mdtree.datasets import Data, Items
from mdtree.exceptions import DataError
from mdtree.landscape import ModelRunner, preserved_state, with_suited_layout
from mdtree.messages import printable
from mdtree.tokens import TokenLoss

__all__ = ["Fitted", "fitted"]

_POSITIONS = ("wpe", "position_embeddings", "embed_positions")  # as transformers names them
_OUTPUTS = 1 << 28  # bytes of the outputs of a forward pass; a Hessian takes many times as much


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A runner and data that fit together."""

    runner: ModelRunner
    data: Data
    notes: tuple[str, ...] = ()  # what was left out


def fitted(runner: ModelRunner, data: Data) -> Fitted:
    """Hold data to a network.

    Raises:
        DataError: Ids are outside the vocabulary, or no token counts.
    """
    first = next(data.train.batches(1))
    if not isinstance(runner.loss, TokenLoss) and IDS not in first:
        return Fitted(runner=with_suited_layout(runner), data=data, notes=_unused(runner, first))
    train, of_train = _countable(runner, data.train, "training")
    test, of_test = (None, ()) if data.test is None else _countable(runner, data.test, "test")
    notes = (*_unused(runner, first), *of_train, *of_test)
    return Fitted(
        runner=_within_memory(with_suited_layout(runner), train),
        data=replace(data, train=train, test=test),
        notes=notes,
    )


def _unused(runner: ModelRunner, batch: Batch) -> tuple[str, ...]:
    names = runner.network.unused(batch)
    return (
        (f"entries that the network does not take: {printable(', '.join(names))}",) if names else ()
    )


def _countable(runner: ModelRunner, items: Items, half: str) -> tuple[Items, tuple[str, ...]]:
    """Check the ids of all items, and leave out those in which no token counts."""
    vocabulary, longest = _vocabulary(runner), _positions(runner)
    counts: list[Tensor] = []
    are_seen = True  # whether each label is the token that the network sees there
    for batch in items.batches(runner.batch_size):
        if isinstance(batch, Mapping) and IDS in batch:
            _check_lengths(batch[IDS], longest, half)
            if vocabulary is not None:
                _check_ids(batch[IDS], vocabulary, half)
        if isinstance(runner.loss, TokenLoss):
            counts.append(_counted(runner.loss, batch, half))
            are_seen = are_seen and _are_seen(runner.loss, batch)
    if not counts:
        return items, ()
    kept = torch.cat(counts).nonzero().squeeze(1)
    if len(kept) == 0:
        raise DataError(
            f"no token of the {half} data counts: all labels are {_ignored(runner)}, or are padding"
        )
    if are_seen:
        raise DataError(
            f"the {half} labels are the tokens that the network sees, so it predicts nothing: give "
            "labels (of masked tokens, or the classes of tokens), or name the loss causal_lm"
        )
    if len(kept) == len(items):
        return items, ()
    left = f"{len(items) - len(kept)} of {len(items)} {half} sequences have no token that counts"
    return items.take(kept), (f"{left}, and are left out",)


def _counted(loss: TokenLoss, batch: Batch, half: str) -> Tensor:
    """Count the tokens of each item; refuse labels with which nothing is predicted."""
    labels = loss.labels(batch)
    counted = loss.counted(labels)
    if isinstance(batch, Mapping) and IDS in batch:
        ids = batch[IDS]
        if ids.shape != labels.shape and not any(name.startswith("decoder") for name in batch):
            raise DataError(
                f"the {half} labels have the shape {list(labels.shape)}, but {IDS} "
                f"{list(ids.shape)}: there must be one label for each token"
            )
    return counted.sum(1)


def _are_seen(loss: TokenLoss, batch: Batch) -> bool:
    """Return whether the network sees what it is to predict, as if ids were their own labels."""
    if loss.is_shifted or not isinstance(batch, Mapping) or IDS not in batch:
        return False
    labels = loss.labels(batch)
    ids = batch[IDS]
    return ids.shape == labels.shape and bool((ids == labels)[loss.counted(labels)].all())


def _check_lengths(ids: Tensor, longest: int | None, half: str) -> None:
    if ids.numel() == 0:
        raise DataError(f"the sequences in {IDS} of the {half} data hold no tokens")
    if longest is not None and ids.dim() > 1 and ids.shape[1] > longest:
        raise DataError(
            f"{IDS} of the {half} data have {ids.shape[1]} tokens, but the network has positions "
            f"for {longest}: cut long sequences into parts"
        )


def _check_ids(ids: Tensor, vocabulary: int, half: str) -> None:
    lowest, highest = (int(bound) for bound in torch.aminmax(ids))
    if lowest < 0 or highest >= vocabulary:
        raise DataError(
            f"{IDS} of the {half} data go from {lowest} to {highest}, but the network has a "
            f"vocabulary of {vocabulary} tokens: were they made by its tokenizer?"
        )


def _vocabulary(runner: ModelRunner) -> int | None:
    """Return the number of tokens that the network knows, if it says it as transformers does."""
    embeddings = getattr(runner.network.module, "get_input_embeddings", None)
    try:
        return getattr(embeddings() if callable(embeddings) else None, "num_embeddings", None)
    except (NotImplementedError, AttributeError, TypeError):
        return None  # of a network without tokens


def _positions(runner: ModelRunner) -> int | None:
    """Return the tokens of the longest sequence, where each position has its own vector.

    The config alone does not tell: rotary positions go on beyond what it names.
    """
    limits = [
        part.num_embeddings - _unused_positions(part)
        for name, part in runner.network.module.named_modules()
        if isinstance(part, nn.Embedding) and name.rpartition(".")[2] in _POSITIONS
    ]
    return max(limits, default=None)


def _unused_positions(positions: nn.Embedding) -> int:
    """Count the first positions, which RoBERTa keeps for padding, and OPT and BART leave free."""
    if positions.padding_idx is not None:
        return positions.padding_idx + 1
    offset = getattr(positions, "offset", 0)
    return offset if isinstance(offset, int) else 0


def _ignored(runner: ModelRunner) -> int:
    assert isinstance(runner.loss, TokenLoss)
    return runner.loss.ignore_index


def _within_memory(runner: ModelRunner, items: Items) -> ModelRunner:
    """Limit the items of a forward pass by the size of their outputs."""
    if not isinstance(runner.loss, TokenLoss):
        return runner
    with preserved_state(runner, 0), torch.no_grad():
        output = runner.network.trained(runner.place(next(items.batches(1))))
    size = output.numel() * output.element_size()
    return replace(
        runner,
        batch_size=max(min(runner.batch_size, _OUTPUTS // max(size, 1)), 1),
        output_bytes=size,
    )
