"""The plan of a zoo: its members, which are whole already, and what the rest will cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch

from mdtree.batch import Batch, to_device
from mdtree.exceptions import MdtreeError
from mdtree.losses import build_loss
from mdtree.models import build_model
from mdtree.recipes import (
    Animals,
    DataSpec,
    Images,
    Tensors,
    TorchvisionData,
    Trust,
    Zoo,
    bind,
    fingerprint,
)
from mdtree.runtime.threads import one_thread
from mdtree.training.loop import steps_in, train
from mdtree.zoo.member import ZooMember, member_data, member_training

__all__ = ["Price", "members", "placed", "prices"]

_TIMED_STEPS = 3
_TIMED_SIZES = (8, 64)  # items in a step


@dataclass(frozen=True, kw_only=True)
class Price:
    """What training one member will cost."""

    member: ZooMember
    steps: int
    items: int  # that are looked at, each as often as it is
    seconds: float  # on one worker, from a few timed steps


def members(zoo: Zoo, out: Path, *, trust: Trust, device: str) -> list[ZooMember]:
    """List all members, the seeds of one group beside each other."""
    return [
        ZooMember(
            zoo=zoo,
            trust=trust,
            out=out,
            group=zoo.group(point),
            facts={**zoo.facts, **point},
            seed=seed,
            device=device,
        )
        for point in zoo.points()
        for seed in range(zoo.first_seed, zoo.first_seed + zoo.seeds)
    ]


def placed(zoo: Zoo, folder: Path) -> Zoo:
    """Give the config with the places of its data, which begin at `folder`, in full."""

    def full(path: Path | None) -> Path | None:
        return None if path is None else (folder / path).resolve()

    data: DataSpec = zoo.data
    if isinstance(data, Tensors):
        data = data.model_copy(update={"train": full(data.train), "test": full(data.test)})
    elif isinstance(data, Images | TorchvisionData | Animals):
        data = data.model_copy(update={"root": full(data.root)})
    return zoo.model_copy(update={"data": data})


def prices(todo: list[ZooMember]) -> Iterator[Price]:
    """Time a few steps of each network, and scale them to all."""
    speeds: dict[str, _StepSpeed] = {}
    for member in todo:
        how, count = member_training(member), len(member_data(member).train)
        network = fingerprint(bind(member.zoo.model, member.facts), how.optimizer)
        if network not in speeds:
            speeds[network] = _step_speed(member)
        steps, batch_size = steps_in(how, count), min(how.batch_size, count)
        yield Price(
            member=member,
            steps=steps,
            items=steps * batch_size,
            seconds=steps * speeds[network].seconds(batch_size),
        )


@dataclass(frozen=True, kw_only=True)
class _StepSpeed:
    """Seconds of a step: some for itself, and some for each of its items."""

    step: float
    item: float

    def seconds(self, batch_size: int) -> float:
        return self.step + batch_size * self.item


def _step_speed(member: ZooMember) -> _StepSpeed:
    """Draw a line through the times of a small and a larger batch: a large one takes minutes."""
    few, many = (min(size, len(member_data(member).train)) for size in _TIMED_SIZES)
    try:
        short, long = _step(member, few), _step(member, many)
    except MdtreeError:
        raise
    except Exception as error:  # a user's code can raise anything
        kind = type(error).__name__
        raise MdtreeError(f"{member.name} cannot be trained: {kind}: {error}") from error
    item = max(long - short, 0) / (many - few) if many > few else long / many
    return _StepSpeed(step=max(short - few * item, 0), item=item)


def _step(member: ZooMember, batch_size: int) -> float:
    """Give the seconds of one step; the first one is a warm-up."""
    model = build_model(bind(member.zoo.model, member.facts), trust=member.trust)
    loss = build_loss(bind(member.zoo.loss, member.facts), member.trust)
    steps, device = 1 + _TIMED_STEPS, torch.device(member.device)
    how = replace(member_training(member), batch_size=batch_size, steps=steps, epochs=steps)
    moments: list[float] = []

    def place(batch: Batch) -> Batch:
        moments.append(_now(device))
        return to_device(batch, device)

    with one_thread():
        train(model.to(device), member_data(member).train, loss, how, place)
    moments.append(_now(device))
    return statistics.median(after - before for before, after in pairwise(moments[1:]))


def _now(device: torch.device) -> float:
    if device.type == "cuda":  # which may have work left
        torch.cuda.synchronize(device)
    return time.perf_counter()
