"""Settings of a trainer -> facts of training, by the names that trainers use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mdtree.rows import Fact
from mdtree.runs.text_files import is_number

__all__ = ["facts_from"]

# fact -> what settings call it; the most exact name first
_NAMES: dict[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate", "lr", "base_lr", "lr_base", "initial_lr"),
    "batch_size": ("per_device_train_batch_size", "train_batch_size", "batch_size", "batchsize"),
    "epochs": ("num_train_epochs", "max_epochs", "epochs", "num_epochs", "n_epochs"),
    "steps": ("max_steps", "num_steps", "total_steps", "max_iters"),
    "weight_decay": ("weight_decay", "wd"),
}
_ACCUMULATED = ("gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum_steps")
_DEVICES = ("world_size", "num_processes", "n_gpu", "_n_gpu")
_ELSEWHERE = {"eval", "val", "valid", "validation", "test", "dev", "predict"}  # not of training
_DEEPEST = 20
_MOST = 10_000  # settings


def facts_from(settings: Mapping[Any, Any]) -> tuple[dict[str, Fact], list[str]]:
    """Read facts, and say what was contradictory.

    The batch of one step of the optimizer: items on a device, times accumulation, times devices.

    >>> facts_from({"optimizer": {"lr": 0.1}, "batch_size": 32, "accumulate_grad_batches": 4})
    ({'learning_rate': 0.1, 'batch_size': 128}, [])
    """
    numbers: dict[str, dict[str, float]] = {}  # last name -> path -> number
    for count, (path, value) in enumerate(_leaves(settings, ())):
        if count == _MOST:
            break
        if is_number(value) and not _ELSEWHERE & set(path[:-1]):
            numbers.setdefault(path[-1], {})[".".join(path)] = value
    facts: dict[str, Fact] = {}
    notes = []
    for fact, names in _NAMES.items():
        known = next((numbers[name] for name in names if numbers.get(name)), {})
        known = {path: value for path, value in known.items() if _is_possible(fact, value)}
        if len(set(known.values())) > 1:
            places = ", ".join(f"{path} {value:g}" for path, value in known.items())
            notes.append(f"{fact} is not known: {places:.200}")
        elif known:
            facts[fact] = _whole(next(iter(known.values())))
    if isinstance(batch := facts.get("batch_size"), int | float):
        factor = _factor(numbers, _ACCUMULATED) * _factor(numbers, _DEVICES)
        facts["batch_size"] = _whole(batch * factor)
    return facts, notes


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and len(path) < _DEEPEST:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name).replace("-", "_").lower()))
    elif path:
        yield path, value


def _is_possible(fact: str, value: float) -> bool:
    return value >= 0 if fact == "weight_decay" else value > 0  # max_steps: -1 means no limit


def _factor(numbers: Mapping[str, Mapping[str, float]], names: tuple[str, ...]) -> float:
    for name in names:
        values = set(numbers.get(name, {}).values())
        if len(values) == 1 and (value := values.pop()) >= 1:
            return value
    return 1.0


def _whole(value: float) -> Fact:
    return int(value) if float(value).is_integer() else float(value)
