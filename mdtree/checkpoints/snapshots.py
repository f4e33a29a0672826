"""Snapshots: files of one run that could be mistaken for seeds, recognised by their names.

The networks of a group differ only by seed.  Snapshots of one run (epoch 1, epoch 2; the best, the
last) are close together: averaged like seeds, they would give error bars that are too small.

A name says who a network is and when it was saved.  `seed_0_epoch_10` is (seed 0) at (epoch 10):

    same who, different when                   snapshots of one run
    only when, beside names that say who       `best.pt` is not a seed beside `0.pt` and `1.pt`

Names alone cannot tell whether `model_0` and `model_1` are seeds or epochs.  There the counters
decide that trainers write into their checkpoints (`counters`); and numbers that grow in hundreds,
`500.pt` and `1000.pt`, are steps.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

__all__ = ["Moment", "Pair", "is_step", "latest", "moments", "plainest", "snapshots"]

Pair = tuple[str, str]  # names of two snapshots of one run


def _table(words: str) -> frozenset[str]:
    return frozenset(words.split())


# words whose number says when
_COUNTED = _table(
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
_MOMENTS = _table(
    "best last latest final newest recent current early stop stopped stopping init initial start "
    "end interrupted previous prev backup bak ema swa avg average averaged"
)
_LATEST = _table("last latest final newest recent current end")
_EARLIEST = _table("init initial start")
_EPOCHS = _table("epoch epochs epo ep e")
_STEPS = _table(
    "step steps timestep timesteps iter iters iteration iterations it update updates batch batches "
    "minibatch"
)
_UNNAMED = _table("checkpoint checkpoints ckpt ckpts chkpt ckp snapshot")  # epochs or steps
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
_KNOWN = _COUNTED | _MOMENTS | _SEEDS | _MEASURES | _FILLERS
_FEWEST_STEPS = 100  # between two files; smaller numbers may well be seeds
_SHORTEST = 3  # letters of a word in a compound: bestmodel

_SUFFIX = re.compile(
    r"(\.safetensors|\.bin)\.index\.json$|\.(safetensors|pt|pth|pkl|bin|ckpt|tar)(\.tar)?$"
)
_HUGGING_FACE = re.compile(r"/(pytorch_)?model$")  # only the folder's name counts
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
class _ParsedName:
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


def snapshots(
    names: Iterable[str], counters: Mapping[str, Mapping[str, float]] | None = None
) -> Pair | None:
    """Find two names of a group that are snapshots of one run; None if all may be seeds.

    `counters` are those stored in the files, where known: name -> counter -> value.

    >>> snapshots(["epoch_1.pt", "epoch_2.pt"])
    ('epoch_1.pt', 'epoch_2.pt')
    >>> snapshots(["seed_0_epoch_10.pt", "seed_1_epoch_10.pt"])
    >>> snapshots(["m_8.pt", "m_9.pt"], {"m_8.pt": {"epoch": 8}, "m_9.pt": {"epoch": 9}})
    ('m_8.pt', 'm_9.pt')
    """
    parsed_names = {name: _parse_name(name) for name in names}
    return (
        _by_names(parsed_names)
        or _by_counters(parsed_names, counters or {})
        or _by_distances(parsed_names)
    )


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A checkpoint of a run, and when it was saved."""

    name: str
    run: tuple[str, ...]  # who the network is
    words: tuple[str, ...]  # that say when
    numbers: tuple[float, ...]  # epochs, steps, in the order of the name
    is_result: bool = False  # a result instead of a time

    @property
    def time(self) -> tuple[int, tuple[float, ...]]:
        """Compare by it: the initial weights, numbers, names without a time, the last weights.

        `best`, an average or a result are at an unknown time: before the first number.
        """
        if not _LATEST.isdisjoint(self.words):
            return 2, self.numbers
        if self.numbers or self.is_result:
            return 0, self.numbers
        if _MOMENTS.isdisjoint(self.words):
            return 1, ()
        return (0 if _EARLIEST.isdisjoint(self.words) else -1), ()

    @property
    def has_time(self) -> bool:
        """Whether it can be compared with others of its run."""
        return self.time != (0, ())

    @property
    def order(self) -> tuple[object, ...]:
        """Sort by it; of one time, the plainest name comes last: no average over the run."""
        return *self.time, -len(self.words), self.run, self.name

    @property
    def counts(self) -> tuple[tuple[str, float], ...]:
        """The numbers with what they count: epoch, step, "" where that is not said, or a word."""
        counts = []
        owner = ""
        for word in self.words:
            if not word[0].isdigit():
                owner = word
                continue
            kind = "epoch" if owner in _EPOCHS else "step" if owner in _STEPS else owner
            counts += [("" if kind in _UNNAMED else kind, number) for number in _amounts([word])]
        return tuple(counts)

    @property
    def step(self) -> int | None:
        """The number of steps, if a word says that it is one."""
        return next((int(number) for kind, number in self.counts if kind == "step"), None)

    @property
    def label(self) -> str:
        """Name the time; a word such as `checkpoints` that no number follows says nothing."""
        following = [*self.words[1:], ""]
        return "-".join(
            word
            for word, after in zip(self.words, following, strict=True)
            if not self.numbers or word not in _COUNTED or after[:1].isdigit()
        )


