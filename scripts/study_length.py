"""What training twice as long brings, where the log says that a training ended early (MD407).

    python scripts/study_length.py --out length.jsonl --minutes 60    # one core; goes on if stopped
    python scripts/study_length.py --out length.jsonl --minutes 0     # the table of what is there

Trains networks of the reference zoos (configs/reference), drawn with their facts at random, for a
random share of their steps, at a constant rate or along a cosine: once, twice and four times as
long.  Each is evaluated at evenly spaced steps, as a trainer logs it.  Data that are fetched by
hand are looked for in ./data; a zoo without its data is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdtree.diagnosis.remarks import second_half
from mdtree.exceptions import MdtreeError
from mdtree.losses import build_loss
from mdtree.models import build_model
from mdtree.recipes import Trust, bind, read_zoo
from mdtree.rows import Row
from mdtree.runs import History, HistoryPoint, late_facts
from mdtree.training.loop import Training, train
from mdtree.zoo.member import ZooMember, member_data, member_training
from mdtree.zoo.plan import members, placed

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "reference"
AXES = ("-rate", "-batch", "-cold", "-warm", "noisy")  # the same networks again, or wrong labels
POINTS = 8  # evaluations of the shortest training
SECONDS = 12.0  # of the processor, for one training
HALVINGS = 5  # of the zoo's steps, at most

Log = list[list[float]]  # step, training loss, test loss, test accuracy in percent


class _TooSlowError(Exception):
    pass


@dataclass(frozen=True, kw_only=True)
class Doubling:
    """A training, and another one that is twice as long."""

    schedule: str
    zoo: str
    points: tuple[HistoryPoint, ...]
    gain: float  # points of test accuracy

    @property
    def is_early(self) -> bool | None:
        """Say what the check says of the shorter one."""
        facts = late_facts([History(points=self.points)])
        row = Row(format=1, group="one", protocol="standard-1", facts=facts, quantities={})
        said = second_half(row)
        return None if said is None else said[0]


def main() -> None:
    """Train for a while, then print what doublings brought."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("length.jsonl"))
    parser.add_argument("--minutes", type=float, default=60.0, help="for training")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * options.minutes
    draw = random.Random(options.seed)
    configs = [p for p in sorted(CONFIGS.glob("*.yaml")) if not any(a in p.name for a in AXES)]
    while time.monotonic() < end:
        record = _drawn(draw.choice(configs), draw)
        if record is not None:
            with options.out.open("a") as file:
                file.write(json.dumps(record) + "\n")
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    _report([one for line in lines for one in _doublings(json.loads(line))])


def _drawn(config: Path, draw: random.Random) -> dict[str, Any] | None:
    zoo = placed(read_zoo(config), CONFIGS)
    everyone = list(members(zoo, Path("none"), trust=Trust(any_factory=True), device="cpu"))
    member = draw.choice(everyone)
    how = member_training(member)
    if how.steps is None:
        return None
    steps = max(int(how.steps / 2 ** draw.randint(0, HALVINGS)), 2 * POINTS)
    schedule = draw.choice(["constant", "cosine"])
    how = replace(how, epochs=10**6, schedule=schedule)
    try:
        if schedule == "constant":  # a longer one begins as the shorter one
            log = _trained(member, replace(how, steps=4 * steps), 4 * POINTS)
            logs = [log[:POINTS], log[: 2 * POINTS], log]
        else:
            logs = [_trained(member, replace(how, steps=n * steps), 2 * POINTS) for n in (1, 2, 4)]
    except (MdtreeError, _TooSlowError) as error:
        print(f"{config.stem}: {error or 'takes too long'}", flush=True)
        return None
    return {"zoo": config.stem, "facts": member.facts, "schedule": schedule, "logs": logs}


def _trained(member: ZooMember, how: Training, points: int) -> Log:
    data = member_data(member)
    if data.test is None:
        raise MdtreeError("has no test data")
    model = build_model(bind(member.zoo.model, member.facts), trust=member.trust, seed=member.seed)
    loss = build_loss(bind(member.zoo.loss, member.facts), member.trust)
    inputs, targets = next(data.test.batches(len(data.test)))
    marks = {round((n + 1) * (how.steps or 0) / points) for n in range(points)}
    seen: list[torch.Tensor] = []
    log: Log = []
    begun, step = time.process_time(), 0

    def noted(output: Any, batch: Any) -> torch.Tensor:
        losses = loss(output, batch)
        seen.append(losses.detach().mean())
        return losses

    def moved(_: float) -> None:
        nonlocal step
        step += 1
        if time.process_time() - begun > SECONDS:
            raise _TooSlowError
        if step in marks:
            model.eval()
            with torch.no_grad():
                output = model(inputs)
            model.train()
            right = 100 * float((output.argmax(1) == targets).float().mean())
            test_loss = float(torch.nn.functional.cross_entropy(output, targets))
            log.append([step, float(torch.stack(seen).mean()), test_loss, right])
            seen.clear()

    train(model, data.train, noted, how, moved=moved)
    return log


def _doublings(record: dict[str, Any]) -> Iterator[Doubling]:
    for shorter, longer in pairwise(record["logs"]):
        if np.isfinite([shorter[-1], longer[-1]]).all():
            yield Doubling(
                schedule=record["schedule"],
                zoo=record["zoo"],
                points=tuple(
                    HistoryPoint(
                        step=step, train_loss=a, test_loss=b, test_accuracy=c, test_side="test"
                    )
                    for step, a, b, c in shorter
                ),
                gain=longer[-1][3] - shorter[-1][3],
            )


def _report(doublings: list[Doubling]) -> None:
    print("| the check | schedule | trainings (zoos) | at least 1 point | at least 3 | median |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, is_early in (("ended early", True), ("had come to rest", False)):
        for schedule in ("constant", "cosine"):
            own = [d for d in doublings if d.is_early is is_early and d.schedule == schedule]
            if own:
                gains = np.array([each.gain for each in own])
                shares = " | ".join(f"{100 * (gains >= least).mean():.0f} %" for least in (1, 3))
                zoos = len({each.zoo for each in own})
                print(
                    f"| {name} | {schedule} | {len(own)} ({zoos}) | {shares} "
                    f"| {np.median(gains):.1f} |"
                )


if __name__ == "__main__":
    main()
