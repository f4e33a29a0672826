"""The record of a run: what is known of its training from the files that lie around its weights."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdtree.exceptions import UnreadableError
from mdtree.rows import Fact
from mdtree.rows.training_words import TRAINING_WORDS, is_same_word
from mdtree.runs.history import History, HistoryPoint, is_column, points_from
from mdtree.runs.lightning import cli_facts, done_steps
from mdtree.runs.pickled_settings import read_arguments, read_pickled_settings
from mdtree.runs.settings import facts_from, unknown_words
from mdtree.runs.text_files import read_csv, read_mapping, read_yaml_mapping

__all__ = ["RunRecord", "read_record", "read_records"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What was found, and in which file."""

    trainer: str | None = None  # whose files they are
    facts: Mapping[str, Fact] = field(default_factory=dict)
    history: History = field(default_factory=History)
    is_logged_beside: bool = False  # the history lies in the folder of the weights themselves
    best: str | None = None  # the checkpoint that the trainer calls its best
    places: Mapping[str, str] = field(default_factory=dict)  # fact, or "history" -> file
    notes: tuple[str, ...] = ()  # what was not read, and why
    unknown: Mapping[str, str] = field(default_factory=dict)  # fact -> why its word is none


@dataclass(frozen=True, kw_only=True)
class _Content:
    """What one file says."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    points: tuple[HistoryPoint, ...] = ()
    best: str | None = None
    notes: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)  # fact -> why its word is none


_Reader = Callable[[Path], _Content]


def _settings(read: Callable[[Path], Mapping[Any, Any]]) -> _Reader:
    def content(path: Path) -> _Content:
        settings = read(path)
        facts, notes = facts_from(settings)
        return _Content(facts=facts, notes=tuple(notes), unknown=unknown_words(settings))

    return content


def _table(path: Path) -> _Content:
    points, note = points_from(read_csv(path, is_column))
    return _Content(points=points, notes=() if note is None else (note,))


def _lightning_table(path: Path) -> _Content:
    points, note = points_from(done_steps(read_csv(path, is_column)))
    return _Content(points=points, notes=() if note is None else (note,))


def _lightning_config(path: Path) -> _Content:
    facts, notes, unknown = cli_facts(read_yaml_mapping(path))
    return _Content(facts=facts, notes=tuple(notes), unknown=unknown)


def _trainer_state(path: Path) -> _Content:
    """Read how far Hugging Face's Trainer had come when it saved, and all that it had logged."""
    state = read_mapping(path)
    log = state.get("log_history")
    lines = [line for line in log if isinstance(line, dict)] if isinstance(log, list) else []
    points, note = points_from(lines, is_certain=True)
    so_far = {"max_steps": state.get("global_step"), "epochs": state.get("epoch")}
    facts, _ = facts_from({**so_far, "train_batch_size": state.get("train_batch_size")})
    best = state.get("best_model_checkpoint")
    return _Content(
        facts=facts,
        points=points,
        best=Path(best).name if isinstance(best, str) else None,
        notes=() if note is None else (note,),
    )


_STATE = "trainer_state.json"
# file -> whose it is, and how it is read; of two that tell the same, the first counts
_FILES: dict[str, tuple[str, _Reader]] = {
    "training_args.json": ("Hugging Face Trainer", _settings(read_mapping)),
    "training_args.bin": ("Hugging Face Trainer", _settings(read_pickled_settings)),
    _STATE: ("Hugging Face Trainer", _trainer_state),
    "config.yaml": ("Lightning", _lightning_config),
    "hparams.yaml": ("Lightning", _settings(read_yaml_mapping)),
    "metrics.csv": ("Lightning", _lightning_table),
    "args.yaml": ("timm", _settings(read_yaml_mapping)),
    "summary.csv": ("timm", _table),
    ".hydra/config.yaml": ("Hydra", _settings(read_yaml_mapping)),
    "args.json": ("a training script", _settings(read_mapping)),
    "hparams.json": ("a training script", _settings(read_mapping)),
    "history.csv": ("a training script", _table),
    "log.csv": ("a training script", _table),
}
_WEIGHTS = ("a training script", _settings(read_arguments))  # what a checkpoint itself tells
_DECAYED = 100.0  # times that the largest logged rate may be smaller than the one that is told
_ROUNDED = 1.05  # times that it may be larger
_SO_FAR = ("steps", "epochs")  # facts that a state knows better than the plan of a run


_Known = tuple[Path, tuple[str, _Reader]]


def read_records(weights: Iterable[Path], root_of: Callable[[Path], Path]) -> list[RunRecord]:
    """Read the record of each checkpoint of a group; each folder is looked through once.

    Args:
        weights: Files of weights.
        root_of: Returns the directory that was asked for, above which nothing is read.

    """
    seen: dict[Path, list[_Known]] = {}
    return [read_record(path, root_of(path), seen) for path in weights]