def moments(names: Iterable[str], *, are_counted: bool = False) -> list[Moment]:
    """Read who and when from the names of files that are snapshots.

    Numbers without a word are steps where the names show it, or `are_counted` says so.

    >>> [(moment.run, moment.label) for moment in moments(["s_0_epoch_10.pt", "s_0_last.pt"])]
    [(('s', '0'), 'epoch-10'), (('s', '0'), 'last')]
    """
    parsed_names = {name: _parse_name(name) for name in names}
    by_distances = _by_names(parsed_names) is None and _by_distances(parsed_names) is not None
    if are_counted or by_distances:
        parsed_names = {name: _counted(parsed) for name, parsed in parsed_names.items()}
    return [
        Moment(
            name=name,
            run=parsed.who,
            words=parsed.when,
            numbers=() if parsed.is_result else _amounts(parsed.when),
            is_result=parsed.is_result,
        )
        for name, parsed in parsed_names.items()
    ]


def is_step(name: str) -> bool:
    """Return whether a name tells a step of training, and nothing else.

    >>> is_step("checkpoint-500"), is_step("seed-0"), is_step("bert-base")
    (True, False, False)
    """
    parsed = _parse_name(name)
    return bool(_amounts(parsed.when)) and not parsed.who


def plainest(names: Iterable[str]) -> list[str]:
    """Sort names without a time first: of equal files, the first one is kept.

    >>> plainest(["best.pt", "seed-0.pt", "seed-1.pt"])
    ['seed-0.pt', 'seed-1.pt', 'best.pt']
    """
    return sorted(names, key=lambda name: bool(_parse_name(name).when))


def latest(names: Iterable[str]) -> str:
    """Return the snapshot that was probably saved last.

    >>> latest(["epoch_9.pt", "epoch_10.pt"])
    'epoch_10.pt'
    """
    return max(moments(names, are_counted=True), key=lambda moment: moment.order).name


def _counted(parsed: _ParsedName) -> _ParsedName:
    """Take the numbers of who a network is for those of when, unless a word says seed."""
    if parsed.is_seed or parsed.when:
        return parsed
    numbers = tuple(part for part in parsed.who if part[0].isdigit())
    return replace(
        parsed, who=tuple(part for part in parsed.who if part not in numbers), when=numbers
    )


def _by_names(parsed_names: Mapping[str, _ParsedName]) -> Pair | None:
    first: dict[tuple[str, ...], str] = {}
    for name, parsed in parsed_names.items():
        other = first.setdefault(parsed.who, name)
        if parsed.when != parsed_names[other].when:
            return other, name
    identified = next((name for name, parsed in parsed_names.items() if parsed.who), None)
    unidentified = next(
        (name for name, parsed in parsed_names.items() if parsed.when and not parsed.who), None
    )
    return None if identified is None or unidentified is None else (unidentified, identified)


