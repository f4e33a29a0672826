"""Losses: functions of (output, batch) that return one number per item, or the mean.

`cross_entropy` is that of what a network of transformers predicts by its own name: the class of an
item, of each token, or the next token; a head for a regression has the squared error, one for
several classes of an item the binary cross entropy.

`config.json` names the class of such a network under `architectures`; a network in memory has it.
No package is imported for this, and wrappers that keep the name (`PeftModelForCausalLM`) are
recognised as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mdtree.batch import IGNORED, Batch, describe, targets
from mdtree.exceptions import DataError, RecipeError
from mdtree.factory import call, find
from mdtree.messages import nearest
from mdtree.network import Loss
from mdtree.recipes import LossSpec, Trust
from mdtree.tokens import TokenLoss

__all__ = ["LOSSES", "HeadKind", "Loss", "build_loss", "head_of"]

HeadKind = Literal["next token", "tokens", "class", "regression", "several classes"]

_TOKENS = re.compile(
    r"(ForMaskedLM|ForTokenClassification|ForConditionalGeneration|WithLMHeadModel|"
    r"XLNetLMHeadModel)$"
)
_NEXT_TOKEN = re.compile(r"(ForCausalLM|LMHeadModel)$")
_ITEM = re.compile(r"For\w*Classification$")
_OF_TOKENS = 3  # dimensions of an output with classes for each token


def cross_entropy(*, label_smoothing: float = 0.0) -> Loss:
    """Classification: -log softmax(output)[target]."""

    def loss(output: Tensor, batch: Batch) -> Tensor:
        if output.dim() == _OF_TOKENS and targets(batch).dim() == _OF_TOKENS - 1:
            raise DataError(
                f"an output {describe(output)} for labels {describe(targets(batch))} needs the "
                "loss causal_lm (the next token is predicted) or token_cross_entropy (a label for "
                "each token)"
            )
        return F.cross_entropy(
            output, targets(batch), reduction="none", label_smoothing=label_smoothing
        )

    return loss


def mse() -> Loss:
    """Regression: the mean squared error of each item."""

    def loss(output: Tensor, batch: Batch) -> Tensor:
        target = targets(batch).to(output.dtype).reshape(output.shape)
        return (output - target).square().reshape(len(output), -1).mean(1)

    return loss


def binary_cross_entropy() -> Loss:
    """Several classes for each item: the mean over classes of that of each, present or not."""

    def loss(output: Tensor, batch: Batch) -> Tensor:
        present = targets(batch).to(output.dtype).reshape(output.shape)
        each = F.binary_cross_entropy_with_logits(output, present, reduction="none")
        return each.reshape(len(output), -1).mean(1)

    return loss


def causal_lm(*, ignore_index: int = IGNORED, label_smoothing: float = 0.0) -> TokenLoss:
    """Causal language models: the output at each token predicts the label of the next."""
    return TokenLoss(is_shifted=True, ignore_index=ignore_index, label_smoothing=label_smoothing)


def token_cross_entropy(*, ignore_index: int = IGNORED, label_smoothing: float = 0.0) -> TokenLoss:
    """Masked language models, and classes of tokens: the output at each token has its own label."""
    return TokenLoss(is_shifted=False, ignore_index=ignore_index, label_smoothing=label_smoothing)


LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
    "binary_cross_entropy": binary_cross_entropy,
    "causal_lm": causal_lm,
    "token_cross_entropy": token_cross_entropy,
}
# what a network predicts -> its loss; the first take no smoothing of labels
_OF_HEADS: dict[HeadKind, str] = {
    "regression": "mse",
    "several classes": "binary_cross_entropy",
}
_OF_TOKEN_HEADS: dict[HeadKind, str] = {"next token": "causal_lm", "tokens": "token_cross_entropy"}


def build_loss(spec: LossSpec, trust: Trust, *, head: HeadKind | None = None) -> Loss:
    """Build the loss of a recipe; `pkg.module:name` names a factory that returns the function.

    Args:
        spec: The loss of the recipe.
        trust: Which factories the recipe may use.
        head: What the network predicts, if its own name says it: `cross_entropy` is that of it.

    Raises:
        RecipeError: The loss is unknown, or its factory does not return a function.
        UntrustedError: The recipe may not use this factory.
    """
    if head is not None and spec.factory == "cross_entropy":
        spec = _of_head(spec, head)
    if ":" in spec.factory:
        loss: Any = call(find(spec.factory, trust), spec.kwargs, spec.factory)
    elif spec.factory in LOSSES:
        loss = call(LOSSES[spec.factory], spec.kwargs, spec.factory)
    else:
        raise RecipeError(
            f"loss {spec.factory!r} is unknown{nearest(spec.factory, LOSSES)} "
            f"(known: {', '.join(LOSSES)}, or pkg.module:name)"
        )
    if not callable(loss):
        raise RecipeError(
            f"loss factory {spec.factory!r} must return a function of (output, batch), "
            f"got a {type(loss).__name__}"
        )
    return loss  # type: ignore[no-any-return]


def _of_head(spec: LossSpec, head: HeadKind) -> LossSpec:
    if head in _OF_HEADS:
        return LossSpec(factory=_OF_HEADS[head])
    return spec.model_copy(update={"factory": _OF_TOKEN_HEADS.get(head, spec.factory)})


def head_of(module: nn.Module) -> HeadKind | None:
    """Return what a network predicts; None if its class does not say it."""
    config = getattr(module, "config", None)
    if config is None:
        return None
    names = [kind.__name__ for kind in type(module).__mro__]
    if any(map(_TOKENS.search, names)):
        return "tokens"
    if any(map(_NEXT_TOKEN.search, names)):
        return "tokens" if getattr(config, "is_encoder_decoder", False) else "next token"
    if any(map(_ITEM.search, names)):
        return _of_item(config)
    return None


def _of_item(config: object) -> HeadKind:
    problem = getattr(config, "problem_type", None)
    if problem == "multi_label_classification":
        return "several classes"
    if problem == "regression" or (problem is None and getattr(config, "num_labels", None) == 1):
        return "regression"
    return "class"
