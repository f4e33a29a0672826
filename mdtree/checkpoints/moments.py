"""Moments: the checkpoints of a run in the order of time, as far as their names tell it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mdtree.checkpoints.names import (
    COUNTED,
    EARLIEST,
    EPOCHS,
    LATEST,
    MOMENTS,
    STEPS,
    UNNAMED,
    ParsedName,
    amounts,
    parse_name,
)
from mdtree.checkpoints.snapshots import are_distances

__all__ = ["Moment", "is_step", "latest", "moments", "plainest"]


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
        if not LATEST.isdisjoint(self.words):
            return 2, self.numbers
        if self.numbers or self.is_result:
            return 0, self.numbers
        if MOMENTS.isdisjoint(self.words):
            return 1, ()
        return (0 if EARLIEST.isdisjoint(self.words) else -1), ()

    @property
    def has_time(self) -> bool:
        """Whether it can be compared with others of its run."""
        return self.time != (0, ())

    @property
    def order(self) -> tuple[object, ...]:
        """Sort by it; of one time, the plainest name comes last: no average over the run."""
        return *self.time, self.copy, -len(self.words), self.run, self.name

    @property
    def copy(self) -> int:
        """The number that Lightning appends if a name is taken: 1 for last-v1.ckpt, or else 0."""
        numbers = (int(word[1:]) for word in self.words if re.fullmatch(r"v\d+", word))
        return next(numbers, 0)

    @property
    def counts(self) -> tuple[tuple[str, float], ...]:
        """Return the numbers with what they count: epoch, step, another word, or "" for unknown."""
        counts: list[tuple[str, float]] = []
        owner = ""
        for word in () if self.is_result else self.words:
            if not word[0].isdigit():
                owner = word
                continue
            kind = "epoch" if owner in EPOCHS else "step" if owner in STEPS else owner
            counts += [("" if kind in UNNAMED else kind, number) for number in amounts([word])]
        return tuple(counts)

    @property
    def step(self) -> int | None:
        """The number of steps, if a word says that it is one."""
        return next(
            (int(n) for kind, n in self.counts if kind == "step" and math.isfinite(n)), None
        )

    @property
    def label(self) -> str:
        """Name the time; a word such as `checkpoints` that no number follows says nothing."""
        following = [*self.words[1:], ""]
        named = (
            word
            for word, after in zip(self.words, following, strict=False)
            if not self.numbers or word not in COUNTED or after[:1].isdigit()
        )
        return "-".join(named) or "final"


def moments(names: Iterable[str], *, are_counted: bool = False) -> list[Moment]:
    """Read who and when from the names of files that are snapshots.

    Numbers without a word are steps where the names show it, or `are_counted` says so.

    >>> [(moment.run, moment.label) for moment in moments(["s_0_epoch_10.pt", "s_0_last.pt"])]
    [(('s', '0'), 'epoch-10'), (('s', '0'), 'last')]
    """
    parsed_names = {name: parse_name(name) for name in names}
    if are_counted or are_distances(parsed_names):
        parsed_names = {name: _counted(parsed) for name, parsed in parsed_names.items()}
    return [
        Moment(
            name=name,
            run=parsed.who,
            words=parsed.when,
            numbers=() if parsed.is_result else amounts(parsed.when),
            is_result=parsed.is_result,
        )
        for name, parsed in parsed_names.items()
    ]


def is_step(name: str) -> bool:
    """Return whether a name tells a step of training, and nothing else.

    >>> is_step("checkpoint-500"), is_step("seed-0"), is_step("bert-base")
    (True, False, False)
    """
    parsed = parse_name(name)
    return bool(amounts(parsed.when)) and not parsed.who


def plainest(names: Iterable[str]) -> list[str]:
    """Sort names without a time first: of equal files, the first one is kept.

    >>> plainest(["best.pt", "seed-0.pt", "seed-1.pt"])
    ['seed-0.pt', 'seed-1.pt', 'best.pt']
    """
    return sorted(names, key=lambda name: bool(parse_name(name).when))


def latest(names: Iterable[str]) -> str:
    """Return the snapshot that was probably saved last.

    >>> latest(["epoch_9.pt", "epoch_10.pt"])
    'epoch_10.pt'
    """
    return max(moments(names, are_counted=True), key=lambda moment: moment.order).name


def _counted(parsed: ParsedName) -> ParsedName:
    """Take the numbers of who a network is for those of when, unless a word says seed."""
    if parsed.is_seed or parsed.when:
        return parsed
    numbers = tuple(part for part in parsed.who if part[0].isdigit())
    return replace(
        parsed, who=tuple(part for part in parsed.who if part not in numbers), when=numbers
    )
