"""How often faults planted in plain training loops are named: three networks, six trainings each.

    python scripts/study_planted.py FOLDER [--facts] [--tree NAME]

An MLP, a vision transformer and an MLP-mixer learn rendered letters of 28x28 pixels, sound and
with five faults: a batch far too large, 100 items, a network far too small, a learning rate 300
times too small, and one 50 times too large.  The loop is plain PyTorch and knows nothing of mdtree;
with --facts the recipe tells what it did, without it weights and data are all that is known.
Two seeds each.  The networks stay in FOLDER, so a study that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml
from torch import nn
from torch.nn.functional import cross_entropy

from mdtree.datasets.reference.glyphs import glyphs
from mdtree.models import mlp
from mdtree.models.reference import mixer, vit

DATA = {
    "classes": 10,
    "first": 30,
    "side": 28,
    "noise": 0.3,
    "train": 4096,
    "test": 2500,
    "seed": 11,
}
PATCHES = {"classes": 10, "channels": 1, "side": 28, "patch": 7, "depth": 2}
NETWORKS = {
    "mlp": (mlp, "mlp", {"inputs": 784, "depth": 2, "classes": 10}),
    "vit": (vit, "mdtree.models.reference:vit", {**PATCHES, "heads": 2}),
    "mixer": (mixer, "mdtree.models.reference:mixer", PATCHES),
}
SEEDS = 2
EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class Training:
    """How one network is trained."""

    width: int
    rate: float
    batch: int = 32
    items: int = 4096
    optimizer: str = "adamw"

    @property
    def steps(self) -> int:
        """Give as many steps as ten epochs of all items have, whatever the items are."""
        return EPOCHS * DATA["train"] // self.batch


SOUND = {
    "mlp": Training(width=64, rate=0.05, optimizer="sgd"),
    "vit": Training(width=32, rate=0.003),
    "mixer": Training(width=32, rate=0.005),
}
# fault -> (its failure mode, what becomes of a sound training)
FAULTS = {
    "sound": ("none", lambda sound: sound),
    "large_batch": ("temperature_low", lambda sound: replace(sound, batch=2048)),
    "few_items": ("data_small", lambda sound: replace(sound, items=100)),
    "narrow": ("model_small", lambda sound: replace(sound, width=2)),
    "small_rate": ("temperature_low", lambda sound: replace(sound, rate=sound.rate / 300)),
    "large_rate": ("temperature_high", lambda sound: replace(sound, rate=sound.rate * 50)),
}


def main() -> None:
    """Train, diagnose, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--facts", action="store_true", help="tell what the loop did")
    parser.add_argument("--tree", default=None)
    options = parser.parse_args()
    train, _ = glyphs(**DATA)
    print("| network | planted | verdict | probability | likeliest | right |")
    print("| --- | --- | --- | --- | --- | --- |")
    right = wrong = 0
    for network, sound in SOUND.items():
        for fault, (mode, changed) in FAULTS.items():
            training = changed(sound)
            folder = options.folder / f"{network}-{fault}"
            for seed in range(SEEDS):
                trained(folder / "seeds" / f"seed-{seed}.pt", network, training, train.all, seed)
            verdict = diagnosed(folder, network, training, facts=options.facts, tree=options.tree)
            right += verdict["mode"] == mode
            wrong += verdict["mode"] not in (mode, "unsure")
            print(
                f"| {network} | {fault}: {mode} | {verdict['mode']} | "
                f"{100 * verdict['probability']:.0f} % | {verdict['likely']} | "
                f"{'yes' if verdict['mode'] == mode else ''} |",
                flush=True,
            )
    print(f"\nright {right}, wrong and sure {wrong}, of {len(SOUND) * len(FAULTS)}")


def trained(file: Path, network: str, training: Training, data: tuple, seed: int) -> None:
    """Train as people do."""
    if file.exists():
        return
    torch.manual_seed(seed)
    build, _, kwargs = NETWORKS[network]
    model: nn.Module = build(width=training.width, **kwargs)
    momentum = {"momentum": 0.9} if training.optimizer == "sgd" else {}
    kind = torch.optim.SGD if training.optimizer == "sgd" else torch.optim.AdamW
    optimizer = kind(model.parameters(), lr=training.rate, **momentum)
    x, y = (part[: training.items] for part in data)
    step = 0
    while step < training.steps:
        for places in torch.randperm(len(x)).split(training.batch):
            optimizer.zero_grad()
            cross_entropy(model(x[places]), y[places]).backward()
            optimizer.step()
            step += 1
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), file)


def diagnosed(
    folder: Path, network: str, training: Training, *, facts: bool, tree: str | None
) -> dict:
    """Write a recipe, and ask the command."""
    _, factory, kwargs = NETWORKS[network]
    recipe: dict[str, object] = {
        "format": 1,
        "model": {"factory": factory, "kwargs": {"width": training.width, **kwargs}},
        "data": {
            "source": "mdtree.datasets.reference.glyphs:glyphs",
            "kwargs": DATA,
            "amount": training.items,
            "subset": "first",
        },
    }
    if facts:
        recipe["facts"] = {
            "learning_rate": training.rate,
            "batch_size": min(training.batch, training.items),
            "steps": training.steps,
            "width": training.width,
            "optimizer": training.optimizer,
            "schedule": "constant",
        }
    place = folder / ("told" if facts else "untold")
    place.mkdir(exist_ok=True)
    (place / "mdtree.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    command = ["diagnose", folder / "seeds", "--recipe", place / "mdtree.yaml", "--json"]
    command += ["--rows", place / "rows.jsonl", *(() if tree is None else ("--tree", tree))]
    ran = subprocess.run(
        [sys.executable, "-m", "mdtree", *map(str, command)],
        check=False,
        capture_output=True,
        text=True,
    )
    if not ran.stdout:
        raise SystemExit(ran.stderr)
    return json.loads(ran.stdout)["verdicts"][0]


if __name__ == "__main__":
    main()
