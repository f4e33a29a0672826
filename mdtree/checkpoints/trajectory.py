"""Trajectories: the checkpoints of one run at several steps, and which of them are measured.

The checkpoints of a run are not seeds: a group is made of one step alone, the same for each run.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mdtree.checkpoints.moments import Moment, moments
from mdtree.checkpoints.snapshots import snapshots
from mdtree.exceptions import RecipeError

__all__ = ["LAST", "Best", "Selected", "StepChoice", "saved_at", "select"]


@dataclass(frozen=True, kw_only=True)
class StepChoice:
    """Which steps of a run are measured."""

    kind: str  # last | best | all | every
    every: int = 1  # checkpoints: the N-th, the 2N-th, ...

    @classmethod
    def parse(cls, text: str) -> StepChoice:
        """Read `last`, `best`, `all` or `every:N`.

        >>> StepChoice.parse("every:5")
        StepChoice(kind='every', every=5)
        """
        match = re.fullmatch(r"(last|best|all)|every:([1-9]\d{0,8})", text.strip())
        if match is None:
            raise RecipeError(
                "steps must be last, best, all or every:N (each N-th checkpoint), "
                f"got {text!r:.100}"
            )
        return cls(kind=match[1] or "every", every=int(match[2] or 1))

    @property
    def several(self) -> bool:
        """Whether a run may have several rows."""
        return self.kind in ("all", "every")


LAST = StepChoice(kind="last")


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Checkpoints of one step: one of each run."""

    names: tuple[str, ...]
    label: str = ""  # of the step, where a run has several
    phase: int = 0  # below 0 the initial weights, above 0 the last without a number
    counts: tuple[tuple[str, float], ...] = ()  # epoch, step, ... or "" -> number, of a label
    step: int | None = None  # of training, if the names tell it, and the same of each run
    is_best: bool = False  # not the last one
    note: str | None = None  # what was left out


@dataclass(frozen=True, kw_only=True)
class Best:
    """What is known of the best checkpoint of a run from elsewhere than its name."""

    name: str | None = None  # of its file or folder
    step: float | None = None
    epoch: float | None = None
    epochs: float | None = None  # the last one of the run

    @property
    def is_known(self) -> bool:
        """Whether anything tells which it was."""
        return (self.name, self.step, self.epoch) != (None, None, None)

    @property
    def words(self) -> str:
        """What is known of it, in words."""
        counts = (("step", self.step), ("epoch", self.epoch))
        known = [f"{kind} {number:g}" for kind, number in counts if number is not None]
        return " or ".join(known) or f"{self.name:.200}"

    def is_at(self, moment: Moment, run: Sequence[Moment]) -> bool:
        """Return whether a checkpoint of a run was saved at the best step, or at the best epoch."""
        unnamed = _unnamed(run, epochs=self.epochs, has_steps=self.step is not None)
        counts = {(kind or unnamed, number) for kind, number in moment.counts}
        if self.step is not None and any(kind == "step" for kind, _ in counts):
            # some count what is done, others what comes next
            return not counts.isdisjoint({("step", self.step), ("step", self.step + 1)})
        return self.epoch is not None and ("epoch", self.epoch) in counts


def _unnamed(run: Iterable[Moment], *, epochs: float | None, has_steps: bool) -> str:
    """Tell what checkpoint_9 counts: steps, if there were not that many epochs."""
    largest = max((n for m in run for kind, n in m.counts if not kind), default=0.0)
    return "epoch" if not has_steps or (epochs is not None and largest <= epochs + 1) else "step"


@functools.lru_cache(maxsize=8)
def _counted_beside(names: tuple[str, ...], epochs: float | None, has_steps: bool) -> str:  # noqa: FBT001 - private
    """Tell what checkpoint_9 counts in a folder: once for all of its files."""
    return _unnamed(moments(names), epochs=epochs, has_steps=has_steps)


def saved_at(
    name: str, names: Iterable[str], *, epochs: float | None, has_steps: bool
) -> tuple[str, float] | None:
    """Return the step or the epoch at which a checkpoint was saved, where its name says it.

    Args:
        name: The checkpoint.
        names: All checkpoints beside it.
        epochs: The last epoch of the run, where a history says it.
        has_steps: Whether the history counts steps.

    >>> saved_at("c-20.pt", ["c-10.pt", "c-20.pt"], epochs=3, has_steps=True)
    >>> saved_at("ckpt-20.pt", ["ckpt-10.pt", "ckpt-20.pt"], epochs=3, has_steps=True)
    ('step', 20.0)
    """
    (moment,) = moments([name])
    unnamed = _counted_beside(tuple(names), epochs, has_steps)
    counts = {kind or unnamed: number for kind, number in moment.counts}
    kinds = ("step", "epoch") if has_steps else ("epoch",)
    return next(((kind, counts[kind]) for kind in kinds if kind in counts), None)


