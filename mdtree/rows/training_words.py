"""What words for the training of a network mean, whoever wrote them.

Frameworks write one optimizer in many ways: `AdamW`, `adamw_torch_fused`, `torch.optim.AdamW`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

__all__ = ["TRAINING_WORDS", "is_adaptive", "is_decaying", "understood"]

# each weight has a step of its own size
_ADAPTIVE = (
    *("adabelief", "adadelta", "adafactor", "adagrad", "adalomo", "adam", "adamax", "adamp"),
    *("adamw", "adan", "ademamix", "galore", "grokadamw", "lamb", "lion", "nadam", "nadamw"),
    *("prodigy", "radam", "rmsprop", "rmsproptf", "sophia", "yogi"),
)
# one learning rate for all weights
_PLAIN = ("asgd", "lomo", "momentum", "nesterov", "sgd", "sgdp")
_CONSTANT = ("constant", "fixed", "none")
_DECAYING = (
    *("cosine", "cyclic", "decay", "exp", "exponential", "inverse", "linear", "multistep"),
    *("onecycle", "onecyclelr", "plateau", "poly", "polynomial", "rsqrt", "step", "steps", "tanh"),
)
_EITHER = ("linearlr", "lambdalr", "sequentiallr")  # torch's, that may rise as well as fall
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of a name such as CosineAnnealingLR


def is_adaptive(optimizer: str) -> bool | None:
    """Return whether an optimizer gives each weight a step of its own size; None if unknown.

    >>> is_adaptive("adamw_torch_fused"), is_adaptive("torch.optim.SGD"), is_adaptive("mine")
    (True, False, None)
    """
    return _first(optimizer, _ADAPTIVE, _PLAIN)


def is_decaying(schedule: str) -> bool | None:
    """Return whether a schedule lowers the learning rate; None if unknown.

    >>> is_decaying("CosineAnnealingLR"), is_decaying("constant_with_warmup")
    (True, False)
    """
    return _first(schedule, _DECAYING, _CONSTANT)


def _first(text: str, yes: Iterable[str], no: Iterable[str]) -> bool | None:
    """Return which of the two kinds of words comes first in a text."""
    meanings = {**dict.fromkeys(yes, True), **dict.fromkeys(no, False)}
    for name in re.findall(r"[A-Za-z]+", text):
        if name.lower() in _EITHER:
            return None
        for word in (name, name.lower().removesuffix("lr"), *_PARTS.findall(name)):
            if word.lower() in meanings:
                return meanings[word.lower()]
    return None


# fact -> the question that features ask about its word
TRAINING_WORDS: dict[str, Callable[[str], bool | None]] = {
    "optimizer": is_adaptive,
    "schedule": is_decaying,
}


def understood(words: Mapping[str, str | None]) -> dict[str, str]:
    """Keep the facts whose words mean something.

    >>> understood({"optimizer": "SGD", "schedule": "LambdaLR"})
    {'optimizer': 'SGD'}
    """
    return {
        fact: word
        for fact, word in words.items()
        if word is not None and TRAINING_WORDS[fact](word) is not None
    }
