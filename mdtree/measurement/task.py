"""A task: all that a worker needs to measure one group, in paths, names and seeds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mdtree.checkpoints import base_of, file_digest, is_adapter
from mdtree.exceptions import UnsafeError
from mdtree.measurement.told_amount import ToldAmount
from mdtree.recipes import Recipe, Trust, bind, fingerprint
from mdtree.rows import TARGET, Detail, Fact, Row
from mdtree.rows.facts import LATE_GAIN, LATE_LOSS_DROP

__all__ = [
    "ASIDE",
    "DESCRIPTIONS",
    "GroupTask",
    "MeasurementSettings",
    "as_text",
    "describing_folder",
    "home",
    "named_base",
    "names_below",
    "row_digest",
]

# factories of networks that their folder describes -> the file that does it
DESCRIPTIONS = {"huggingface": "config.json", "timm": "args.yaml"}
ASIDE = (TARGET, LATE_GAIN, LATE_LOSS_DROP)  # facts that change no number


@dataclass(frozen=True, kw_only=True)
class MeasurementSettings:
    """How groups are measured: the same for all groups of a run."""

    recipe: Recipe
    folder: Path  # where relative paths of the recipe begin
    trust: Trust
    protocol: str
    metrics: tuple[str, ...]
    seed: int
    device: str
    allow_download: bool
    dtype: str | None = None  # float32 | float64; None: as the network is
    storage: str | None = None  # the address below which the files are; None: on this machine
    quantities: tuple[str, ...] = ()  # of the metrics; none: all that they have
    others: tuple[Path, ...] = ()  # directories beside the first, of runs with other seeds


@dataclass(frozen=True, kw_only=True)
class GroupTask(MeasurementSettings):
    """One group that is to be measured; picklable."""

    group: str
    files: tuple[Path, ...]
    facts: Mapping[str, Fact]
    data_digest: str | None  # hash of the data files when the run was planned
    earlier: Row | None = None  # a row of the same inputs, to which quantities are added
    stamps: Mapping[str, str] | None = None  # of a storage: file -> what changes with it
    listed: bool = False  # the recipe lists its files: the user says that they are seeds
    origins: Mapping[str, str] = field(default_factory=dict)  # fact, or "history" -> its file
    logged_accuracy: float | None = None  # test accuracy in percent, as the trainer logged it
    logged_shares: tuple[float, float] | None = None  # lowest and highest, where all are at most 1
    told_amount: ToldAmount | None = None  # training items, by settings; the data tell the fact
    logged: tuple[str, ...] = ()  # what a trainer logged: losses, accuracy
    notes: tuple[str, ...] = ()  # choices that were made when it was found
    details: Mapping[str, Detail] = field(default_factory=dict)  # of the run that it is a step of
    unfinished: Path | None = None  # a file for what later stages go on from
    lost: str | None = None  # why there are no files: all networks diverged

    @property
    def at_hand(self) -> bool:
        """Say whether the files are on this machine, and not in a storage only."""
        return self.storage is None or all(path.is_absolute() for path in self.files)

    @cached_property
    def members(self) -> dict[str, Path]:
        """Name the checkpoints of the group by their paths below the folder they share."""
        return names_below(self.files)


def names_below(files: Iterable[Path]) -> dict[str, Path]:
    """Name files by their paths below the folder that they share."""
    listed = list(files)
    if not listed:
        return {}
    shared = os.path.commonpath([path.absolute().parent for path in listed])
    return {as_text(Path(os.path.relpath(path, shared)).as_posix()): path for path in listed}


def as_text(name: str) -> str:
    """Make the name of a file, which need not be text, what it will be in a row."""
    return name.encode("utf-8", "backslashreplace").decode()


def row_digest(task: GroupTask) -> str:
    """Hash what the recipe says about this group, and what its folder says itself."""
    recipe = task.recipe
    facts = sorted(item for item in task.facts.items() if item[0] not in ASIDE)
    rest = f"{recipe.batch_size} {recipe.weights_key} {facts}"
    if task.dtype is not None:
        rest += f" {task.dtype}"
    if (recipe.hessian_limit or 1) > 1:
        rest += f" {recipe.hessian_limit}"
    if "fork" in task.metrics and recipe.training is not None:
        rest += f" {bind(recipe.training, task.facts)}"
    model, data = bind(recipe.model, task.facts), bind(recipe.data, task.facts)
    folder = describing_folder(task) if task.storage is None else None  # else stamps tell
    file = DESCRIPTIONS.get(recipe.model.factory, "")
    described = None if folder is None else file_digest(folder / file)
    if folder is not None and recipe.model.factory == "huggingface" and is_adapter(task.files[0]):
        described = f"{described} {file_digest(_base(task))}"
    return fingerprint(model, data, recipe.loss, rest, described)


def describing_folder(task: GroupTask) -> Path | None:
    """Find the folder that says itself what its network is: Hugging Face's and timm's do.

    An adapter is described by the folder of its base.
    """
    factory = task.recipe.model.factory
    if factory not in DESCRIPTIONS:
        return None
    is_based = factory == "huggingface" and is_adapter(task.files[0])
    return _base(task).parent if is_based else task.files[0].parent


def named_base(task: GroupTask) -> Path | None:
    """Return the base of adapters that the recipe names."""
    named = bind(task.recipe.model, task.facts).kwargs.get("base")
    if task.recipe.model.factory != "huggingface" or named is None:
        return None
    base = task.folder / str(named)
    place = home(task, task.files[0])
    if place is not None and not base.resolve().is_relative_to(place.resolve()):
        raise UnsafeError(
            f"the recipe in {task.folder} names the base model {base!s:.500}, outside {place}: if "
            "you trust it, pass the recipe yourself with --recipe"
        )
    return base


def home(task: GroupTask, path: Path) -> Path | None:
    """Return the directory out of which no link may lead, unless the user has named the recipe."""
    if task.trust.any_factory or task.storage is not None:
        return None
    return next((root for root in task.others if root in path.parents), task.folder)


def _base(task: GroupTask) -> Path:
    first = task.files[0]
    return base_of(first, named=named_base(task), within=home(task, first))
