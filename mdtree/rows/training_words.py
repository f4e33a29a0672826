"""What words for the training of a network mean, whoever wrote them.

Frameworks write one optimizer in many ways: `AdamW`, `adamw_torch_fused`, `torch.optim.AdamW`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["TRAINING_WORDS", "is_adaptive", "is_decaying", "is_same_word", "understood"]

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
    *(
        "cosine",
        "cyclic",
        "decay",
        "piecewise",
        "piecewiseconstantdecay",
        "exp",
        "exponential",
        "inverse",
        "linear",
        "multistep",
    ),
    *("onecycle", "onecyclelr", "plateau", "poly", "polynomial", "rsqrt", "step", "steps", "tanh"),
)
_OPTIMIZERS = {**dict.fromkeys(_ADAPTIVE, True), **dict.fromkeys(_PLAIN, False)}
_SCHEDULES = {**dict.fromkeys(_DECAYING, True), **dict.fromkeys(_CONSTANT, False)}
# what may rise as well as fall, or says what is not
_EITHER = ("linearlr", "lambdalr", "sequentiallr", "warmuplr", "no", "not", "then")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of a name such as CosineAnnealingLR


def is_adaptive(optimizer: str) -> bool | None:
    """Return whether an optimizer gives each weight a step of its own size; None if unknown.

    >>> is_adaptive("adamw_torch_fused"), is_adaptive("torch.optim.SGD"), is_adaptive("mine")
    (True, False, None)
    """
    return _meaning(optimizer, _OPTIMIZERS)


def is_decaying(schedule: str) -> bool | None:
    """Return whether a schedule lowers the learning rate; None if unknown.

    >>> is_decaying("CosineAnnealingLR"), is_decaying("constant_with_warmup")
    (True, False)
    """
    return _meaning(schedule, _SCHEDULES)


def is_same_word(fact: str, one: str, other: str) -> bool:
    """Return whether two words for a fact mean the same, however they are written.

    >>> is_same_word("optimizer", "adamw_torch", "torch.optim.AdamW")
    True
    """
    meanings = {"optimizer": _OPTIMIZERS, "schedule": _SCHEDULES}.get(fact, {})
    known = _known(one, meanings)
    return one == other or (known is not None and known == _known(other, meanings))


def _meaning(text: str, meanings: Mapping[str, bool]) -> bool | None:
    word = _known(text, meanings)
    return None if word is None else meanings[word]


def _known(text: str, meanings: Mapping[str, bool]) -> str | None:
    """Return the first word of a text that is known."""
    names: list[str] = re.findall(r"[A-Za-z]+", text)
    if any(name.lower() in _EITHER for name in names):
        return None
    for name in names:
        for word in (name, name.lower().removesuffix("lr"), *_PARTS.findall(name)):
            if word.lower() in meanings:
                return str(word).lower()
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
