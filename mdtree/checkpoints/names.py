"""Names of checkpoints: who a network is and when it was saved, read word by word.

`seed_0_epoch_10` is (seed 0) at (epoch 10).
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = [
    "COUNTED",
    "EARLIEST",
    "EPOCHS",
    "LATEST",
    "MOMENTS",
    "STEPS",
    "UNNAMED",
    "ParsedName",
    "amounts",
    "in_natural_order",
    "natural",
    "parse_name",
    "plain_numbers",
]


def _table(words: str) -> frozenset[str]:
    return frozenset(words.split())


# words whose number says when
COUNTED = _table(
    "epoch epochs epo ep step steps timestep timesteps iter iters iteration iterations update "
    "updates checkpoint checkpoints ckpt ckpts chkpt ckp snapshot"
)
# the same, but only with a number
_COUNTED_WITH_NUMBER = _table(
    "e it round episode episodes cycle tokens samples images kimg batch batches minibatch pass"
)
# words that may follow their number: ppo_1000_steps.pt
_COUNTED_BEFORE = _table("epochs steps timesteps iters iterations updates")

# words that say when without a number; averages over a run belong to that run
MOMENTS = _table(
    "best last latest final newest recent current early stop stopped stopping init initial start "
    "end interrupted previous prev backup bak ema swa avg average averaged"
)
LATEST = _table("last latest final newest recent current end")
EARLIEST = _table("init initial start")
EPOCHS = _table("epoch epochs epo ep e")
STEPS = _table(
    "step steps timestep timesteps iter iters iteration iterations it update updates batch batches "
    "minibatch"
)
UNNAMED = _table("checkpoint checkpoints ckpt ckpts chkpt ckp snapshot")  # epochs or steps
_SCALES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}  # iter_4k

# words that say who, and that outweigh the counters in the files
_SEEDS = _table(
    "seed seeds s run runs rep reps repeat repetition replica replicate trial fold member exp "
    "experiment restart"
)

# results at that time; their numbers do not say who
_MEASURES = _table(
    "val valid validation train test dev eval loss acc accuracy err error score auc map iou miou "
    "psnr bleu ppl perplexity metric mse mae reward"
)

# words that the name of any weights file may contain
_FILLERS = _table(
    "model models net network weights weight state dict statedict params param parameters pytorch "
    "torch global total"
)
_KNOWN = COUNTED | MOMENTS | _SEEDS | _MEASURES | _FILLERS
_SHORTEST = 3  # letters of a word in a compound: bestmodel

_SUFFIX = re.compile(
    r"(\.safetensors|\.bin)\.index\.json$|\.(safetensors|pt|pth|pkl|bin|ckpt|tar)(\.tar)?$"
)
_HUGGING_FACE = re.compile(
    r"/(pytorch_|adapter_)?model$|^adapter_model$"
)  # only the folder's name counts
_COPY = re.compile(r"-(v\d{1,9})(?=\.ckpt$)")  # Lightning: last-v1.ckpt was saved after last.ckpt
_TOKEN = re.compile(r"(?P<number>\d+(\.\d+)?(e-\d+|[kmbt](?![a-z]))?)|(?P<word>[^\W\d_]+)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBER = "#"  # in a stem
_COUNT = "a count"  # the owner of numbers behind one


@dataclass(frozen=True)
class _Token:
    text: str
    is_number: bool
    glued: bool  # to the one before it


@dataclass(frozen=True)
class ParsedName:
    """Who a network is and when it was saved, according to its name."""

    who: tuple[str, ...]
    when: tuple[str, ...]
    is_seed: bool  # the name has a word for seeds
    is_number: bool  # the name is only a number
    is_result: bool  # a result is all that it says of a time: val_loss=0.53

    @property
    def stem(self) -> tuple[str, ...]:
        """`who` with its numbers replaced by a mark."""
        return tuple(_NUMBER if part[0].isdigit() else part for part in self.who)


@functools.lru_cache(maxsize=1024)
def parse_name(name: str) -> ParsedName:
    """Parse a name from left to right; a number belongs to the word before it."""
    who: list[str] = []
    when: list[str] = []
    measured: list[str] = []
    results: list[str] = []  # numbers of `measured`
    owner = ""  # the word that a number belongs to
    copies = _COPY.findall(name)
    tokens = list(_tokens(_COPY.sub("", name)))
    for place, token in enumerate(tokens):
        text, rest = token.text, tokens[place + 1 :]
        if not token.is_number:
            owner = text
            if text in _MEASURES:
                measured.append(text)
            elif text in COUNTED | MOMENTS or (text in _COUNTED_WITH_NUMBER and _number(rest)):
                when.append(text)
            elif text not in _FILLERS:
                who.append(text)
        elif owner in COUNTED | _COUNTED_WITH_NUMBER or _is_counted_after(owner, rest):
            when.append(text)
            owner = _COUNT
        elif owner in _MEASURES:
            results.append(text)
        elif owner != _COUNT:  # not epoch_3_0.91, checkpoint_3_4000
            who.append(text)
    if when:
        when += measured
    (when or who).extend(copies)  # model-v1.ckpt may be another network
    is_result = bool(results) and not (who or when)
    return ParsedName(
        who=tuple(who),
        when=tuple(results if is_result else when),  # val_loss=0.53.ckpt says nothing else
        is_seed=not _SEEDS.isdisjoint(who),
        is_number=len(tokens) == 1 and tokens[0].is_number,
        is_result=is_result,
    )


def _is_counted_after(owner: str, rest: list[_Token]) -> bool:
    """Return whether a number belongs to the word after it: 10epochs.pt, 10_epochs.pt."""
    if not rest or rest[0].text not in COUNTED or _number(rest[1:]) or owner in _SEEDS:
        return False
    return rest[0].glued or not owner or (rest[0].text in _COUNTED_BEFORE and not rest[1:])


def _number(tokens: list[_Token]) -> bool:
    """Return whether the next token is a number."""
    return bool(tokens) and tokens[0].is_number


def _tokens(name: str) -> Iterator[_Token]:
    text = _CAMEL.sub("_", _HUGGING_FACE.sub("", _SUFFIX.sub("", name))).lower()
    end = -1
    for match in _TOKEN.finditer(text):
        glued = match.start() == end
        end = match.end()
        if match["number"]:
            yield _Token(match["number"], is_number=True, glued=glued)
            continue
        for place, word in enumerate(_words(match["word"])):
            yield _Token(word, is_number=False, glued=glued or place > 0)


def _words(text: str) -> list[str]:
    """Split a compound of two known words: bestmodel, globalstep."""
    if text in _KNOWN:
        return [text]
    for place in range(_SHORTEST, len(text) - _SHORTEST + 1):
        if {text[:place], text[place:]} <= _KNOWN:
            return [text[:place], text[place:]]
    return [text]


def plain_numbers(parts: Iterable[str]) -> tuple[float, ...]:
    """Return the plain numbers among words; 4k is not one."""
    numbers = []
    for part in parts:
        with contextlib.suppress(ValueError):
            numbers += [float(part)] if part[0].isdigit() else []
    return tuple(numbers)


def amounts(parts: Iterable[str]) -> tuple[float, ...]:
    """Return the numbers among words, and 4000 for 4k: what is counted can be large.

    >>> amounts(["iter", "4k", "0.5"])
    (4000.0, 0.5)
    """
    amounts: list[float] = []
    for part in parts:
        amounts += plain_numbers([part])
        if part[0].isdigit() and part[-1] in _SCALES:
            amounts += [number * _SCALES[part[-1]] for number in plain_numbers([part[:-1]])]
    return tuple(amounts)


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sort names with their numbers as numbers.

    >>> in_natural_order(["checkpoint-114", "checkpoint-38", "best"])
    ['best', 'checkpoint-38', 'checkpoint-114']
    """
    return sorted(names, key=lambda name: (natural(name), name))


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names as numbers (layers.2 before layers.10)."""
    return [_in_order(part) for part in re.findall(r"[0-9]+|[^0-9]+", name)]


def _in_order(part: str) -> tuple[int, str]:
    """Return a key that sorts digits as numbers: Python does not convert thousands of digits."""
    digits = part.lstrip("0")
    return (len(digits), digits) if part[0] in "0123456789" else (-1, part)
