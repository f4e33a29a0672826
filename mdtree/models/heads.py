"""Heads: what a network of transformers predicts, told by the name of its class.

`config.json` names the class under `architectures`; a network in memory has it.  No package is
imported for this, and wrappers that keep the name (`PeftModelForCausalLM`) are recognised as well.
"""

from __future__ import annotations

import re
from typing import Literal

from torch import nn

__all__ = ["HeadKind", "head_of"]

HeadKind = Literal["next token", "tokens", "class", "regression", "several classes"]

_TOKENS = re.compile(
    r"(ForMaskedLM|ForTokenClassification|ForConditionalGeneration|WithLMHeadModel|"
    r"XLNetLMHeadModel)$"
)
_NEXT_TOKEN = re.compile(r"(ForCausalLM|LMHeadModel)$")
_ITEM = re.compile(r"For\w*Classification$")


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
