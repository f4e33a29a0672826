"""The groups of a request: folders of checkpoints at one step of training, and their facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mdtree.checkpoints import (
    LAST,
    Best,
    Folder,
    Selected,
    find_stored_folders,
    named_files,
    saved_at,
    select,
)
from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.measurement.one_run import LOGGED, are_logged_together, history_detail, step_detail
from mdtree.measurement.request import Request, folders_of, root_of
from mdtree.measurement.task import names_below
from mdtree.messages import nearest
from mdtree.recipes import RECIPE_NAME
from mdtree.rows import Detail, Diverged, Fact
from mdtree.rows.training_words import TRAINING_WORDS, is_same_word
from mdtree.runs import History, HistoryPoint, RunRecord, late_told, read_record, read_records

__all__ = ["FoundGroup", "check_groups", "find"]


@dataclass(frozen=True, kw_only=True)
class FoundGroup:
    """The checkpoints of one group, and what is known of their training."""

    folder: Folder
    stated: Mapping[str, Fact]  # facts of this group that the user states
    training: Mapping[str, Fact] = field(default_factory=dict)  # from files of the trainer
    origins: Mapping[str, str] = field(default_factory=dict)  # fact, or "history" -> file
    histories: tuple[History, ...] = ()  # of each file, where a trainer has logged one
    is_best: bool = False  # the best checkpoint of each run
    is_last: bool = True
    is_end: bool = True  # no later checkpoint of the run was chosen
    diverged: Diverged | None = None  # of whom a loss was logged that is NaN or infinite at the end
    notes: tuple[str, ...] = ()  # choices that were made
    details: Mapping[str, Detail] = field(default_factory=dict)  # of the run that it is a step of

    @property
    def points(self) -> tuple[HistoryPoint, ...]:
        """What each trainer had logged at the checkpoint that was chosen."""
        return tuple(_point(history, is_best=self.is_best) for history in self.histories)

    @property
    def logged_accuracy(self) -> float | None:
        """The test accuracy that trainers logged, in percent, mean over runs."""
        known = [p.test_accuracy for p in self.points if p.test_accuracy is not None]
        return sum(known) / len(known) if len(known) == len(self.histories) > 0 else None

    @property
    def logged(self) -> tuple[str, ...]:
        """What a trainer logged: losses, accuracy."""
        return tuple(dict.fromkeys(kind for each in self.histories for kind in each.kinds))

    @property
    def group(self) -> str:
        """The name of the group."""
        return self.folder.name

    @property
    def facts(self) -> dict[str, Fact]:
        """What trainers wrote, and what the user states, which wins."""
        return {**self.training, **self.stated}


def find(request: Request) -> Iterator[FoundGroup]:
    """Find the groups below the root, in the order of their paths."""
    recipe, root = request.recipe, request.root
    if request.storage is not None:
        if recipe.groups:
            raise RecipeError(
                "groups of an object storage are found by their folders: take `groups` out of the "
                "recipe, and name their facts by `pattern`"
            )
        for folder in find_stored_folders(request.storage):
            yield from _at_steps(request, folder)
    elif recipe.groups and not root.is_file():
        for group in recipe.groups:
            files = named_files(request.folder, group.files, group=group.name)
            folder = Folder(name=group.name, files=files)
            yield _with_records(request, FoundGroup(folder=folder, stated=dict(group.facts)))
    else:
        for folder in folders_of(request):
            yield from _at_steps(request, folder)


def _at_steps(request: Request, folder: Folder) -> Iterator[FoundGroup]:
    """Choose among the checkpoints that runs saved at several steps."""
    if folder.lost is not None:
        yield FoundGroup(folder=folder, stated=_stated(request, folder))
        return
    by_name = names_below(folder.files)

    def record(name: str) -> RunRecord:
        path = by_name[name]
        return read_record(path, root_of(path, (request.root, *request.others)))

    def best(name: str) -> Best:
        return Best() if request.storage is not None else _best(record(name))

    steps, why = request.steps, ""
    if steps is None and request.storage is None and are_logged_together(by_name, record):
        steps, why = LAST, LOGGED
    selection = select(list(by_name), steps, best)
    for selected in selection:
        files = tuple(by_name[name] for name in selected.names)
        name = f"{folder.name}@{selected.label}" if selected.label else folder.name
        group = FoundGroup(
            folder=replace(folder, name=name, files=files, stamps=_stamps(folder, files)),
            stated=_stated(request, folder),
            is_best=selected.is_best,
            is_last=not (selected.label or selected.is_best),
            is_end=selected is selection[-1],
            notes=() if selected.note is None else (selected.note + why,),
        )
        group = _with_steps(_with_records(request, group, by_name), selected)
        details = step_detail(folder.name, selected, _unnamed(group, by_name))
        if details and selected is selection[-1]:  # one row holds the history of the run
            details = {**details, **history_detail(group.histories)}
        yield replace(group, details=details)


def _stated(request: Request, folder: Folder) -> dict[str, Fact]:
    """Read the facts in the name of a group; an error says where the name and the pattern are."""
    try:
        return request.recipe.facts_in(folder.name)
    except RecipeError as error:
        pattern = request.folder / RECIPE_NAME
        of = f"the pattern is that of {pattern}" if pattern.is_file() else "it is in the recipe"
        place = f"{folder.files[0].parent}: " if folder.files else ""
        joined = (
            "; directories that are named together are runs of one configuration with several "
            "seeds: diagnose others one by one"
            if request.others
            else ""
        )
        raise RecipeError(f"{place}{error} ({of}{joined})") from error


def _unnamed(group: FoundGroup, by_name: Mapping[str, Path]) -> str:
    """Tell what numbers without a word count: epochs or steps, if a history decides it."""
    if not group.histories or not group.histories[0].points:
        return "checkpoint"
    names = {path: name for name, path in by_name.items()}
    place = _saved_at(group.folder.files[0], group.histories[0], names)
    return "checkpoint" if place is None else place[0]


def _with_steps(group: FoundGroup, selected: Selected) -> FoundGroup:
    """Add the steps of training: as the names tell them, or else the last that was logged."""
    if "steps" in group.training and Path(group.origins["steps"]).name == "trainer_state.json":
        return group
    step, origin = selected.step, "the name"
    if step is None and group.is_last:
        logged = {history.last("step") for history in group.histories}
        last = logged.pop() if len(logged) == 1 else None
        step, origin = None if last is None else int(last), group.origins.get("history", "")
    if step is None or step < 1:
        return group
    return replace(
        group,
        training={**group.training, "steps": step},
        origins={**group.origins, "steps": origin},
    )


def _point(history: History, *, is_best: bool) -> HistoryPoint:
    return (history.best if is_best else None) or history.final


def _stamps(folder: Folder, files: Sequence[Path]) -> Mapping[str, str] | None:
    if folder.stamps is None or len(files) == len(folder.files):
        return folder.stamps
    known = {str(path) for path in files}
    return {name: stamp for name, stamp in folder.stamps.items() if name in known}


def _best(record: RunRecord) -> Best:
    point = record.history.best
    return Best(
        name=record.best,
        step=None if point is None else point.step,
        epoch=None if point is None else point.epoch,
        epochs=record.history.last_epoch,
    )


def _with_records(
    request: Request, group: FoundGroup, by_name: Mapping[str, Path] | None = None
) -> FoundGroup:
    """Add what trainers have written beside the checkpoints; what the user says comes first.

    `by_name` are all checkpoints of the folder: a history ends where its checkpoint was saved.
    """
    if request.storage is not None:
        return group
    roots = (request.root, *request.others)
    records = read_records(group.folder.files, lambda path: root_of(path, roots))
    facts: dict[str, Fact] = {}
    origins: dict[str, str] = {}
    notes = [note for record in records for note in record.notes]
    names = dict.fromkeys(name for record in records for name in record.facts)
    for name in names:
        values = dict.fromkeys(record.facts[name] for record in records if name in record.facts)
        if len(values) == 1 or _are_same_words(name, values):
            facts[name] = next(iter(values))
            origins[name] = next(r.places[name] for r in records if name in r.facts)
        elif name not in group.stated and name not in request.recipe.facts:
            listed = " and ".join(str(value) for value in values)
            notes.append(f"{name} is {listed}: are these seeds of one configuration?")
    for fact, said in {fact: said for r in records for fact, said in r.unknown.items()}.items():
        if fact not in facts and fact not in group.stated and fact not in request.recipe.facts:
            notes.append(said)
    logs = [record.places["history"] for record in records if "history" in record.places]
    origins |= {"history": logs[0]} if logs else {}
    histories = tuple(_histories(group.folder.files, records, by_name or {}))
    if group.is_end:
        late, few = late_told([record.history for record in records], *logs[:1])
        notes += few
        facts, origins = {**facts, **late}, {**origins, **dict.fromkeys(late, *logs[:1])}
    # what became of a run after its last checkpoint counts as well; not so after an earlier one
    whole = [record.history for record in records] if group.is_last else histories
    return replace(
        group,
        training=facts,
        origins=origins,
        histories=histories,
        diverged=_diverged(group.folder.files, whole),
        notes=(*group.notes, *dict.fromkeys(notes)),
    )


def _diverged(files: Sequence[Path], histories: Iterable[History]) -> Diverged | None:
    """Name the files of the runs that diverged, by their logs."""
    names = names_below(files)
    lost = [n for n, each in zip(names, histories, strict=True) if each.diverged]
    return Diverged(networks=tuple(lost), of=len(names)) if lost else None


def _are_same_words(name: str, values: Iterable[Fact]) -> bool:
    """Return whether words are spellings of one: adamw, torch.optim.AdamW."""
    first, *others = map(str, values)
    return name in TRAINING_WORDS and all(is_same_word(name, first, each) for each in others)


def _histories(
    files: Iterable[Path], records: Iterable[RunRecord], by_name: Mapping[str, Path]
) -> Iterator[History]:
    names = {path: name for name, path in by_name.items()}
    for path, record in zip(files, records, strict=True):
        saved = _saved_at(path, record.history, names)
        yield record.history if saved is None else record.history.until(*saved)


def _saved_at(path: Path, history: History, names: Mapping[Path, str]) -> tuple[str, float] | None:
    """Return the step or the epoch at which a file was saved, where the names tell it."""
    if path not in names:
        return None
    has_steps = any(point.step is not None for point in history.points)
    return saved_at(names[path], names.values(), epochs=history.last_epoch, has_steps=has_steps)


def check_groups(request: Request, found: Iterable[str]) -> tuple[str, ...]:
    """Return the names that are asked for.

    Raises:
        MdtreeError: There are no groups, two have one name, or one that is asked for is missing.

    """
    names = tuple(found)
    if not names:
        raise MdtreeError(
            f"{request.storage or request.root} holds no weights files, neither directly nor in "
            "its sub-directories (looked for .safetensors, .pt, .pth, .ckpt, ... and folders with "
            "config.json)"
        )
    if len(set(names)) < len(names):
        twice, count = Counter(names).most_common(1)[0]
        raise MdtreeError(
            f"{count} groups are called {twice!r}: rename their folders, "
            "or list the groups with their names in the recipe"
        )
    if request.groups is None:
        return names
    for name in sorted(request.groups - set(names)):
        raise MdtreeError(
            f"there is no group {name!r}{nearest(name, names)} ({', '.join(names):.200})"
        )
    return tuple(name for name in names if name in request.groups)
