"""Confirming: train what is missing, measure it as `mdtree measure` does, and compare."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from mdtree.confirmation.learning import label_of, teach
from mdtree.confirmation.plan import ConfirmationPlan, PlannedChange, refuse
from mdtree.confirmation.result import Change, Confirmation, Confirmed
from mdtree.confirmation.settings import ConfirmationSettings
from mdtree.diagnosis import compare_pair
from mdtree.exceptions import MdtreeError
from mdtree.measurement import Request, measure
from mdtree.messages import plural
from mdtree.progress import Progress, Silent
from mdtree.recipes import RECIPE_NAME, read_zoo
from mdtree.rows import ROWS_NAME, Measured, Row, Store, open_rows
from mdtree.zoo import (
    CONFIG_NAME,
    OUT_OF_TIME,
    Price,
    diverged_row,
    diverged_training,
    placed,
    prices,
    train_zoo,
    training_outcome,
)

__all__ = ["confirm", "dry_run"]


def dry_run(plan: ConfirmationPlan, progress: Progress | None = None) -> list[Price]:
    """Return what training would cost; nothing is written."""
    todo = {(member.out, member.name): member for each in plan.changes for member in each.todo}
    return prices(list(todo.values()), progress)


def confirm(plan: ConfirmationPlan, *, progress: Progress | None = None) -> Confirmation:
    """Train the changes of a plan within its budget, measure them, and compare.

    Networks that are trained and groups that are measured already stay as they are, so that the
    same call resumes what was interrupted.

    Raises:
        MdtreeError: No change could be confirmed.
    """
    settings = plan.settings
    minutes = settings.minutes
    deadline = None if minutes is None else time.time() + 60 * minutes
    watch = _Steps(progress or Silent())
    watch.outer.start(len({(m.out, m.name) for each in plan.changes for m in each.todo}))
    confirmed: list[Confirmed] = []
    failures, left = dict(plan.failures), dict[str, str]()
    for planned in plan.changes:
        name = planned.before.group
        try:
            trained = _train(plan, planned, deadline, watch)
            confirmed.append(_compared(plan, planned, trained))
        except _LeftError as error:
            left[name] = str(error)
        except MdtreeError as error:
            if error.exit_code != MdtreeError.exit_code:
                raise  # what cannot be written, or is being written, is so for all groups
            failures[name] = str(error)
    if not confirmed and not left:
        refuse(plan.skipped, failures)
    lesson = teach(settings, plan.diagnoser, confirmed)
    return Confirmation(
        confirmed=tuple(confirmed),
        skipped=plan.skipped,
        failures=failures,
        left=left,
        rows=str(settings.place / ROWS_NAME),
        labelled=lesson.path,
        labels=lesson.labels,
        tree=lesson.tree,
        learn=lesson.command,
        why_not=lesson.why_not,
    )


class _LeftError(MdtreeError):
    """The budget is used up."""


@dataclass(frozen=True)
class _Steps:
    """Progress over the networks of all groups, whose parts start no bar of their own."""

    outer: Progress

    def start(self, total: int, stage: str = "") -> None:
        """Do nothing: all networks were announced."""

    def step(self, done: str) -> None:
        """Report a network."""
        self.outer.step(done)

    def skip(self, done: str) -> None:
        """Report a network that is left out."""
        self.outer.skip(done)

    def inside(self, name: str, share: float, stage: str = "") -> None:
        """Report a part of a network."""
        self.outer.inside(name, share, stage)


@dataclass(frozen=True, kw_only=True)
class _Trained:
    trained: int
    already: int
    diverged: tuple[str, ...]


def _train(
    plan: ConfirmationPlan, planned: PlannedChange, deadline: float | None, watch: Progress
) -> _Trained:
    """Train the networks of a change that are not whole."""
    todo = planned.todo
    if todo:
        assert planned.zoo is not None, "the groups of a zoo that are chosen are trained"
        if deadline is not None and time.time() > deadline:
            raise _left(plan, planned)
        _forget_fewer_seeds(plan, planned)
        summary = train_zoo(
            planned.zoo,
            folder=plan.source.folder,
            out=planned.root,
            trust=plan.source.trust,
            executor=plan.settings.executor,
            device=plan.settings.device_name,
            deadline=deadline,
            progress=watch,
        )
        if OUT_OF_TIME in summary.failed.values():
            raise _left(plan, planned)
        for name, reason in summary.failed.items():
            raise MdtreeError(f"{name} could not be trained: {reason}")
    outcomes = {member.name: training_outcome(member) for member in planned.members}
    return _Trained(
        trained=len(todo),
        already=len(planned.members) - len(todo),
        diverged=tuple(name for name, o in outcomes.items() if o is not None and o.diverged),
    )


def _left(plan: ConfirmationPlan, planned: PlannedChange) -> _LeftError:
    whole = len(planned.members) - len(planned.todo)
    return _LeftError(
        f"the budget of {plan.settings.minutes:.10g} minutes is used up: {whole} of "
        f"{plural(len(planned.members), 'network')} trained. Run the same command again to "
        "resume, with more --minutes if a single network takes longer"
    )


def _forget_fewer_seeds(plan: ConfirmationPlan, planned: PlannedChange) -> None:
    """Let more members join those of an earlier call, whose config says that there are fewer."""
    config = planned.root / CONFIG_NAME
    if planned.zoo is None or not config.exists():
        return
    earlier = read_zoo(config)
    same = planned.zoo.model_copy(update={"seeds": earlier.seeds})
    if earlier.seeds < planned.zoo.seeds and not earlier.differences(
        placed(same, plan.source.folder)
    ):
        config.unlink()
        (planned.root / RECIPE_NAME).unlink(missing_ok=True)


def _compared(plan: ConfirmationPlan, planned: PlannedChange, trained: _Trained) -> Confirmed:
    settings = plan.settings
    before = _before(settings, planned.before)
    after = _after(plan, planned, trained)
    with Store(settings.place / ROWS_NAME) as store:
        for row in (before, after):
            if store.index.latest(row.key) != row:
                store.append(row)
    notes = list(planned.notes)
    if trained.diverged and len(trained.diverged) < len(planned.members):
        count = f"{len(trained.diverged)} of {len(planned.members)}"
        notes.append(
            f"training after diverged in {count} networks: the others alone are measured, so the "
            "gain is too favourable"
        )
    comparison = compare_pair(before, after, plan.diagnoser)
    comparison = replace(comparison, notes=(*notes, *comparison.notes))
    label, why_no_label = label_of(before, after, planned.change.remedy, comparison.real)
    return Confirmed(
        change=Change(
            before=before.group,
            after=after.group,
            remedy=planned.change.remedy,
            fact=planned.change.fact,
            old=planned.change.old,
            new=planned.change.new,
            folder=str(planned.root),
            trained=trained.trained,
            already=trained.already,
            diverged=trained.diverged,
            label=label,
            why_no_label=why_no_label,
            notes=tuple(notes),
        ),
        comparison=comparison,
    )


def _before(settings: ConfirmationSettings, row: Row) -> Row:
    """Return the row before with its error rates, which are measured if they were not."""
    if isinstance(row.quantities.get("test_error"), Measured) or row.is_diverged:
        return row
    request = settings.request(settings.directory, row.group)
    measured = _measured(request, settings.rows_of_directory, row.group)
    return replace(measured, facts={**row.facts, **measured.facts})


def _after(plan: ConfirmationPlan, planned: PlannedChange, trained: _Trained) -> Row:
    """Return the row of the changed group; one without weights is a failure, and a result."""
    settings, group = plan.settings, planned.group
    if len(trained.diverged) == len(planned.members):
        facts = {**planned.before.facts, **planned.members[0].facts}
        reason = diverged_training(planned.members[0].record.parent)
        assert reason is not None, "the outcomes were read from the same records"
        return diverged_row(group, settings.protocol, facts, reason)
    if planned.zoo is not None:
        request = settings.request(planned.root, group, own_trust=plan.source.trust)
        return _measured(request, settings.place / ROWS_NAME, group)
    known = _row_in(settings.rows_of_directory, group, settings.protocol)
    if known is not None and isinstance(known.quantities.get("test_error"), Measured):
        return known
    request = settings.request(settings.directory, group)
    return _measured(request, settings.rows_of_directory, group)


def _measured(request: Request, out: Path, group: str) -> Row:
    """Measure one group on the way that `mdtree measure` takes."""
    summary = measure(request, out=out)
    reason = (summary.failed | summary.diverged).get(group)
    if reason is not None:
        raise MdtreeError(f"group {group!r:.100} was not measured: {reason}")
    row = _row_in(out, group, request.protocol)
    if row is None:
        raise MdtreeError(f"group {group!r:.100} was not found: its weights are gone")
    return row


def _row_in(path: Path, group: str, protocol: str) -> Row | None:
    """Return the row of a group; of several, the latest."""
    found = [row for row in open_rows(path) if row.key == (group, protocol)]
    return found[-1] if found else None