def select(
    names: Sequence[str],
    choice: StepChoice | None = None,
    best: Callable[[str], Best] = lambda _: Best(),
) -> list[Selected]:
    """Choose among the checkpoints of a folder; seeds are left as they are.

    Args:
        names: Paths below the folder that they share.
        choice: Which steps are asked for.  Without it, the last, where the names tell that a run
            saved them; with it, numbers alone are steps as well.
        best: Returns what is known of the best checkpoint of a file's run.

    Raises:
        RecipeError: The best is asked for, and nothing tells which that was.

    Examples:
        >>> select(["epoch_9.pt", "epoch_10.pt"])[0].names
        ('epoch_10.pt',)
        >>> [one.label for one in select(["epoch_1.pt", "epoch_2.pt"], StepChoice(kind="all"))]
        ['epoch-1', 'epoch-2']

    """
    found = moments(names, are_counted=choice is not None)
    if choice is None and snapshots(names) is None:
        return [Selected(names=tuple(names))]
    runs: dict[tuple[str, ...], list[Moment]] = {}
    for moment in found:
        runs.setdefault(moment.run, []).append(moment)
    if () in runs and len(runs) > 1:  # `best.pt` beside seeds, or beside one run with a name
        if choice is None or len(runs) > 2:  # noqa: PLR2004 - it, and that run
            return [Selected(names=tuple(names))]  # for a person to settle
        runs = {(): [moment for run in runs.values() for moment in run]}
    if all(len(run) == 1 for run in runs.values()):
        return [Selected(names=tuple(names))]
    choice = choice or LAST
    if choice.several:
        return list(_steps(runs.values(), choice))
    if choice.kind == "last":
        if not all(_has_last(run) for run in runs.values()):
            return [Selected(names=tuple(names))]
        chosen = [_last(run) for run in runs.values()]
    else:
        chosen = [_best(run, best) for run in runs.values()]
    return [
        Selected(
            names=tuple(moment.name for moment in chosen),
            step=_step(chosen),
            is_best=choice.kind == "best",
            note=f"{choice.kind} of {len(names)} checkpoints that "
            f"{'one run' if len(runs) == 1 else f'{len(runs)} runs'} saved",
        )
    ]


def _steps(runs: Iterable[Sequence[Moment]], choice: StepChoice) -> Iterator[Selected]:
    """Yield the steps in their order; those of several runs that have one label stand together."""
    by_label: dict[str, list[Moment]] = {}
    for run in runs:
        # of several at one time, one: they are not seeds
        at_times = {moment.label: moment for moment in sorted(_numbered(run), key=_order)}
        ordered = sorted(at_times.values(), key=_order)
        kept = ordered[choice.every - 1 :: choice.every]  # epochs count from 1
        for moment in [*kept, *(ordered[-1:] if kept[-1:] != ordered[-1:] else [])]:
            by_label.setdefault(moment.label, []).append(moment)
    for label, same in sorted(by_label.items(), key=lambda item: _order(item[1][0])):
        names = tuple(moment.name for moment in same)
        yield Selected(
            names=names,
            label=label,
            phase=same[0].time[0],
            counts=same[0].counts,
            step=_step(same),
        )


def _step(same: Iterable[Moment]) -> int | None:
    steps = {moment.step for moment in same}
    return steps.pop() if len(steps) == 1 else None


def _numbered(run: Sequence[Moment]) -> list[Moment]:
    """Leave out `best` and the like, which are copies of others, where there are others.

    The final checkpoint stays: it may be later than the last one with a number.
    """
    numbered = [moment for moment in run if moment.numbers]
    final = [moment for moment in run if not moment.numbers and moment.time[0] > 0]
    return [*numbered, *final] if numbered else list(run)


def _order(moment: Moment) -> tuple[object, ...]:
    return moment.order


def _last(run: Sequence[Moment]) -> Moment:
    return max(run, key=_order)


def _has_last(run: Sequence[Moment]) -> bool:
    """Return whether names tell the last: not so of `best.pt` and `swa.pt`, nor of two losses."""
    return _last(run).has_time or sum(not moment.has_time for moment in run) == 1


def _best(run: Sequence[Moment], best: Callable[[str], Best]) -> Moment:
    called = [moment for moment in run if "best" in moment.words]
    if called:
        return _last(called)
    last = _last(run)
    # the latest that knows: the final weights may lie in another folder than the log
    records = (best(moment.name) for moment in sorted(run, key=_order, reverse=True))
    known = next((each for each in records if each.is_known), None)
    if known is None:
        raise RecipeError(
            f"which checkpoint was the best is not known: no file beside {last.name:.200} is "
            "called best, and no history of the run says it (--steps last takes the last one)"
        )
    for moment in run:
        if known.name is not None and known.name in moment.name.split("/"):
            return moment
    at_best = [moment for moment in run if known.is_at(moment, run)]
    if at_best:
        return _last(at_best)
    raise RecipeError(
        f"the best checkpoint, {known.words}, is not among those that were saved (--steps last "
        "takes the last one)"
    )
