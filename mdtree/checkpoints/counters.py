"""Counters: the epoch or step at which a checkpoint was saved, as trainers record it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

from mdtree.checkpoints.adapters import ADAPTER_CONFIG
from mdtree.regular_file import open_regular

__all__ = ["counters_beside", "counters_in"]

_NAMES = (
    *("epoch", "epochs", "step", "steps", "global_step", "global_steps"),
    *("iter", "iter_num", "iteration", "iterations", "update", "updates", "num_updates"),
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


def counters_beside(weights: Path) -> dict[str, float]:
    """Find the counters in the folder that Hugging Face's Trainer writes for a checkpoint."""
    file = weights.with_name(_TRAINER_STATE)
    described = any(weights.with_name(name).is_file() for name in ("config.json", ADAPTER_CONFIG))
    if file.is_symlink() or not described:
        return {}  # a link may lead anywhere, and no trainer makes one
    try:
        with open_regular(file) as opening:
            text = opening.read(_LARGEST + 1)
        return counters_in(json.loads(text)) if len(text) <= _LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}  # counters are optional


def _is_number(value: Any) -> TypeGuard[float]:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and abs(value) < _MOST
