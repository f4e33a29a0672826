"""One member of a zoo: a network trained as its facts say, saved beside them.

GROUP/seed-0.safetensors   the weights; a member that diverged has none
GROUP/seed-0.json          its facts, written last: where they are, the member is whole
"""

from __future__ import annotations

import contextlib
import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor, nn

from mdtree.batch import Batch
from mdtree.datasets import Data, shared_data
from mdtree.exceptions import MdtreeError, OutputError
from mdtree.landscape import ModelRunner, with_suited_layout
from mdtree.losses import build_loss
from mdtree.models import Network, build_model
from mdtree.progress import report
from mdtree.recipes import Trust, Zoo, ZooTraining, bind
from mdtree.regular_file import open_regular
from mdtree.rows import Fact
from mdtree.rows.atomic import atomic_file, cannot_write, own
from mdtree.rows.file_kinds import JSON, RECIPE, WEIGHTS
from mdtree.runtime.device import held_share, one_thread
from mdtree.training.loop import Training, train
from mdtree.version import __version__

__all__ = [
    "OUT_OF_TIME",
    "TrainingOutcome",
    "ZooMember",
    "member_data",
    "member_runner",
    "member_training",
    "train_member",
    "training_outcome",
    "written",
]


OUT_OF_TIME = "the time for training is used up"

_KINDS = {".json": JSON, ".yaml": RECIPE}
_ADVICE = "members that are whole stay, and the same command goes on with the others"


@dataclass(frozen=True, kw_only=True)
class ZooMember:
    """A network that is to be trained."""

    zoo: Zoo
    trust: Trust
    out: Path  # the folder of the zoo
    group: str
    facts: dict[str, Fact]
    seed: int
    device: str
    deadline: float | None = None  # by the clock of `time.time`; what is not whole then is left

    @property
    def name(self) -> str:
        """Name it below the folder of the zoo."""
        return f"{self.group}/seed-{self.seed}"

    @property
    def weights(self) -> Path:
        """Say where its weights go."""
        return self.out / f"{self.name}.safetensors"

    @property
    def record(self) -> Path:
        """Say where its facts go."""
        return self.out / f"{self.name}.json"


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """What became of a member."""

    name: str
    diverged: bool = False
    failure: str | None = None  # why it could not be trained at all; it is tried again
    seconds: float = 0.0
    share: float | None = None  # of its GPU's memory, that it held at most


class _DivergedError(Exception):
    """The loss left the numbers."""


class _OutOfTimeError(MdtreeError):
    """The deadline has passed."""


def train_member(member: ZooMember) -> TrainingOutcome:
    """Train one member and save it; what goes wrong with it is in its outcome."""
    started = time.perf_counter()
    losses: list[float] = []
    try:
        with one_thread():  # the bits of a member do not depend on how many there are
            weights, share = held_share(member.device, lambda: _trained(member, losses))
        seconds = time.perf_counter() - started
        _save(member, weights, losses, seconds)
    except OutputError:  # the others could not be saved either
        raise
    except MdtreeError as error:
        return TrainingOutcome(name=member.name, failure=str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code can raise anything
        return TrainingOutcome(name=member.name, failure=f"{type(error).__name__}: {error}")
    return TrainingOutcome(name=member.name, diverged=weights is None, seconds=seconds, share=share)


def training_outcome(member: ZooMember) -> TrainingOutcome | None:
    """Read what became of a member earlier; None if it is not whole."""
    try:
        with open_regular(member.record) as file:
            facts = json.load(file)
        diverged = bool(facts["diverged"])
        if not (diverged or member.weights.is_file()):
            return None
        return TrainingOutcome(name=member.name, diverged=diverged, seconds=float(facts["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def member_data(member: ZooMember) -> Data:
    """Read the member's data, once for all members that share them."""
    return shared_data(bind(member.zoo.data, member.facts), Path(), trust=member.trust)


def member_training(member: ZooMember) -> Training:
    """Put the member's facts into the training."""
    training: ZooTraining = bind(member.zoo.training, member.facts)
    values = {name: getattr(training, name) for name in ZooTraining.model_fields}
    if values["epochs"] is None:
        values["epochs"] = values["steps"]  # an epoch has a step at least
    return Training(seed=member.seed, **values)


def member_runner(member: ZooMember, model: nn.Module) -> ModelRunner:
    """Say how the member's network is run in its training; it is brought to the device."""
    device = torch.device(member.device)
    runner = ModelRunner(
        network=Network(model.to(device)),
        loss=build_loss(bind(member.zoo.loss, member.facts), member.trust),
        batch_size=member_training(member).batch_size,
        device=device,
    )
    return with_suited_layout(runner)


@contextlib.contextmanager
def written(path: Path, out: Path) -> Iterator[BinaryIO]:
    """Open a file of the zoo in `out`, which no link may lead out of: it appears as a whole."""
    own(path, out, advice="choose another --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error, _ADVICE) from error
    kind = _KINDS.get(path.suffix, WEIGHTS)
    with atomic_file(path, advice=_ADVICE, replaces=kind) as file:
        yield file


def _trained(member: ZooMember, losses: list[float]) -> dict[str, Tensor] | None:
    """Train, and note the loss of each epoch; None where loss or weights leave the numbers."""
    _check_time(member)
    how, data = member_training(member), member_data(member)
    model = build_model(bind(member.zoo.model, member.facts), trust=member.trust, seed=member.seed)
    runner = member_runner(member, model)

    def place(batch: Batch) -> Batch:
        _check_time(member)
        return runner.place(batch)

    def watch(_: int, mean: float) -> None:
        losses.append(mean)
        if not math.isfinite(mean):
            raise _DivergedError

    try:
        weights = train(model, data.train, runner.loss, how, place, watch=watch, moved=report)
    except _DivergedError:
        return None
    return weights if all(bool(t.isfinite().all()) for t in weights.values()) else None


def _check_time(member: ZooMember) -> None:
    if member.deadline is not None and time.time() > member.deadline:
        raise _OutOfTimeError(OUT_OF_TIME)


def _save(
    member: ZooMember, weights: dict[str, Tensor] | None, losses: list[float], seconds: float
) -> None:
    """Write the weights, then the facts."""
    if weights is not None:
        with written(member.weights, member.out) as file:
            # written by us: safetensors would make a file of its own that nobody else may read
            file.write(save({name: t.cpu().contiguous() for name, t in weights.items()}))
    facts = {
        "format": 1,
        "group": member.group,
        "seed": member.seed,
        "facts": member.facts,
        "diverged": weights is None,
        "epochs": len(losses),
        "train_loss": losses[-1] if losses and math.isfinite(losses[-1]) else None,
        "device": member.device,
        "versions": {
            "mdtree": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "seconds": round(seconds, 3),
    }
    with written(member.record, member.out) as file:
        if weights is None:
            member.weights.unlink(missing_ok=True)
        file.write(json.dumps(facts, indent=1).encode() + b"\n")
