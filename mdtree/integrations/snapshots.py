"""The networks after the last two epochs, kept as files from which `--fork` trains on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mdtree.exceptions import OutputError
from mdtree.rows import Fact
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import JSON

__all__ = ["SnapshotKeeper", "momentum_of"]

_KEPT = 2
_FACTS = "args.json"  # which mdtree reads beside weights
_ADVICE = "name another folder, snapshots=..."
# of transformers: a folder with both describes its network
_WEIGHTS, _CONFIG = "pytorch_model.bin", "config.json"


class SnapshotKeeper:
    """Writes a network after each epoch, and removes what it wrote two epochs before.

    Args:
        folder: Where they go; it is made if needed.  Files that are there already stay.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: list[Path] = []
        self._last_step: int | None = None

    def keep(self, module: nn.Module, *, epoch: float, step: int, facts: Mapping[str, Any]) -> None:
        """Write a network and what is known of its training, unless this step is kept already.

        Raises:
            OutputError: A file cannot be written.

        """
        if step == self._last_step:
            return
        name = f"epoch-{epoch:g}-step-{step}"
        weights = {key: value.detach().cpu() for key, value in module.state_dict().items()}
        config = getattr(module, "config", None)
        describe = getattr(config, "to_json_string", None)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if describe is None:
                place = self.folder / f"{name}.pt"
                _save(weights, place)
            else:
                place = self.folder / name
                place.mkdir(exist_ok=True)
                described = json.loads(describe())
                # as `save_pretrained` does
                described["architectures"] = [type(module).__name__]
                _write(json.dumps(described, indent=1), place / _CONFIG)
                _save(weights, place / _WEIGHTS)
            _write(json.dumps(facts, indent=1), self.folder / _FACTS)
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be written: {error}: {_ADVICE}") from error
        self._last_step = step
        self._written = [*(path for path in self._written if path != place), place]
        for old in self._written[:-_KEPT]:
            _remove(old)
        self._written = self._written[-_KEPT:]


def momentum_of(optimizers: list[Optimizer]) -> dict[str, Fact]:
    """Return the momentum of SGD, if all groups of weights have the same."""
    known = {group.get("momentum") for each in optimizers for group in each.param_groups}
    value = known.pop() if len(known) == 1 else None
    return {"momentum": float(value)} if isinstance(value, int | float) else {}


def _save(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    with atomic_file(path, advice=_ADVICE, replaces="weights") as file:
        torch.save(dict(weights), file)


def _write(text: str, path: Path) -> None:
    with atomic_file(path, advice=_ADVICE, replaces=JSON) as file:
        file.write(text.encode())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
