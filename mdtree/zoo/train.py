"""Training a zoo: every member that is not whole yet, in one directory with one writer.

DIR/zoo.yaml      the config, in full; another config is refused
DIR/mdtree.yaml   the recipe: `mdtree measure DIR` measures what was trained
DIR/GROUP/...     the members
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import yaml

from mdtree.exceptions import OutputError, RecipeError
from mdtree.executors import HERE, ExecutorConfig, run
from mdtree.factory import needs_trust
from mdtree.losses import build_loss
from mdtree.models import build_model
from mdtree.progress import Progress, Silent
from mdtree.recipes import (
    RECIPE_NAME,
    DataSpec,
    LossSpec,
    ModelSpec,
    Trust,
    Zoo,
    bind,
    fingerprint,
    read_zoo,
)
from mdtree.rows.atomic import locked
from mdtree.zoo.member import (
    TrainingOutcome,
    ZooMember,
    member_data,
    train_member,
    training_outcome,
    written,
)
from mdtree.zoo.plan import members, placed

__all__ = [
    "CONFIG_NAME",
    "ZooTrainingSummary",
    "names_in_recipe",
    "names_to_trust",
    "pending",
    "train_zoo",
]

CONFIG_NAME = "zoo.yaml"
_HEADER = "# Written by `mdtree zoo train`. Another config belongs into another directory.\n"
_RECIPE_HEADER = "# Written by `mdtree zoo train`: how these weights become a network.\n"


@dataclass(frozen=True, kw_only=True)
class ZooTrainingSummary:
    """What a run of `zoo train` did."""

    out: Path
    groups: int
    trained: int
    already: int
    left: int  # members that the run did not come to, as too many failed
    diverged: tuple[str, ...]  # of all members; they have no weights
    failed: dict[str, str]  # member -> reason
    seconds: float  # of all members, those that were there included


def train_zoo(
    zoo: Zoo,
    *,
    folder: Path,
    out: Path,
    trust: Trust,
    executor: ExecutorConfig = HERE,
    max_failures: int | None = None,
    device: str = "cpu",
    deadline: float | None = None,
    progress: Progress | None = None,
) -> ZooTrainingSummary:
    """Train all members that are not whole; relative paths of the config begin at `folder`.

    The run stops when more than `max_failures` have failed.  Members that are not whole at the
    deadline (by the clock of `time.time`) fail with the reason `OUT_OF_TIME`.
    """
    watch = progress or Silent()
    zoo = placed(zoo, folder)
    everyone = [
        replace(member, deadline=deadline)
        for member in members(zoo, out, trust=trust, device=device)
    ]
    with _locked(out):
        _same_config(zoo, out)
        known = {member.name: training_outcome(member) for member in everyone}
        todo = _by_data([member for member in everyone if known[member.name] is None])
        _preflight(todo)
        _write_config(zoo, out)
        watch.start(len(todo))
        outcome_of: dict[str, TrainingOutcome] = {
            name: o for name, o in known.items() if o is not None
        }
        failed: dict[str, str] = {}
        with contextlib.closing(_outcomes(todo, executor, watch)) as outcomes:
            for outcome in outcomes:
                outcome_of[outcome.name] = outcome
                watch.step(outcome.name)
                if outcome.failure is not None:
                    failed[outcome.name] = outcome.failure
                if max_failures is not None and len(failed) > max_failures:
                    break
    return ZooTrainingSummary(
        out=out,
        groups=len({member.group for member in everyone}),
        trained=sum(member.name in outcome_of for member in todo) - len(failed),
        left=len(everyone) - len(outcome_of),
        already=len(everyone) - len(todo),
        diverged=tuple(name for name, outcome in outcome_of.items() if outcome.diverged),
        failed=failed,
        seconds=sum(outcome.seconds for outcome in outcome_of.values()),
    )


def _outcomes(
    todo: list[ZooMember], executor: ExecutorConfig, watch: Progress
) -> Generator[TrainingOutcome]:
    outcomes = run(
        train_member,
        todo,
        executor,
        gpu_memory_share=lambda outcome: outcome.share,
        inside=lambda member, share, _: watch.inside(member.name, share),
    )
    for done in outcomes:
        yield done.result or TrainingOutcome(name=done.item.name, failure=done.error or "no reason")


def pending(
    zoo: Zoo, *, folder: Path, out: Path, trust: Trust, device: str = "cpu"
) -> tuple[list[ZooMember], list[ZooMember]]:
    """Give the members that `train_zoo` would train, and all; nothing is written."""
    zoo = placed(zoo, folder)
    _same_config(zoo, out)
    everyone = members(zoo, out, trust=trust, device=device)
    return [member for member in everyone if training_outcome(member) is None], everyone


def names_to_trust(zoo: Zoo) -> list[str]:
    """List the factories that must be trusted by name to measure the zoo.

    Whoever trains it has named the config; the recipe in the directory of the zoo may be anybody's.
    """
    facts = {**zoo.facts, **next(zoo.points())}
    data: DataSpec = bind(zoo.data, facts)
    return names_in_recipe(bind(zoo.model, facts), data, bind(zoo.loss, facts))


def names_in_recipe(model: ModelSpec, data: DataSpec, loss: LossSpec) -> list[str]:
    """List the factories of a recipe that must be trusted by name if it lies with checkpoints."""
    names = (model.factory, data.source, data.transform.factory, loss.factory)
    own = [name for name in names if name is not None and ":" in name]
    return [name for name in dict.fromkeys(own) if needs_trust(name)]


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


def _by_data(todo: list[ZooMember]) -> list[ZooMember]:
    """Bring members of the same data together, so that each data set is read once."""
    by_data: dict[str, list[ZooMember]] = {}
    for member in todo:
        by_data.setdefault(fingerprint(bind(member.zoo.data, member.facts)), []).append(member)
    return [member for together in by_data.values() for member in together]


def _preflight(todo: list[ZooMember]) -> None:
    """Fail at once, and not after hours, on unknown names and data that are not there or too few.

    Each factory is called for one member alone: what it makes of other facts is their business.
    """
    losses, networks, data = {}, {}, {}
    for member in reversed(todo):
        losses[bind(member.zoo.loss, member.facts).factory] = member
        networks[bind(member.zoo.model, member.facts).factory] = member
    for member in sorted(todo, key=_amount):  # where the largest part can be read, all can
        spec = bind(member.zoo.data, member.facts).model_copy(update={"amount": None})
        data[fingerprint(spec)] = member
    for member in losses.values():
        build_loss(bind(member.zoo.loss, member.facts), member.trust)
    for member in networks.values():
        build_model(bind(member.zoo.model, member.facts), trust=member.trust)
    for member in data.values():
        member_data(member)


def _amount(member: ZooMember) -> int:
    return int(bind(member.zoo.data, member.facts).amount or 0)


class _Dumper(yaml.SafeDumper):
    """Writes what our reader reads as it was: it takes 1e-3 for a number, where others do not."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    like_a_number = text[:1] in set("+-.0123456789")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, '"' if like_a_number else None)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(PurePath, lambda dumper, path: _text(dumper, str(path)))


def _write_config(zoo: Zoo, out: Path) -> None:
    for name, header, part in (
        (CONFIG_NAME, _HEADER, zoo),
        (RECIPE_NAME, _RECIPE_HEADER, zoo.recipe()),
    ):
        if not (out / name).exists():
            content = part.model_dump(exclude_none=True)
            text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
            with written(out / name, out) as file:
                file.write((header + text).encode())


def _locked(out: Path) -> contextlib.AbstractContextManager[None]:
    held = (
        f"another mdtree is training in {out}: wait until it has finished, or choose another --out"
    )
    return locked(out / ".zoo.lock", out, out, held=held, advice="choose another --out")
