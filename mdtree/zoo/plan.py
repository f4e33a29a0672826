"""The plan of a zoo: its members, which are whole already, and what the rest will cost."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch

from mdtree.batch import Batch
from mdtree.exceptions import MdtreeError
from mdtree.models import build_model
from mdtree.progress import Progress, Silent
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
from mdtree.rows import Fact
from mdtree.runtime.device import one_thread
from mdtree.training.loop import steps_in, train
from mdtree.zoo.member import ZooMember, member_data, member_runner, member_training

__all__ = [
    "AxisPrice",
    "Price",
    "TimeEstimate",
    "by_axis",
    "members",
    "placed",
    "prices",
    "total",
]

_ROUNDS = 2  # of timing
_TIMED_STEPS = 3
_TIMED_SIZES = (8, 64)  # items in a step


@dataclass(frozen=True, kw_only=True)
class TimeEstimate:
    """Seconds on one worker: the middle, the shortest and the longest of the timings."""

    seconds: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: TimeEstimate) -> TimeEstimate:
        """Add up: what was timed too long in one place is not made up for in another."""
        return TimeEstimate(
            seconds=self.seconds + other.seconds,
            low=self.low + other.low,
            high=self.high + other.high,
        )

    def __mul__(self, factor: float) -> TimeEstimate:
        """Scale to as much work."""
        return TimeEstimate(
            seconds=self.seconds * factor, low=self.low * factor, high=self.high * factor
        )


@dataclass(frozen=True, kw_only=True)
class Price:
    """What training one member will cost."""

    member: ZooMember
    steps: int
    items: int  # that are looked at, each as often as it is
    time: TimeEstimate  # from a few timed steps


@dataclass(frozen=True, kw_only=True)
class AxisPrice:
    """What all members with one value of an axis of the grid will cost."""

    axis: str
    value: Fact
    groups: int
    members: int
    steps: int
    items: int
    time: TimeEstimate


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


def prices(
    todo: Sequence[ZooMember],
    progress: Progress | None = None,
    *,
    time_step: Callable[[ZooMember, int], float] | None = None,
) -> list[Price]:
    """Time a few steps of each different network, and scale them to all.

    Each is timed twice, the second time after all others: a machine that is busy for a moment puts
    off one of the two, and the distance between them shows it.  `time_step` takes a member and the
    items of a step, and returns its seconds.
    """
    watch = progress or Silent()
    shapes: dict[str, ZooMember] = {}  # the first member of each network
    for member in todo:
        shapes.setdefault(_shape(member), member)
    watch.start(_ROUNDS * len(shapes))
    speeds: dict[str, list[_StepSpeed]] = {shape: [] for shape in shapes}
    for _ in range(_ROUNDS):
        for shape, member in shapes.items():
            speeds[shape].append(_step_speed(member, time_step or _step))
            watch.step(member.group)
    return [_price(member, speeds[_shape(member)]) for member in todo]


def total(prices: Iterable[Price]) -> TimeEstimate:
    """Add up the time of members."""
    return sum((price.time for price in prices), TimeEstimate())


def by_axis(zoo: Zoo, prices: Sequence[Price]) -> list[AxisPrice]:
    """Add up by each value of each axis that has several; every member counts on every axis."""
    summed = []
    for axis, values in zoo.grid.items():
        for value in values if len(values) > 1 else ():
            selected = [price for price in prices if price.member.facts[axis] == value]
            summed.append(
                AxisPrice(
                    axis=axis,
                    value=value,
                    groups=len({price.member.group for price in selected}),
                    members=len(selected),
                    steps=sum(price.steps for price in selected),
                    items=sum(price.items for price in selected),
                    time=total(selected),
                )
            )
    return summed


def _shape(member: ZooMember) -> str:
    """Tell apart what takes a time of its own: networks, and how they are optimised."""
    return fingerprint(bind(member.zoo.model, member.facts), member_training(member).optimizer)


def _price(member: ZooMember, speeds: Sequence[_StepSpeed]) -> Price:
    how, count = member_training(member), len(member_data(member).train)
    steps, batch_size = steps_in(how, count), min(how.batch_size, count)
    seconds = [steps * speed.seconds(batch_size) for speed in speeds]
    middle = math.prod(seconds) ** (1 / len(seconds))  # geometric: ten times too long counts less
    return Price(
        member=member,
        steps=steps,
        items=steps * batch_size,
        time=TimeEstimate(seconds=middle, low=min(seconds), high=max(seconds)),
    )


@dataclass(frozen=True, kw_only=True)
class _StepSpeed:
    """Seconds of a step: some for itself, and some for each of its items."""

    step: float
    item: float

    def seconds(self, batch_size: int) -> float:
        return self.step + batch_size * self.item


def _step_speed(member: ZooMember, time_step: Callable[[ZooMember, int], float]) -> _StepSpeed:
    """Draw a line through the times of a small and a larger batch: a large one takes minutes."""
    few, many = (min(size, len(member_data(member).train)) for size in _TIMED_SIZES)
    try:
        short, long = time_step(member, few), time_step(member, many)
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
    runner = member_runner(member, model)
    steps, device = 1 + _TIMED_STEPS, runner.device
    how = replace(member_training(member), batch_size=batch_size, steps=steps, epochs=steps)
    moments: list[float] = []

    def place(batch: Batch) -> Batch:
        moments.append(_now(device))
        return runner.place(batch)

    with one_thread():
        train(model, member_data(member).train, runner.loss, how, place)
    moments.append(_now(device))
    return statistics.median(after - before for before, after in pairwise(moments[1:]))


def _now(device: torch.device) -> float:
    if device.type == "cuda":  # which may have work left
        torch.cuda.synchronize(device)
    return time.perf_counter()
