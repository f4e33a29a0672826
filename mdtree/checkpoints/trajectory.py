"""Trajectories: the checkpoints of one run at several steps, and which of them are measured.

The checkpoints of a run are not seeds: a group is made of one step alone, the same for each run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mdtree.checkpoints.snapshots import Moment, moments, snapshots
from mdtree.exceptions import RecipeError

__all__ = ["LAST", "Selected", "StepChoice", "select"]


@dataclass(frozen=True, kw_only=True)
class StepChoice:
    """Which steps of a run are measured."""

    kind: str  # last | best | all | every
    every: int = 1  # checkpoints

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
    step: int | None = None  # of training, if the names tell it, and the same of each run
    is_best: bool = False  # not the last one
    note: str | None = None  # what was left out


def select(
    names: Sequence[str],
    choice: StepChoice | None = None,
    best: Callable[[str], Sequence[str]] = lambda _: (),
) -> list[Selected]:
    """Choose among the checkpoints of a folder; seeds are left as they are.

    Args:
        names: Paths below the folder that they share.
        choice: Which steps are asked for.  Without it, the last, where the names tell that a run
            saved them; with it, numbers alone are steps as well.
        best: Returns what the best checkpoint of a file's run may be called, as far as it is
            known: a folder, a step, an epoch.

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
    if () in runs and len(runs) > 1:
        return [Selected(names=tuple(names))]  # `best.pt` beside seeds: for a person to settle
    if all(len(run) == 1 for run in runs.values()):
        return [Selected(names=tuple(names))]
    choice = choice or LAST
    if choice.several:
        return list(_steps(runs.values(), choice))
    chosen = [_chosen(run, choice, best) for run in runs.values()]
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
        ordered = sorted(_numbered(run), key=lambda moment: moment.order)
        kept = ordered[:: choice.every]
        for moment in [*kept, *(ordered[-1:] if kept[-1:] != ordered[-1:] else [])]:
            by_label.setdefault(moment.label, []).append(moment)
    for label, same in sorted(by_label.items(), key=lambda item: item[1][0].order):
        names = tuple(moment.name for moment in same)
        yield Selected(names=names, label=label, step=_step(same))


def _step(same: Iterable[Moment]) -> int | None:
    steps = {moment.step for moment in same}
    step = steps.pop() if len(steps) == 1 else None
    return None if step is None else int(step)


def _numbered(run: Sequence[Moment]) -> list[Moment]:
    """Leave out `best` and `last`, which are copies of others, where there are others."""
    return [moment for moment in run if moment.numbers] or list(run)


def _chosen(
    run: Sequence[Moment], choice: StepChoice, best: Callable[[str], Sequence[str]]
) -> Moment:
    last = max(run, key=lambda moment: moment.order)
    if choice.kind == "last":
        return last
    for moment in run:
        if "best" in moment.words:
            return moment
    for wanted in best(last.name):
        for moment in run:
            called = [*moment.name.split("/"), *(f"{number:g}" for number in moment.numbers)]
            if wanted in called:
                return moment
    raise RecipeError(
        f"which checkpoint was the best is not known: no file beside {last.name:.200} is called "
        "best, and no history of the run says it (--steps last takes the last one)"
    )
