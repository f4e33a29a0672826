"""Options of commands that measure: the recipe, the device, what may run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.executor_options import executor_options
from mdtree.cli.options import complete_path
from mdtree.cli.screens import tell
from mdtree.exceptions import RecipeError
from mdtree.recipes import RECIPE_NAME, has_recipe
from mdtree.rows import DEFAULT_PROTOCOL, PROTOCOLS, Fact, check_protocol, is_address
from mdtree.rows.facts import unused_fact

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mdtree.measurement import Request
    from mdtree.recipes import Recipe

__all__ = ["MEASURED", "make_request", "measuring", "named_recipe", "protocol_option"]

_SELF_DESCRIBED = "huggingface"  # folders that say themselves what their network is


class _Measured(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A directory, a file, or an object storage address."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002 - click's signature
        """Return addresses unchanged: a path would lose one of their slashes."""
        return value if is_address(value) else Path(value)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Let the shell complete directories and files."""
        return complete_path(incomplete)


MEASURED = _Measured()


class _Protocol(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """A protocol; another word is refused as from Python."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Hold the word to the table of protocols."""
        return check_protocol(value)


def protocol_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option of one protocol, which is the usual one unless another is named."""
    return click.option(
        "--protocol",
        type=_Protocol(list(PROTOCOLS)),
        default=DEFAULT_PROTOCOL,
        show_default=True,
        help=help_text,
    )


def _spelt(_ctx: click.Context, _param: click.Parameter, pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Warn about facts that look misspelt: any name is allowed, but trees ask for few."""
    for name in (pair.partition("=")[0] for pair in pairs):
        if unused := unused_fact(name):
            tell(f"note: {unused}")
    return pairs


_OPTIONS = (
    click.option(
        "--recipe",
        "recipe_path",
        type=click.Path(path_type=Path),
        help=f"The recipe; without it, {RECIPE_NAME} in the directory.",
    ),
    click.option(
        "--model",
        help="Without a recipe: the network, a name or pkg.module:factory. Hugging Face folders "
        "need none.",
    ),
    click.option(
        "--model-arg", multiple=True, metavar="KEY=VALUE", help="An argument of the network."
    ),
    click.option(
        "--data",
        help="Without a recipe: the training data, a .npz, .pt, .safetensors or .jsonl file, or a "
        "folder of save_to_disk (the test data: --data-arg test=FILE), pkg.module:factory, or "
        "digits.",
    ),
    click.option("--data-arg", multiple=True, metavar="KEY=VALUE", help="An argument of the data."),
    click.option("--loss", help="Without a recipe: the loss."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Items in one forward pass."),
    click.option(
        "--steps",
        metavar="last|best|all|every:N",
        help="Which checkpoints of a run to measure, one row for each step: the last, the best by "
        "its history, all, or every N-th (every:5 takes the epochs 5, 10, ... and the last).  "
        "[default: last]",
    ),
    click.option("--weights-key", help="Which weights to use if a file holds several (EMA, ...)."),
    click.option(
        "--hessian-limit",
        type=click.IntRange(1, 20),
        metavar="N",
        help="Let the Hessian take up to N times the steps and probes of the protocol before it "
        "stops without having converged.  [default: 1]",
    ),
    click.option(
        "--fact",
        "facts",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_spelt,
        help="A fact about all groups, such as learning_rate=0.1.",
    ),
    protocol_option("How to measure."),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "float64"]),
        help="Precision of the computation.  [default: that of the network]",
    ),
    click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Seed of all random draws.",
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
    directories: Sequence[str | Path],
    options: dict[str, Any],
    *,
    metrics: tuple[str, ...] = (),
    quantities: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    facts: Mapping[str, Fact] | None = None,
    recipe: Recipe | None = None,
) -> Request:
    """Build the request to measure from command-line options."""
    from mdtree import measurement

    directory, *others = directories
    return measurement.make_request(
        directory,
        others=others,
        steps=options["steps"],
        recipe=recipe or named_recipe(options, directory),
        metrics=metrics,
        quantities=quantities,
        protocol=options["protocol"],
        seed=options["seed"],
        device=options["device"],
        elsewhere=options["ray"] is not None,
        dtype=options["dtype"],
        trust=options["trust"],
        allow_download=options["allow_download"],
        facts=facts,
        batch_size=options["batch_size"],
        weights_key=options["weights_key"],
        hessian_limit=options["hessian_limit"],
        groups=groups,
    )


def named_recipe(options: dict[str, Any], directory: str | Path) -> Path | Recipe | None:
    """Return the recipe that the command line names, or describes word by word."""
    path: Path | None = options["recipe_path"]
    if options["model"] is not None:
        if path is not None:
            raise RecipeError("--recipe and --model both describe the network: use only one")
        return _described(options)
    given = [name for name in ("model_arg", "data", "data_arg", "loss") if options[name]]
    has_own = not is_address(directory) and has_recipe(directory, None)
    if options["data"] and path is None and not has_own and not options["model_arg"]:
        return _described({**options, "model": _SELF_DESCRIBED})
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise RecipeError(f"{flags}: needs --model; with a recipe, write it there")
    return path


def _described(options: dict[str, Any]) -> Recipe:
    from mdtree.recipes import recipe_from_words

    return recipe_from_words(_content(options))


def _content(options: dict[str, Any]) -> dict[str, Any]:
    from mdtree.recipes import DATA_KINDS, words

    data: dict[str, Any] = words(options["data_arg"])
    source = options["data"]
    if source is None:
        raise RecipeError(
            "--model needs --data: a .npz or .pt file with the training data (and --data-arg "
            "test=FILE), pkg.module:factory, or digits for those of scikit-learn"
        )
    is_file = source.endswith((".npz", ".pt", ".pth", ".safetensors", ".jsonl"))
    if is_file or (source not in DATA_KINDS and Path(source).is_dir()):
        data |= {"source": "tensors", "train": source}
    else:
        data["source"] = source
    content: dict[str, Any] = {
        "model": {"factory": options["model"], "kwargs": words(options["model_arg"])},
        "data": data,
    }
    if options["loss"] is not None:
        content["loss"] = options["loss"]
    return content