def read_record(
    weights: Path, root: Path, seen: dict[Path, list[_Known]] | None = None
) -> RunRecord:
    """Read the files beside a checkpoint, and in the folders around it up to `root`.

    Args:
        weights: A file of weights.
        root: The directory that was asked for: above it nothing is read.
        seen: Folders that have been looked through already, and what lies in them.

    """
    trainer: str | None = None
    facts: dict[str, Fact] = {}
    places: dict[str, str] = {}
    points: tuple[HistoryPoint, ...] = ()
    is_beside = False
    best: str | None = None
    notes: list[str] = []
    unknown: dict[str, str] = {}
    for path, (of, read) in _files(weights, root, {} if seen is None else seen):
        shown = os.path.relpath(path, root)
        try:
            state = path.stat()
            content = _content(path, read, state.st_mtime_ns, state.st_size)
        except OSError as error:
            notes.append(f"{shown} was not read: {error.strerror or error}")
            continue
        except UnreadableError as error:
            notes.append(f"{shown} was not read: {error}")
            continue
        notes += [f"{shown}: {note}" for note in content.notes]
        if content.facts or content.points:
            trainer = trainer or of
        notes += _merge(facts, places, content.facts, shown)
        if content.points and not points:
            points, places["history"] = content.points, shown
            is_beside = path.parent == weights.parent
        best = best or content.best
        for fact, sentence in content.unknown.items():
            unknown.setdefault(fact, f"{shown}: {sentence}")
    history = History(points=points)
    rate = history.largest("learning_rate")
    if "learning_rate" not in facts and rate is not None and rate > 0:
        facts["learning_rate"], places["learning_rate"] = rate, places["history"]
    notes += _other_rate(facts.get("learning_rate"), rate, places)
    return RunRecord(
        trainer=trainer,
        facts=facts,
        history=history,
        is_logged_beside=is_beside,
        best=best,
        places=places,
        notes=tuple(notes),
        unknown={fact: said for fact, said in unknown.items() if fact not in facts},
    )


def _merge(
    facts: dict[str, Fact], places: dict[str, str], new: Mapping[str, Fact], shown: str
) -> Iterator[str]:
    """Add the facts of a file, and yield what contradicts another file of its folder."""
    file = Path(shown)
    for fact, value in new.items():
        is_state = file.name == _STATE and fact in _SO_FAR
        if fact not in facts or (is_state and Path(places[fact]).name != _STATE):
            facts[fact], places[fact] = value, shown
        elif (
            _differ(fact, facts[fact], value)
            and Path(places[fact]).parent == file.parent
            and file.name != _STATE
            and fact not in _SO_FAR
        ):
            yield f"{fact} is {facts[fact]} in {places[fact]}, {value} in {shown}"


def _other_rate(
    told: Fact | None, logged: float | None, places: Mapping[str, str]
) -> Iterator[str]:
    """Yield that a log is hardly of the training that the settings tell of.

    A log may begin late in a schedule, where the rate is smaller, but never larger.
    """
    if isinstance(told, str) or not told or not logged:
        return
    if not told / _DECAYED <= logged <= _ROUNDED * told:
        yield (
            f"learning_rate is {told:g} in {places['learning_rate']}, at most {logged:g} in "
            f"{places['history']}: are they of the same training?"
        )


def _differ(fact: str, one: Fact, other: Fact) -> bool:
    """Return whether two values contradict each other: `adamw` and `torch.optim.AdamW` do not."""
    if fact in TRAINING_WORDS:
        return not is_same_word(fact, str(one), str(other))
    return one != other


@functools.lru_cache(maxsize=64)
def _content(path: Path, read: _Reader, _time: int, _size: int) -> _Content:
    """Read a file once for all checkpoints beside it, as long as it is the same."""
    return read(path)


def _files(weights: Path, root: Path, seen: dict[Path, list[_Known]]) -> Iterator[_Known]:
    """List the files that are known by name, those nearest to the weights first.

    The weights themselves come last in their folder: files beside them are easier to check.
    """
    folder = weights.parent
    while True:
        if folder not in seen:
            seen[folder] = list(_known_in(folder))
        yield from seen[folder]
        if folder == weights.parent and os.path.isfile(weights) and not weights.is_symlink():  # noqa: PTH113
            yield weights, _WEIGHTS
        if folder == root or root not in folder.parents:
            return
        folder = folder.parent


def _known_in(folder: Path) -> Iterator[_Known]:
    """List the files of a folder that are known by name."""
    for name, known in _FILES.items():
        path = folder / name
        # a link may lead anywhere, and no trainer makes one
        links = (place for place in (path, path.parent) if place != folder)
        if os.path.isfile(path) and not any(map(os.path.islink, links)):  # noqa: PTH113
            yield path, known
