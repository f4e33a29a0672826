"""The plan: for each group, the change that its verdict advises, and what must be trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mdtree.confirmation.changed import (
    ChangedPoint,
    changed_point,
    folder_name,
    members_of,
    trained_neighbour,
)
from mdtree.confirmation.settings import ConfirmationSettings
from mdtree.confirmation.source import TrainedPoint, TrainingSource, point_of
from mdtree.diagnosis import (
    AdvisedChange,
    Diagnoser,
    Gain,
    NothingAdvisedError,
    Verdict,
    advised_changes,
    advised_remedy,
)
from mdtree.exceptions import MdtreeError
from mdtree.failure_modes import REMEDIES
from mdtree.messages import plural
from mdtree.recipes import Zoo, read_zoo
from mdtree.rows import Fact, Row
from mdtree.zoo import CONFIG_NAME, ZooMember, placed, training_outcome

__all__ = ["ConfirmationPlan", "PlannedChange", "plan_changes", "refuse"]


@dataclass(frozen=True, kw_only=True)
class PlannedChange:
    """A group, the change to be made, and where its networks are or will be."""

    before: Row
    verdict: Verdict
    change: AdvisedChange
    root: Path  # the directory that is measured
    group: str  # the changed group in it
    members: tuple[ZooMember, ...]
    zoo: Zoo | None = None  # to train in `root`; None: the group is in the directory already
    notes: tuple[str, ...] = ()

    @property
    def promised(self) -> Gain | None:
        """The gain that the diagnosis expects from the remedy."""
        gains = self.verdict.gains
        return next((gain for gain in gains if gain.remedy == self.change.remedy), None)

    @property
    def todo(self) -> tuple[ZooMember, ...]:
        """The networks that are still to be trained."""
        return tuple(member for member in self.members if training_outcome(member) is None)


@dataclass(frozen=True, kw_only=True)
class ConfirmationPlan:
    """What can be confirmed, and why the rest cannot."""

    settings: ConfirmationSettings
    source: TrainingSource
    diagnoser: Diagnoser
    changes: tuple[PlannedChange, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)  # group -> why nothing is advised
    failures: Mapping[str, str] = field(default_factory=dict)  # group -> why it cannot be trained


def plan_changes(settings: ConfirmationSettings) -> ConfirmationPlan:
    """Plan the change of each group; nothing is trained or written.

    Raises:
        RecipeError: It is not known how the networks were trained.
        RowsError: Nothing was measured.
        NothingAdvisedError: No group has a verdict that advises a change.
        MdtreeError: No advised change can be made.
    """
    source, rows = settings.source(), settings.rows()
    diagnoser = settings.diagnoser(rows)
    changes: list[PlannedChange] = []
    skipped: dict[str, str] = {}
    failures: dict[str, str] = {}
    for row in rows:
        if settings.groups and row.group not in settings.groups:
            continue
        try:
            changes.append(_planned(settings, source, diagnoser, row))
        except NothingAdvisedError as error:
            skipped[row.group] = str(error)
        except MdtreeError as error:
            if error.exit_code != MdtreeError.exit_code:
                raise  # a missing package, or a folder that cannot be written, is so for all groups
            failures[row.group] = str(error)
    if not changes:
        refuse(skipped, failures)
    return ConfirmationPlan(
        settings=settings,
        source=source,
        diagnoser=diagnoser,
        changes=tuple(changes),
        skipped=skipped,
        failures=failures,
    )


def refuse(skipped: Mapping[str, str], failures: Mapping[str, str]) -> None:
    """Raise, with the reason of each group: nothing can be done."""
    reasons = {**failures, **skipped}
    kind = MdtreeError if failures else NothingAdvisedError
    if len(reasons) == 1:
        ((group, reason),) = reasons.items()
        raise kind(f"group {group!r:.100}: {reason}")
    listed = [f"  {group:.100}: {reason}" for group, reason in list(reasons.items())[:20]]
    more = len(reasons) - len(listed)
    raise kind(
        "no group has a change that can be confirmed:\n"
        + "\n".join(listed)
        + (f"\n  ... and {more} more" if more else "")
    )


def _planned(
    settings: ConfirmationSettings, source: TrainingSource, diagnoser: Diagnoser, row: Row
) -> PlannedChange:
    verdict = diagnoser(row)
    remedy = advised_remedy(verdict, settings.remedy)
    point = point_of(source, row)
    known = {**_stated(point), **row.facts}
    wanted = advised_changes(verdict, replace(row, facts=known), remedy)
    changed, refusals = None, list[str]()
    for change in wanted:
        try:
            changed = changed_point(source, point, change, seeds=settings.seeds)
            break
        except MdtreeError as error:
            refusals.append(f"{change.fact}: {error}")
    if changed is None:
        raise MdtreeError(f"{remedy} cannot be made: {'; '.join(refusals)}")
    notes = list(changed.notes)
    if settings.remedy is not None and REMEDIES[remedy] != verdict.mode:
        notes.append(f"{remedy} is the change that you chose; the verdict is {verdict.mode}")
    notes += [f"not changed as advised first, {refusal}" for refusal in refusals]
    before = row
    if changed.change.fact not in row.facts:  # only the config knows it
        before = replace(row, facts={**row.facts, changed.change.fact: changed.change.old})
    place = _place(settings, source, changed)
    return PlannedChange(
        before=before,
        verdict=verdict,
        change=place.change,
        root=place.root,
        group=place.group,
        members=tuple(members_of(source, place.zoo, place.root, settings.device_name)),
        zoo=None if place.is_trained else place.zoo,
        notes=(*notes, *place.notes),
    )


def _stated(point: TrainedPoint) -> dict[str, Fact]:
    """Return batch size and learning rate as the config says them."""
    training = point.content["training"]
    values = {name: training.get(name) for name in ("batch_size", "learning_rate")}
    return {
        name: point.facts.get(value[1:], value) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None
    }


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the changed networks are, or will be."""

    root: Path
    group: str
    zoo: Zoo  # of this group alone
    change: AdvisedChange
    is_trained: bool = False
    notes: tuple[str, ...] = ()


def _place(settings: ConfirmationSettings, source: TrainingSource, changed: ChangedPoint) -> _Place:
    """Find the changed networks in the zoo, or a folder for them."""
    change = changed.change
    neighbour = trained_neighbour(source, changed)
    if neighbour is None or source.zoo is None:
        root = settings.place / folder_name(changed.group)
        zoo = _with_enough_seeds(changed.zoo, root, source)
        return _Place(root=root, group=changed.group, zoo=zoo, change=change)
    group, value = neighbour
    advised = "" if math.isclose(value, change.new) else f" (advised: {change.new:.10g})"
    point = source.zoo.recipe().facts_in(group)
    networks = plural(source.zoo.seeds, "network")
    return _Place(
        root=settings.directory,
        group=group,
        zoo=source.zoo.model_copy(update={"grid": {name: (v,) for name, v in point.items()}}),
        change=replace(change, new=value),
        is_trained=True,
        notes=(f"not trained anew: {group} is in the zoo already{advised}, with {networks}",),
    )


def _with_enough_seeds(zoo: Zoo, root: Path, source: TrainingSource) -> Zoo:
    """Keep further members that are there from an earlier call with more seeds."""
    if not (root / CONFIG_NAME).exists():
        return zoo
    earlier = read_zoo(root / CONFIG_NAME)
    more = zoo.model_copy(update={"seeds": max(zoo.seeds, earlier.seeds)})
    return more if earlier.differences(placed(more, source.folder)) == [] else zoo