def _by_counters(
    parsed_names: Mapping[str, _ParsedName], counters: Mapping[str, Mapping[str, float]]
) -> Pair | None:
    """Compare the counters of names that differ only in a number without a word before it."""
    alike: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for name, parsed in parsed_names.items():
        if not (parsed.is_seed or parsed.when):  # early stopping may save each seed at another time
            alike.setdefault((parsed.is_number, parsed.stem), []).append(name)
    for (is_number, _), names in alike.items():
        known = [name for name in names if counters.get(name)]
        if is_number:  # 0.pt, 1.pt: usually seeds, unless the counters equal the names
            known = [name for name in known if _counts(parsed_names[name], counters[name])]
        for name in known[1:]:
            if _differ(counters[known[0]], counters[name]):
                return known[0], name
    return None


def _by_distances(parsed_names: Mapping[str, _ParsedName]) -> Pair | None:
    """Check names that are only a number: multiples of a large smallest number are steps."""
    numbers = {
        name: _numbers(parsed.who)[0]
        for name, parsed in parsed_names.items()
        if len(parsed.who) == len(_numbers(parsed.who)) == 1 and not parsed.when
    }
    least = min(numbers.values(), default=0.0)
    if len(numbers) < 2 or least < _FEWEST_STEPS:  # noqa: PLR2004 - a pair
        return None
    if any(number % least for number in numbers.values()):
        return None
    first, second, *_ = sorted(numbers, key=numbers.__getitem__)
    return first, second


def _counts(parsed: _ParsedName, counters: Mapping[str, float]) -> bool:
    """Return whether the number in a name equals a counter, counted from 0 or from 1."""
    return any(abs(number - n) <= 1 for number in _numbers(parsed.who) for n in counters.values())


def _differ(some: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return any(some[key] != others[key] for key in some.keys() & others.keys())


def _parse_name(name: str) -> _ParsedName:
    """Parse a name from left to right; a number belongs to the word before it."""
    who: list[str] = []
    when: list[str] = []
    measured: list[str] = []
    results: list[str] = []  # numbers of `measured`
    owner = ""  # the word that a number belongs to
    tokens = list(_tokens(name))
    for place, token in enumerate(tokens):
        text, rest = token.text, tokens[place + 1 :]
        if not token.is_number:
            owner = text
            if text in _MEASURES:
                measured.append(text)
            elif text in _COUNTED | _MOMENTS or (text in _COUNTED_WITH_NUMBER and _number(rest)):
                when.append(text)
            elif text not in _FILLERS:
                who.append(text)
        elif owner in _COUNTED | _COUNTED_WITH_NUMBER or _is_counted_after(owner, rest):
            when.append(text)
            owner = _COUNT
        elif owner in _MEASURES:
            results.append(text)
        elif owner != _COUNT:  # not epoch_3_0.91, checkpoint_3_4000
            who.append(text)
    if when:
        when += measured
    is_result = bool(results) and not (who or when)
    return _ParsedName(
        who=tuple(who),
        when=tuple(results if is_result else when),  # val_loss=0.53.ckpt says nothing else
        is_seed=not _SEEDS.isdisjoint(who),
        is_number=len(tokens) == 1 and tokens[0].is_number,
        is_result=is_result,
    )


def _is_counted_after(owner: str, rest: list[_Token]) -> bool:
    """Return whether a number belongs to the word after it: 10epochs.pt, 10_epochs.pt."""
    if not rest or rest[0].text not in _COUNTED or _number(rest[1:]) or owner in _SEEDS:
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


def _numbers(parts: Iterable[str]) -> tuple[float, ...]:
    """Return the plain numbers among words; 4k is not one."""
    numbers = []
    for part in parts:
        with contextlib.suppress(ValueError):
            numbers += [float(part)] if part[0].isdigit() else []
    return tuple(numbers)


def _amounts(parts: Iterable[str]) -> tuple[float, ...]:
    """Return the numbers among words, and 4000 for 4k: what is counted can be large.

    >>> _amounts(["iter", "4k", "0.5"])
    (4000.0, 0.5)
    """
    amounts: list[float] = []
    for part in parts:
        amounts += _numbers([part])
        if part[0].isdigit() and part[-1] in _SCALES:
            amounts += [number * _SCALES[part[-1]] for number in _numbers([part[:-1]])]
    return tuple(amounts)
