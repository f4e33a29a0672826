"""Hugging Face folders: the network that `config.json` describes. Local files only, no remote code.

The only file that imports transformers (the extra `hf`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from mdtree import vision
from mdtree.exceptions import MissingExtraError, RecipeError

__all__ = ["from_folder"]


def from_folder(folder: Path) -> nn.Module:
    """Build the network of a folder with `config.json`; its weights are loaded by others."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"factory 'huggingface' needs {folder / 'config.json'}: {error.strerror or error}"
        ) from error
    except ValueError as error:
        raise RecipeError(f"{folder / 'config.json'} is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("auto_map"):
        raise RecipeError(
            f"{folder / 'config.json'} asks for code that comes with the weights (auto_map), "
            "which is never run; install the model's package and name its factory"
        )
    try:
        with vision.usable():
            import transformers
    except ImportError as error:
        raise MissingExtraError(
            "Hugging Face folders need the package transformers: pip install 'mdtree-diagnosis[hf]'"
        ) from error
    names = config.get("architectures") or []
    name = names[0] if isinstance(names, list) and names else None
    kind: Any = getattr(transformers, name, None) if isinstance(name, str) else None
    base: Any = transformers.PreTrainedModel
    if not (isinstance(kind, type) and base in kind.__mro__):
        raise RecipeError(
            f"{folder / 'config.json'} names the architecture {name!r}, "
            f"which transformers {transformers.__version__} does not have"
        )
    return _built(kind, folder)


def _built(kind: Any, folder: Path) -> nn.Module:
    settings = kind.config_class.from_pretrained(folder, local_files_only=True)
    network: nn.Module = kind(settings)
    return network
