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
    path = folder / "config.json"
    config = _config(path)
    if config.get("auto_map"):
        raise RecipeError(
            f"{path} asks for code that comes with the weights (auto_map), "
            "which is never run; install the model's package and name its factory"
        )
    try:
        with vision.usable():
            import transformers
    except ImportError as error:
        raise MissingExtraError(
            "Hugging Face folders need the package transformers: pip install 'mdtree-diagnosis[hf]'"
        ) from error
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    kind: Any = getattr(transformers, name, None) if isinstance(name, str) else None
    base: Any = transformers.PreTrainedModel
    if base not in getattr(kind, "__mro__", ()):
        raise RecipeError(
            f"{path} names the architecture {name!r}, "
            f"which transformers {transformers.__version__} does not have"
        )
    try:
        settings = kind.config_class.from_pretrained(folder, local_files_only=True)
        network: nn.Module = kind(settings)
    except Exception as error:
        raise RecipeError(f"{path} does not describe a {name}: {_first_line(error)}") from error
    return network


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"factory 'huggingface' needs {path}: {error.strerror or error}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise RecipeError(f"{path} describes no network: it holds a {type(config).__name__}")
    return config


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
