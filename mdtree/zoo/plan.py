"""The plan of a zoo: its members, which are whole already, and what the rest will cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mdtree.config import (
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
from mdtree.losses import build_loss
from mdtree.models import build_model
from mdtree.threads import one_thread
from mdtree.training import steps_in, train
from mdtree.zoo.member import Member, member_data, member_training

__all__ = ["Price", "members", "placed", "prices"]

_TIMED_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Price:
    """What training one member will cost."""

    member: Member
    steps: int
    items: int  # that are looked at, each as often as it is
    seconds: float  # on one worker, from a few timed steps


def members(zoo: Zoo, out: Path, *, trust: Trust, device: str) -> list[Member]:
    """List all members, the seeds of one group beside each other."""
    return [
        Member(
            zoo=zoo,
            trust=trust,
            out=out,
            group=zoo.group(point),
            facts={**zoo.facts, **point},
            seed=seed,
            device=device,
        )
        for point in zoo.points()
        for seed in range(zoo.seeds)
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


def prices(todo: list[Member]) -> Iterator[Price]:
    """Time a few steps of each network with each batch, and scale them to all."""
    paces: dict[tuple[str, int, str], float] = {}
    for member in todo:
        how, count = member_training(member), len(member_data(member).train)
        key = (fingerprint(bind(member.zoo.model, member.facts)), how.batch_size, how.optimizer)
        if key not in paces:
            paces[key] = _step(member)
        steps = steps_in(how, count)
        yield Price(
            member=member,
            steps=steps,
            items=steps * min(how.batch_size, count),
            seconds=steps * paces[key],
        )


def _step(member: Member) -> float:
    """Give the seconds of one step; the first few are a warm-up."""
    how, data = member_training(member), member_data(member)
    model = build_model(bind(member.zoo.model, member.facts), trust=member.trust)
    loss = build_loss(bind(member.zoo.loss, member.facts), member.trust)

    def run(steps: int) -> None:
        train(model, data.train, loss, replace(how, steps=steps, epochs=steps, warmup=0.0))

    with one_thread():
        run(1)
        return max(_timed(lambda: run(1 + _TIMED_STEPS)) - _timed(lambda: run(1)), 0) / _TIMED_STEPS


ResultT = TypeVar("ResultT")


def _timed(work: Callable[[], ResultT]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
