"""Tiny checkpoint directories, and what a command printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from mdtree.models import cnn
from mdtree.rows import Row, read_rows

GROUPS = {"hot": [0, 1], "cold": [2, 3]}  # of the fixture `zoo`: their seeds


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def write_zoo(root: Path, groups: dict[str, list[int]], *, width: int = 2) -> Path:
    """Write untrained CNNs: a folder for each group, a file for each seed, and a recipe."""
    for group, seeds in groups.items():
        (root / group).mkdir(parents=True)
        for seed in seeds:
            torch.manual_seed(seed)
            weights = cnn(width=width).state_dict()
            save_file(weights, root / group / f"seed-{seed}.safetensors")
    recipe = {
        "model": {"factory": "cnn", "kwargs": {"width": width}},
        "data": {"source": "digits", "amount": 50},
    }
    (root / "mdtree.yaml").write_text(yaml.safe_dump(recipe))
    return root


def change_recipe(zoo: Path, **recipe: object) -> None:
    """Change parts of the recipe of a zoo."""
    path = zoo / "mdtree.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **recipe}))


def rows_of(path: Path) -> dict[str, Row]:
    """Read a file of measurements: group -> row."""
    return {row.group: row for row in read_rows(path)}


def lines_of(path: Path) -> list[dict]:
    """Read the lines of rows without the one thing that differs between runs: their seconds."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.get("provenance", {}).pop("seconds", None)
    return lines
