"""Training a zoo: every member that is not whole yet, in one directory with one writer.

DIR/zoo.yaml      the config, in full; another config is refused
DIR/mdtree.yaml   the recipe: `mdtree measure DIR` measures what was trained
DIR/GROUP/...     the members
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from mdtree.config import RECIPE_NAME, Trust, Zoo, read_zoo
from mdtree.exceptions import LockedError, OutputError, RecipeError
from mdtree.losses import build_loss
from mdtree.progress import Progress, Silent
from mdtree.workers import run
from mdtree.zoo.member import Member, Outcome, member_data, outcome_of, train_member
from mdtree.zoo.plan import members, placed

__all__ = ["CONFIG_NAME", "Trained", "pending", "train_zoo"]

CONFIG_NAME = "zoo.yaml"
_HEADER = "# Written by `mdtree zoo train`. Another config belongs into another directory.\n"
_RECIPE_HEADER = "# Written by `mdtree zoo train`: how these weights become a network.\n"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run of `zoo train` did."""

    out: Path
    groups: int
    trained: int
    already: int
    diverged: tuple[str, ...]  # of all members; they have no weights
    failed: dict[str, str]  # member -> reason
    seconds: float  # of all members, those that were there included


def train_zoo(
    zoo: Zoo,
    *,
    folder: Path,
    out: Path,
    trust: Trust,
    workers: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Trained:
    """Train all members that are not whole; relative paths of the config begin at `folder`."""
    watch = progress or Silent()
    zoo = placed(zoo, folder)
    everyone = members(zoo, out, trust=trust, device=device)
    with _locked(out):
        _same_config(zoo, out)
        known = {member.name: outcome_of(member) for member in everyone}
        todo = [member for member in everyone if known[member.name] is None]
        if todo:
            _preflight(todo[0])
        _write_config(zoo, out)
        watch.start(len(todo))
        found: dict[str, Outcome] = {name: o for name, o in known.items() if o is not None}
        for done in run(train_member, todo, workers=workers):
            name = done.item.name
            outcome = done.result or Outcome(name=name, failure=done.error or "no reason")
            found[name] = outcome
            watch.step(name)
    failed = {name: o.failure for name, o in found.items() if o.failure is not None}
    return Trained(
        out=out,
        groups=len({member.group for member in everyone}),
        trained=len(todo) - len(failed),
        already=len(everyone) - len(todo),
        diverged=tuple(name for name, outcome in found.items() if outcome.diverged),
        failed=failed,
        seconds=sum(outcome.seconds for outcome in found.values()),
    )


def pending(
    zoo: Zoo, *, folder: Path, out: Path, trust: Trust, device: str = "cpu"
) -> tuple[list[Member], list[Member]]:
    """Give the members that `train_zoo` would train, and all; nothing is written."""
    zoo = placed(zoo, folder)
    _same_config(zoo, out)
    everyone = members(zoo, out, trust=trust, device=device)
    return [member for member in everyone if outcome_of(member) is None], everyone


def _same_config(zoo: Zoo, out: Path) -> None:
    path = out / CONFIG_NAME
    if not path.exists():
        recipe = out / RECIPE_NAME
        if recipe.exists():
            raise OutputError(f"{recipe} is not of a zoo and would be lost: choose another --out")
        return
    differences = read_zoo(path).differences(zoo)
    if differences:
        raise RecipeError(
            f"the members in {out} were trained with another config:\n"
            + "\n".join(f"  {difference}" for difference in differences)
            + "\nChange it back, or train into another directory with --out"
        )


def _preflight(member: Member) -> None:
    """Fail at once where every member would: unknown names, data that are not there."""
    from mdtree.config import bind
    from mdtree.models import build_model

    build_loss(bind(member.zoo.loss, member.facts), member.trust)
    build_model(bind(member.zoo.model, member.facts), trust=member.trust)
    member_data(member)


def _write_config(zoo: Zoo, out: Path) -> None:
    try:
        for name, header, part in (
            (CONFIG_NAME, _HEADER, zoo),
            (RECIPE_NAME, _RECIPE_HEADER, zoo.recipe()),
        ):
            if not (out / name).exists():
                content = json.loads(part.model_dump_json(exclude_none=True))
                text = header + yaml.safe_dump(content, sort_keys=False)
                new = out / f".{name}.new"
                new.write_text(text, encoding="utf-8")
                new.replace(out / name)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".zoo.lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            f"another mdtree is training in {out}: wait until it has finished, or choose "
            "another --out"
        ) from error
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
