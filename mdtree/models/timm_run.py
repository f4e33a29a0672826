"""Runs of timm's train.py: the network that `args.yaml` beside the weights names.

Only timm's own networks are built, by their plain names, and nothing is fetched: `args.yaml` may
come from anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdtree.exceptions import RecipeError
from mdtree.recipes.yaml import parse_yaml
from mdtree.regular_file import open_regular

__all__ = ["network_of_run"]

_LARGEST = 1 << 20  # bytes

# what train.py hands on to the network -> the argument; dropout is off while measuring
_HANDED_ON = {"num_classes": "num_classes", "gp": "global_pool", "bn_eps": "bn_eps"}


def network_of_run(folder: Path | None, stated: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the factory of a run's network, and the arguments that it was built with.

    Args:
        folder: The folder of the weights, with `args.yaml`.
        stated: Arguments that the user states, which win.

    Raises:
        RecipeError: The folder has no such file, or it names a network that is not timm's own.

    """
    if folder is None:
        raise RecipeError("factory 'timm' needs a folder with args.yaml beside the weights")
    path = folder / "args.yaml"
    settings = _settings(path)
    name, further = settings.get("model"), settings.get("model_kwargs") or {}
    own = name.partition(".")[0] if isinstance(name, str) else ""  # resnet50.a1_in1k, of weights
    if not own.isidentifier():  # hf-hub:user/network, local-dir:/path
        raise RecipeError(
            f"{path} names the model {name!r:.100}, which is not one of timm's own: name the "
            "factory of your network, pkg.module:function"
        )
    if not isinstance(further, dict):
        raise RecipeError(f"{path}: model_kwargs must be a mapping, got {further!r:.100}")
    words = {word: settings.get(given) for given, word in _HANDED_ON.items()}
    words["in_chans"] = _channels(settings)
    known = {str(word): value for word, value in {**words, **further}.items() if value is not None}
    return f"timm.models:{own}", {**known, **stated}


def _settings(path: Path) -> dict[Any, Any]:
    try:
        with open_regular(path) as file:
            text = file.read(_LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}") from error
    settings = parse_yaml(text, str(path)).content
    if not isinstance(settings, dict):
        raise RecipeError(f"{path} does not hold the settings of timm's train.py")
    return settings


def _channels(settings: Mapping[Any, Any]) -> Any:
    """Return the channels of an image, as train.py finds them."""
    size = settings.get("input_size")
    return settings.get("in_chans") or (size[0] if isinstance(size, list) and size else None)
