"""One member of a zoo: a network trained as its facts say, saved beside them.

GROUP/seed-0.safetensors   the weights; a member that diverged has none
GROUP/seed-0.json          its facts, written last: where they are, the member is whole
"""

from __future__ import annotations

import functools
import json
import math
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import mdtree
from mdtree.batch import to_device
from mdtree.config import Zoo, ZooTraining, bind, fingerprint
from mdtree.config.trust import Trust
from mdtree.datasets import Data, load_data
from mdtree.exceptions import DataError, MdtreeError, OutputError
from mdtree.losses import build_loss
from mdtree.measurements import Fact
from mdtree.models import build_model
from mdtree.threads import one_thread
from mdtree.training import Training, train

__all__ = ["Member", "Outcome", "member_data", "member_training", "outcome_of", "train_member"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A network that is to be trained."""

    zoo: Zoo
    trust: Trust
    out: Path  # the folder of the zoo
    group: str
    facts: dict[str, Fact]
    seed: int
    device: str

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
class Outcome:
    """What became of a member."""

    name: str
    diverged: bool = False
    failure: str | None = None  # why it could not be trained at all; it is tried again
    seconds: float = 0.0


class _DivergedError(Exception):
    """The loss left the numbers."""


def train_member(member: Member) -> Outcome:
    """Train one member and save it; what goes wrong with it is in its outcome."""
    started = time.perf_counter()
    try:
        facts = _trained(member)
    except (DataError, OutputError) as error:
        if isinstance(error, OutputError):
            raise
        return Outcome(name=member.name, failure=str(error))
    except MdtreeError as error:
        return Outcome(name=member.name, failure=str(error))
    seconds = time.perf_counter() - started
    _write(member, {**facts, "seconds": round(seconds, 3)})
    return Outcome(name=member.name, diverged=bool(facts["diverged"]), seconds=seconds)


def outcome_of(member: Member) -> Outcome | None:
    """Read what became of a member earlier; None if it is not whole."""
    try:
        facts = json.loads(member.record.read_text(encoding="utf-8"))
        diverged = bool(facts["diverged"])
        if not (diverged or member.weights.is_file()):
            return None
        return Outcome(name=member.name, diverged=diverged, seconds=float(facts["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def member_data(member: Member) -> Data:
    """Read the member's data, once for all members that share them."""
    spec = bind(member.zoo.data, member.facts)
    return _data(_Spec(fingerprint(spec), spec), member.trust)


def member_training(member: Member) -> Training:
    """Put the member's facts into the training."""
    said: ZooTraining = bind(member.zoo.training, member.facts)
    values = {name: getattr(said, name) for name in ZooTraining.model_fields}
    if values["epochs"] is None:
        values["epochs"] = values["steps"]  # an epoch has a step at least
    return Training(seed=member.seed, **values)


def _trained(member: Member) -> dict[str, Any]:
    """Train, write the weights, and give the facts."""
    how, data = member_training(member), member_data(member)
    model = build_model(bind(member.zoo.model, member.facts), trust=member.trust, seed=member.seed)
    device = torch.device(member.device)
    losses: list[float] = []

    def watch(_: int, loss: float) -> None:
        losses.append(loss)
        if not math.isfinite(loss):
            raise _DivergedError

    diverged = False
    try:
        # One thread, so that a member does not depend on how many there are.
        with one_thread():
            weights = train(
                model.to(device),
                data.train,
                build_loss(bind(member.zoo.loss, member.facts), member.trust),
                how,
                lambda batch: to_device(batch, device),
                watch=watch,
            )
        diverged = not all(bool(t.isfinite().all()) for t in weights.values())
    except _DivergedError:
        diverged = True
    if not diverged:
        _save({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, member.weights)
    return {
        "format": 1,
        "group": member.group,
        "seed": member.seed,
        "facts": {**member.zoo.facts, **member.facts},
        "diverged": diverged,
        "epochs": len(losses),
        "train_loss": losses[-1] if losses and math.isfinite(losses[-1]) else None,
        "device": member.device,
        "versions": {
            "mdtree": mdtree.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _save(weights: dict[str, torch.Tensor], path: Path) -> None:
    """Write beside, then rename: a file of this name is always whole."""
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(_apart(weights), new)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except Exception as error:
        # safetensors tells a full disk in an error of its own
        raise _cannot_write(path, error) from error


def _apart(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Store a tensor that has several names under each: safetensors shares no memory."""
    seen: set[int] = set()
    found = {}
    for name, tensor in weights.items():
        found[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return found


def _write(member: Member, facts: dict[str, Any]) -> None:
    path = member.record
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if facts["diverged"]:
            member.weights.unlink(missing_ok=True)
        try:
            new.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: Exception) -> OutputError:
    reason = getattr(error, "strerror", None) or error
    return OutputError(
        f"{path} cannot be written: {reason}; members that are whole stay, and the same command "
        "goes on with the others"
    )


@dataclass(frozen=True)
class _Spec:
    """The words of data that a cache can look up: equal words have equal digests."""

    digest: str
    spec: Any = field(compare=False)


@functools.lru_cache(maxsize=2)
def _data(key: _Spec, trust: Trust) -> Data:
    return load_data(key.spec, Path(), trust=trust)
