"""Adapters as PEFT saves them, written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["halves", "write_adapter"]

PREFIX = "base_model.model."


def halves(layer: str, out: int, rank: int, size: int, seed: int = 0) -> dict[str, Tensor]:
    """Give A and B of a layer, as they are stored."""
    random = torch.Generator().manual_seed(seed)
    return {
        f"{layer}.lora_A.weight": torch.randn(rank, size, generator=random),
        f"{layer}.lora_B.weight": torch.randn(out, rank, generator=random),
    }


def write_adapter(folder: Path, tensors: dict[str, Tensor], **config: object) -> Path:
    """Write an adapter, and give the file of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, **config}
    (folder / "adapter_config.json").write_text(json.dumps(content))
    path = folder / "adapter_model.safetensors"
    named = {PREFIX + name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, path)
    return path
