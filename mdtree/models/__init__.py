"""Models: from the description in a recipe to a network that is ready for weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mdtree.exceptions import RecipeError
from mdtree.factory import asked_to_fetch, call, fetching_nothing, find
from mdtree.messages import nearest
from mdtree.models.architectures import cnn, mlp, resnet18
from mdtree.models.huggingface import Head, from_folder
from mdtree.models.timm_run import network_of_run
from mdtree.network import Network, Run, Weights
from mdtree.recipes import ModelSpec, Trust
from mdtree.runtime.torchvision import torchvision

__all__ = [
    "MODELS",
    "Head",
    "Network",
    "Run",
    "Weights",
    "build_model",
    "build_network",
    "cnn",
    "mlp",
    "resnet18",
]

MODELS: dict[str, Callable[..., nn.Module]] = {
    "resnet18": resnet18,
    "cnn": cnn,
    "mlp": mlp,
}


def build_network(
    spec: ModelSpec, *, trust: Trust, folder: Path | None = None, head: Head | None = None
) -> Network:
    """Build the network of a recipe in evaluation mode, for measuring.

    Args:
        spec: The model of the recipe.
        trust: Which factories the recipe may use.
        folder: The folder of the weights, for networks that a config there describes.
        head: What an adapter says about the head of that network.

    Raises:
        RecipeError: The model is unknown, its arguments are wrong, or its factory failed.
        UntrustedError: The recipe may not use this factory.
        MissingExtraError: A Hugging Face folder is measured without transformers.
    """
    return Network(build_model(spec, trust=trust, folder=folder, head=head).eval())


def build_model(
    spec: ModelSpec,
    *,
    trust: Trust,
    folder: Path | None = None,
    head: Head | None = None,
    seed: int = 0,
) -> nn.Module:
    """Build the module of a recipe, with initial weights drawn from `seed`.

    The caller's random state is not changed.

    Args:
        spec: The model of the recipe.
        trust: Which factories the recipe may use.
        folder: The folder of the weights, for networks that a config there describes.
        head: What an adapter says about the head of that network.
        seed: The seed of the initial weights.

    Raises:
        RecipeError: The model is unknown, its arguments are wrong, or its factory failed.
        UntrustedError: The recipe may not use this factory.
        MissingExtraError: A Hugging Face folder is measured without transformers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = _made(spec, trust, folder, head)
    if not isinstance(model, nn.Module):
        raise RecipeError(
            f"model factory {spec.factory!r} must return a torch.nn.Module, "
            f"got a {type(model).__name__}"
        )
    return model


def _made(spec: ModelSpec, trust: Trust, folder: Path | None, head: Head | None) -> Any:
    name = spec.factory
    if name in MODELS:
        return call(MODELS[name], spec.kwargs, name)
    if name == "huggingface":
        others = spec.kwargs.keys() - {"base"}  # of adapters, found where checkpoints are read
        if folder is None or others:
            raise RecipeError(
                "factory 'huggingface' takes all settings from config.json: leave out model.kwargs "
                "(only base, the model of adapters, is allowed)"
                if others
                else "factory 'huggingface' needs a folder with config.json"
            )
        return from_folder(folder, head)
    if name == "timm":
        factory, words = network_of_run(folder, spec.kwargs)
        return call(find(factory, Trust()), words, factory)
    if ":" in name:
        return call(find(name, trust), spec.kwargs, name)
    models = torchvision("torchvision.models")
    builders = [n for home in (models, models.video) for n in models.list_models(module=home)]
    if name not in builders:
        known = [*MODELS, "huggingface", "timm", *builders]
        raise RecipeError(
            f"model {name!r} is unknown{nearest(name, known)} (known: {', '.join(MODELS)}, "
            "huggingface, timm, the classifiers of torchvision.models, or pkg.module:factory)"
        )
    if fetching := asked_to_fetch(spec.kwargs):
        raise RecipeError(
            f"model {name!r}: leave out {fetching[0]!r}, mdtree loads your own weights"
        )
    return call(fetching_nothing(models.get_model_builder(name), name), spec.kwargs, name)
