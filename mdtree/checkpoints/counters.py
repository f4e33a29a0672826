"""Counters: the epoch or step at which a checkpoint was saved, as trainers record it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

from torch import Tensor

from mdtree.checkpoints.adapters import ADAPTER_CONFIG
from mdtree.regular_file import read_json

__all__ = ["counters_beside", "counters_in", "trained_steps"]

_NAMES = (
    *("epoch", "epochs", "step", "steps", "global_step", "global_steps"),
    *("iter", "iter_num", "iteration", "iterations", "update", "updates", "num_updates"),
)
# where trainers keep the states of optimizers and schedulers; Lightning has lists of them
_OPTIMIZERS = (
    *("optimizer", "optimizers", "optimizer_state", "optimizer_states", "optimizer_state_dict"),
    *("optim", "optim_state_dict", "opt", "optim_state"),
)
_SCHEDULERS = (
    *("scheduler", "schedulers", "scheduler_state_dict", "scheduler_state", "lr_scheduler"),
    *("lr_schedulers", "lr_scheduler_state_dict", "sched"),
)
_INNER = "meta"  # where mmengine stores them
_TRAINER_STATE = "trainer_state.json"  # of Hugging Face's Trainer, beside the weights
_LARGEST = 1 << 24  # bytes of it
_MOST = 10**15  # largest plausible count


def counters_in(content: Any) -> dict[str, float]:
    """Find the counters of a training checkpoint.

    >>> counters_in({"state_dict": {}, "epoch": 3, "lr": 0.1})
    {'epoch': 3}
    """
    if not isinstance(content, dict):
        return {}
    # a pickle may hide the methods of a dictionary that has attributes
    inner = dict.get(content, _INNER)
    places = (inner, content) if isinstance(inner, dict) else (content,)
    entries = ((name, dict.get(place, name)) for place in places for name in _NAMES)
    return {name: value for name, value in entries if _is_number(value)}


def trained_steps(content: Any) -> dict[str, float]:
    """Find how often the optimizer or the scheduler of a training checkpoint had been called.

    >>> trained_steps({"optimizer": {"state": {0: {"step": 40}}, "param_groups": []}})
    {'optimizer step': 40}
    """
    if not isinstance(content, dict):
        return {}
    steps = _first(
        part.get("step")
        for state in _states(content, _OPTIMIZERS)
        for part in _values(dict.get(state, "state"))
    )
    calls = _first(dict.get(state, "last_epoch") for state in _states(content, _SCHEDULERS))
    found = {"optimizer step": steps, "scheduler step": calls}
    return {name: number for name, number in found.items() if number is not None}


def _states(content: dict[Any, Any], names: Iterable[str]) -> Iterator[dict[Any, Any]]:
    for name in names:
        held = dict.get(content, name)
        for state in held[:1] if isinstance(held, list | tuple) else (held,):
            if isinstance(state, dict):
                yield state


def _values(state: Any) -> Iterator[dict[Any, Any]]:
    if isinstance(state, dict):
        yield from (part for part in islice(dict.values(state), 1) if isinstance(part, dict))


def _first(values: Iterable[Any]) -> float | None:
    """Return the first number; Adam keeps its steps in a tensor."""
    for value in values:
        is_single = isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta
        number = value.item() if is_single else value
        if _is_number(number):
            return number
    return None


def counters_beside(weights: Path) -> dict[str, float]:
    """Find the counters in the folder that Hugging Face's Trainer writes for a checkpoint."""
    file = weights.with_name(_TRAINER_STATE)
    described = any(weights.with_name(name).is_file() for name in ("config.json", ADAPTER_CONFIG))
    if file.is_symlink() or not described:
        return {}  # a link may lead anywhere, and no trainer makes one
    try:
        return counters_in(read_json(file, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}  # counters are optional


def _is_number(value: Any) -> TypeGuard[float]:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and abs(value) < _MOST
