"""Options of commands that measure: the recipe, the device, what may run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.executor_options import executor_options
from mdtree.exceptions import RecipeError
from mdtree.messages import nearest
from mdtree.recipes import RECIPE_NAME, Recipe, Trust, read_recipe, recipe_from_words, words
from mdtree.rows import DEFAULT_PROTOCOL, FACTS, PROTOCOLS, home_of, is_address

if TYPE_CHECKING:
    from mdtree.measurement import Request

__all__ = ["MEASURED", "make_request", "measuring"]

_ALIKE = 0.75  # similarity from which a word was probably meant


class _Measured(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A directory, a file, or an object storage address."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002 - click's signature
        """Return addresses unchanged: a path would lose one of their slashes."""
        return value if is_address(value) else Path(value)


MEASURED = _Measured()


def _spelt(_ctx: click.Context, _param: click.Parameter, pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Warn about facts that look misspelt: any name is allowed, but trees ask for few."""
    for name in (pair.partition("=")[0] for pair in pairs):
        meant = "" if name in FACTS else nearest(name, FACTS, cutoff=_ALIKE)
        if meant:
            click.echo(f"note: no tree uses the fact {name!r}{meant}", err=True)
    return pairs


_OPTIONS = (
    click.option(
        "--recipe",
        "recipe_path",
        type=click.Path(path_type=Path),
        help=f"The recipe.  [default: {RECIPE_NAME} in the directory]",
    ),
    click.option("--model", help="Without a recipe: the network, a name or pkg.module:factory."),
    click.option(
        "--model-arg", multiple=True, metavar="KEY=VALUE", help="An argument of the network."
    ),
    click.option(
        "--data", help="Without a recipe: digits, a .npz or .pt file, or pkg.module:factory."
    ),
    click.option("--data-arg", multiple=True, metavar="KEY=VALUE", help="An argument of the data."),
    click.option("--loss", help="Without a recipe: the loss."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Items in one forward pass."),
    click.option("--weights-key", help="Which weights to use if a file holds several (EMA, ...)."),
    click.option(
        "--fact",
        "facts",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_spelt,
        help="A fact about all groups, such as learning_rate=0.1.",
    ),
    click.option(
        "--protocol",
        type=click.Choice(list(PROTOCOLS)),
        default=DEFAULT_PROTOCOL,
        show_default=True,
        help="How to measure.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "float64"]),
        help="Precision of the computation.  [default: that of the network]",
    ),
    click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."
    ),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Seed of all random draws."
    ),
    click.option(
        "--trust",
        multiple=True,
        metavar="NAME",
        help="Code to allow: pkg.module, pkg.module:factory, or pkg.Class in a checkpoint.",
    ),
    click.option("--allow-download", is_flag=True, help="Let torchvision download the data set."),
)


def measuring(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of measuring checkpoints to a command."""
    command = executor_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_request(
    directory: str | Path, metrics: tuple[str, ...], options: dict[str, Any]
) -> Request:
    """Build the request to measure from command-line options."""
    from mdtree.checkpoints import check_place
    from mdtree.measurement import Request
    from mdtree.runtime.device import pick_device

    storage = check_place(directory)
    recipe, folder, trust = _recipe(directory, options)
    return Request(
        root=Path(directory),
        storage=storage,
        recipe=recipe,
        folder=folder,
        trust=trust,
        protocol=options["protocol"],
        metrics=metrics,
        seed=options["seed"],
        device=pick_device(options["device"], elsewhere=options["ray"] is not None),
        allow_download=options["allow_download"],
        dtype=options["dtype"],
    )


def _recipe(directory: str | Path, options: dict[str, Any]) -> tuple[Recipe, Path, Trust]:
    """Find the recipe, where its relative paths begin, and what it may run."""
    names = frozenset(options["trust"])
    path: Path | None = options["recipe_path"]
    here = Path.cwd()
    if options["model"] is not None:
        if path is not None:
            raise RecipeError("--recipe and --model both describe the network: use only one")
        recipe = recipe_from_words(_content(options))
        return recipe, here, Trust(names=names, any_factory=True, folders=(here,))
    given = [name for name in ("model_arg", "data", "data_arg", "loss") if options[name]]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise RecipeError(f"{flags}: needs --model; with a recipe, write it there")
    own = path is not None
    path = path or home_of(directory) / RECIPE_NAME
    if not own and not os.path.isfile(path):  # noqa: PTH113 - the same as for Path.exists
        raise RecipeError(
            f"{path.parent} has no {RECIPE_NAME}, and weights alone do not tell which network they "
            "belong to: write one (see configs/), name one with --recipe, or use --model and "
            "--data"
        )
    recipe = _overridden(read_recipe(path), options)
    folder = path.parent
    return recipe, folder, Trust(names=names, any_factory=own, folders=(here, folder.resolve()))


def _content(options: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = words(options["data_arg"])
    source = options["data"] or "digits"
    if source.endswith((".npz", ".pt", ".pth")):
        data |= {"source": "tensors", "train": source}
    else:
        data["source"] = source
    content: dict[str, Any] = {
        "model": {"factory": options["model"], "kwargs": words(options["model_arg"])},
        "data": data,
        "facts": words(options["facts"]),
    }
    for key in ("loss", "batch_size", "weights_key"):
        if options[key] is not None:
            content[key] = options[key]
    return content


def _overridden(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    """Override parts of the recipe with command-line options."""
    changes = {key: options[key] for key in ("batch_size", "weights_key") if options[key]}
    if options["facts"]:
        changes["facts"] = {**recipe.facts, **words(options["facts"])}
    return recipe_from_words({**recipe.model_dump(), **changes}) if changes else recipe
