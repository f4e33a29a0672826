"""A network in training, as its framework shows it to the callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from mdtree.exceptions import MdtreeError
from mdtree.integrations.sample import Source
from mdtree.network import Loss
from mdtree.rows import Fact
from mdtree.runs import History, late_facts
from mdtree.runs.history import points_from

__all__ = ["LiveRun", "at_the_end", "check_whole", "device_of"]

_SHARDED = ("ds_id", "_is_flat_param")  # marks of DeepSpeed and FSDP on parameters


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A network in training, as its framework shows it."""

    module: nn.Module
    train: Source
    test: Source | None
    step: int
    loss: str | Loss = "cross_entropy"
    facts: Mapping[str, Fact] = field(default_factory=dict)
    words: Mapping[str, str | None] = field(default_factory=dict)  # facts, where they are known
    momentum: Mapping[str, Fact] = field(default_factory=dict)  # for snapshots alone
    prepare: Callable[[nn.Module], None] | None = None  # the copy that is measured


def at_the_end(
    run: LiveRun, evaluations: Iterable[Mapping[str, Any]], *, is_certain: bool = False
) -> LiveRun:
    """Add to the facts what the second half of the training brought.

    Args:
        run: The network at the end of its training.
        evaluations: What the framework logged.
        is_certain: It never writes accuracies in percent.

    """
    points, _ = points_from(evaluations, is_certain=is_certain)
    return replace(run, facts={**run.facts, **late_facts([History(points=points)])})


def device_of(module: nn.Module) -> str:
    """Return where a network lies."""
    return next((str(parameter.device) for parameter in module.parameters()), "cpu")


def check_whole(module: nn.Module) -> None:
    """Refuse weights of which this process holds only a part.

    Raises:
        MdtreeError: They are sharded; to gather them, all processes would have to take part.

    """
    for name, parameter in module.named_parameters():
        is_sharded = hasattr(parameter, "placements") or hasattr(parameter.data, "placements")
        if is_sharded or any(hasattr(parameter, mark) for mark in _SHARDED):
            raise MdtreeError(
                f"{name} is sharded over several processes: measure a checkpoint after training"
            )
