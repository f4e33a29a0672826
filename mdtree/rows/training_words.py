"""What words for the training of a network mean, whoever wrote them.

Frameworks write one optimizer in many ways: `AdamW`, `adamw_torch_fused`, `torch.optim.AdamW`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from itertools import chain

__all__ = [
    "TRAINING_WORDS",
    "is_adaptive",
    "is_decaying",
    "is_known_word",
    "is_same_word",
    "not_understood",
    "understood",
]

# each weight has a step of its own size
_ADAPTIVE = (
    *("adabelief", "adabound", "adadelta", "adafactor", "adafactorbv", "adagrad", "adahessian"),
    *("adalomo", "adam", "adamax", "adamod", "adamp", "adams", "adamw", "adan", "ademamix"),
    *("adopt", "amsbound", "amsgrad", "cadamp", "cadamw", "came", "clamb", "clion", "cnadamw"),
    *("dadaptadagrad", "dadaptadam", "dadaptlion", "diffgrad", "galore", "grokadamw", "lamb"),
    *("lambc", "laprop", "lion", "madgrad", "mars", "nadam", "nadamw", "prodigy", "radabelief"),
    *("radam", "radamw", "ranger", "rmsprop", "rmsproptf", "signsgd", "signum", "sophia"),
    *("sophiag", "stableadamw", "tiger", "yogi"),
)
# one learning rate for all weights
_PLAIN = (
    *("accsgd", "asgd", "csgdw", "dadaptsgd", "heavyball", "lomo", "momentum", "momentumsgd"),
    *("nag", "nesterov", "sgd", "sgdm", "sgdp", "sgdw"),
)
# known, and of neither kind: steps of layers or matrices, of signs alone, or found by a search
_NEITHER = (
    *("adamuon", "dion", "kfac", "kron", "larc", "lars", "lbfgs", "muon", "normuon", "novograd"),
    *("nvnovograd", "psgd", "rprop", "scion", "shampoo", "soap"),
)
_CONSTANT = ("const", "constant", "fixed", "none", "schedulefree")
_DECAYING = (
    *("anneal", "annealing", "cos", "cosann", "cosine", "cyclic", "decay", "exp", "exponential"),
    *("inv", "inverse", "lindecay", "linear", "multistep", "noam", "noamwd", "onecycle"),
    *("piecewise", "piecewiseconstantdecay", "plateau", "poly", "polynomial", "rsqrt", "sgdr"),
    *("stabledecay", "step", "steps", "stepwise", "tanh", "trapezoid", "trapezoidal"),
    *("triangular", "tristage"),
    *("wsd", "1cycle"),
)
_OPTIMIZERS: dict[str, bool | None] = {
    **dict.fromkeys(_ADAPTIVE, True),
    **dict.fromkeys(_PLAIN, False),
    **dict.fromkeys(_NEITHER, None),
}
_SCHEDULES: dict[str, bool | None] = {
    **dict.fromkeys(_DECAYING, True),
    **dict.fromkeys(_CONSTANT, False),
}
_MEANINGS = {"optimizer": _OPTIMIZERS, "schedule": _SCHEDULES}
# spellings that are one thing
_SAME = {
    **dict.fromkeys(("cos", "cosann", "sgdr"), "cosine"),
    **dict.fromkeys(("1cycle",), "onecycle"),
    **dict.fromkeys(("const", "fixed", "none"), "constant"),
    **dict.fromkeys(("exp",), "exponential"),
    **dict.fromkeys(("poly",), "polynomial"),
    **dict.fromkeys(("inv", "rsqrt"), "inverse"),
    **dict.fromkeys(("steps", "stepwise"), "step"),
    **dict.fromkeys(("stabledecay", "trapezoidal", "wsd"), "trapezoid"),
}
# what may rise as well as fall, or says what is not
_EITHER = (
    *("linearlr", "lambdalr", "sequentiallr", "warmuplr", "no", "not", "then"),
    *("cooldown", "chainedscheduler", "multiplicativelr"),
)
_RISING, _RISING_PART = "linearwarmup", "linear"
_NAMES = re.compile(r"1cycle|[A-Za-z]+", re.IGNORECASE)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of a name such as CosineAnnealingLR


def is_adaptive(optimizer: str) -> bool | None:
    """Return whether an optimizer gives each weight a step of its own size; None if unknown.

    >>> is_adaptive("adamw_torch_fused"), is_adaptive("torch.optim.SGD"), is_adaptive("mine")
    (True, False, None)
    """
    return _meaning(optimizer, "optimizer")


def is_decaying(schedule: str) -> bool | None:
    """Return whether a schedule lowers the learning rate; None if unknown.

    >>> is_decaying("CosineAnnealingLR"), is_decaying("constant_with_warmup")
    (True, False)
    """
    return _meaning(schedule, "schedule")


def is_same_word(fact: str, one: str, other: str) -> bool:
    """Return whether two words for a fact mean the same, however they are written.

    >>> is_same_word("optimizer", "adamw_torch", "torch.optim.AdamW")
    True
    """
    if one == other:
        return True
    meanings = _MEANINGS.get(fact, {})
    known = _known(one, meanings)
    return (
        known is not None
        and _SAME.get(known, known) == _same_of(other, meanings)
        and _is_schedule_free(one) == _is_schedule_free(other)
    )


def is_known_word(fact: str, text: str) -> bool:
    """Return whether a word for a fact is the name of something that is known.

    >>> is_known_word("optimizer", "Muon"), is_known_word("optimizer", "mine")
    (True, False)
    """
    return _known(text, _MEANINGS.get(fact, {})) is not None


@functools.lru_cache(maxsize=256)  # thousands of groups name the same few
def _meaning(text: str, fact: str) -> bool | None:
    meanings = _MEANINGS[fact]
    word = _known(text, meanings)
    return None if word is None else meanings[word]


def _same_of(text: str, meanings: Mapping[str, bool | None]) -> str | None:
    word = _known(text, meanings)
    return None if word is None else _SAME.get(word, word)


def _known(text: str, meanings: Mapping[str, bool | None]) -> str | None:
    """Return the first word of a text that is known."""
    names: list[str] = _NAMES.findall(text)
    if any(name.lower() in _EITHER for name in names):
        return None
    for name, following in zip(names, [*names[1:], ""], strict=False):
        whole = (name + following, name, name.lower().removesuffix("lr"))
        parts = [str(part) for part in _PARTS.findall(name)]
        pairs = zip(parts, [*parts[1:], ""], strict=False)
        candidates = [*whole, *chain.from_iterable((a + b, a) for a, b in pairs)]
        words = [word.lower() for word in candidates]
        if _RISING in words:  # it says how the rate begins
            words = [word for word in words if word != _RISING_PART]
        found = next((word for word in words if word in meanings), None)
        if found is not None:
            return found
    return None


def _is_schedule_free(text: str) -> bool:
    return "schedulefree" in re.sub("[^a-z]", "", text.lower())


_EXAMPLES = {"optimizer": "adamw, sgd, ...", "schedule": "cosine, constant, ..."}

# fact -> the question that features ask about its word
TRAINING_WORDS: dict[str, Callable[[str], bool | None]] = {
    "optimizer": is_adaptive,
    "schedule": is_decaying,
}


def understood(words: Mapping[str, str | None]) -> dict[str, str]:
    """Keep the facts whose words are known.

    >>> understood({"optimizer": "SGD", "schedule": "LambdaLR"})
    {'optimizer': 'SGD'}
    """
    return {
        fact: word for fact, word in words.items() if word is not None and is_known_word(fact, word)
    }


def not_understood(fact: str, word: str) -> str:
    """Say that a word is no fact, and how to name what it is."""
    return (
        f"the {fact} {word!r:.60} is not one that mdtree knows: if it is like another, state that "
        f"as the fact {fact} ({_EXAMPLES[fact]})"
    )
