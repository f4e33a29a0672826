"""Settings of a trainer -> facts of training, by the names that trainers use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mdtree.rows import Fact
from mdtree.rows.training_words import is_adaptive, is_known_word, is_same_word, not_understood
from mdtree.runs.text_files import is_number

__all__ = ["facts_from", "is_telling", "unknown_words"]

# fact -> what settings call it; the most exact name first
_NAMES: dict[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate", "lr", "base_lr", "lr_base", "initial_lr"),
    "batch_size": ("per_device_train_batch_size", "train_batch_size", "batch_size", "batchsize"),
    "epochs": ("num_train_epochs", "max_epochs", "epochs", "num_epochs", "n_epochs"),
    "steps": ("max_steps", "num_steps", "total_steps", "max_iters"),
    "data_amount": (
        *("data_amount", "num_train_samples", "num_train_examples", "num_training_samples"),
        *("num_training_examples", "train_num_samples", "train_samples", "train_examples"),
        *("n_train_samples", "num_train", "n_train"),
    ),
    "weight_decay": ("weight_decay", "wd"),
    "momentum": ("momentum",),
}
# the same for facts that are words
_WORDS: dict[str, tuple[str, ...]] = {
    "optimizer": ("optimizer_name", "optim_name", "optimizer_type", "optimizer", "optim", "opt"),
    "schedule": (
        *("lr_scheduler_type", "lr_scheduler_name", "lr_scheduler", "lr_schedule"),
        *("scheduler_type", "scheduler_name", "scheduler", "schedule", "sched"),
    ),
}
_FACT_OF = {name: fact for fact, names in _WORDS.items() for name in names}
# what settings in several lines call the thing itself: the class that is built comes first
_OWN_NAMES = ("_target_", "class_path", "name", "NAME", "type", "TYPE")
_LONGEST = 100  # characters of a word, and of a name
# other things than the learning rate have schedules: no fact says which
_OTHER_SCHEDULES = {"beta", "betas", "diffusion", "dropout", "ema", "momentum", "noise", "profiler"}
_OTHER_SCHEDULES |= {"wd", "weight"}
_ACCUMULATED = ("gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum_steps")
_DEVICES = ("world_size", "num_processes", "n_gpu", "_n_gpu")
# not of training
_ELSEWHERE = {"eval", "val", "valid", "validate", "validation", "test", "dev", "predict"}
_DEEPEST = 20
_MOST = 10_000  # settings
_MOST_ITEMS = 10**12  # of a training set


_Found = dict[str, dict[str, Any]]  # last name -> path -> value


def is_telling(name: str, value: object) -> bool:
    """Return whether a setting is a word for the training that is understood.

    >>> is_telling("opt", "sgd"), is_telling("opt", "mine"), is_telling("model", "sgd")
    (True, False, False)
    """
    return _is_word(name, value) and is_known_word(_FACT_OF[name], str(value))


def _is_word(name: str, value: object) -> bool:
    """Return whether a setting is a word for the training, understood or not."""
    if name not in _FACT_OF or not isinstance(value, str) or len(value) > _LONGEST:
        return False
    return value.isprintable() and bool(value.strip())


def facts_from(settings: Mapping[Any, Any]) -> tuple[dict[str, Fact], list[str]]:
    """Read facts, and say what was contradictory.

    The batch of one step of the optimizer: items on a device, times accumulation, times devices.

    >>> facts_from({"optimizer": {"lr": 0.1}, "batch_size": 32, "accumulate_grad_batches": 4})
    ({'learning_rate': 0.1, 'batch_size': 128}, [])
    >>> facts_from({"optimizer": {"_target_": "torch.optim.SGD"}, "sched": "cosine"})
    ({'optimizer': 'torch.optim.SGD', 'schedule': 'cosine'}, [])
    """
    numbers, words, _ = _found(settings)
    facts: dict[str, Fact] = {}
    notes = []
    for fact, names in _NAMES.items():
        known = _first_of(names, numbers)
        known = {path: value for path, value in known.items() if _is_possible(fact, value)}
        if len(set(known.values())) > 1:
            notes.append(_unknown(fact, {path: f"{value:g}" for path, value in known.items()}))
        elif known:
            facts[fact] = _whole(next(iter(known.values())))
    if isinstance(batch := facts.get("batch_size"), int | float):
        factor = _factor(numbers, _ACCUMULATED) * _factor(numbers, _DEVICES)
        facts["batch_size"] = _whole(batch * factor)
    for fact, names in _WORDS.items():
        known = _first_of(names, words)
        first = next(iter(known.values()), "")
        if not all(is_same_word(fact, first, word) for word in known.values()):
            notes.append(_unknown(fact, known))
        elif known:
            facts[fact] = first
    if is_adaptive(str(facts.get("optimizer", ""))) is not False:
        facts.pop("momentum", None)  # settings name one for every optimizer
        notes = [note for note in notes if not note.startswith("momentum ")]
    return facts, notes


def unknown_words(settings: Mapping[Any, Any]) -> dict[str, str]:
    """Say of which facts there are only words that are not understood: fact -> a sentence.

    >>> list(unknown_words({"opt": "mine", "sched": "cosine"}))
    ['optimizer']
    """
    _, words, others = _found(settings)
    said = {}
    for fact, names in _WORDS.items():
        known, unknown = _first_of(names, words), _first_of(names, others)
        if unknown and not known:
            said[fact] = not_understood(fact, next(iter(unknown.values())))
    return said


def _found(settings: Mapping[Any, Any]) -> tuple[_Found, _Found, _Found]:
    """Find the numbers, the words that are understood, and those that are not."""
    numbers: _Found = {}
    words: _Found = {}
    others: _Found = {}
    for count, (path, value) in enumerate(_leaves(settings, ())):
        if count == _MOST:
            break
        *around, name = path
        if not _ELSEWHERE.isdisjoint(around):
            continue
        if is_number(value):
            numbers.setdefault(name, {})[".".join(path)] = value
        elif _is_word(name, value) and _is_of_rate(name, around):
            kind = words if is_telling(name, value) else others
            kind.setdefault(name, {}).setdefault(".".join(path), value)
    return numbers, words, others


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each setting with its path; one in several lines that has a name is that as well."""
    if isinstance(value, Mapping) and len(path) < _DEEPEST:
        if path:
            yield from ((path, value[name]) for name in _OWN_NAMES if _is_text(value.get(name)))
        for name, inner in value.items():
            short = str(name)[:_LONGEST]  # for it is kept with each setting inside
            yield from _leaves(inner, (*path, short.replace("-", "_").lower()))
    elif path:
        yield path, value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_of_rate(name: str, around: list[str]) -> bool:
    """Return whether a word is not the schedule of something else, such as of the noise."""
    parts = {part for place in around for part in place.split("_")}
    return _FACT_OF[name] != "schedule" or _OTHER_SCHEDULES.isdisjoint(parts)


def _first_of(names: Iterable[str], found: _Found) -> dict[str, Any]:
    return next((found[name] for name in names if name in found), {})


def _unknown(fact: str, known: Mapping[str, str]) -> str:
    places = ", ".join(f"{path} {value}" for path, value in known.items())
    return f"{fact} is not known: {places:.200}"


def _is_possible(fact: str, value: float) -> bool:
    if fact == "data_amount":  # not a share of the items
        return 1 <= value <= _MOST_ITEMS and float(value).is_integer()
    # max_steps: -1 means no limit
    return value >= 0 if fact in ("momentum", "weight_decay") else value > 0


def _factor(numbers: _Found, names: tuple[str, ...]) -> float:
    for name in names:
        values = set(numbers.get(name, {}).values())
        if len(values) == 1 and (value := values.pop()) >= 1:
            return float(value)
    return 1.0


def _whole(value: float) -> Fact:
    return int(value) if float(value).is_integer() else float(value)
