"""`mdtree measure DIR`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from mdtree.cli.bar import Bar
from mdtree.cli.summary import rows_table
from mdtree.cli.text import duration, plural, printable, table
from mdtree.config import RECIPE_NAME, Recipe, Trust, read_recipe, recipe_from_words, words
from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.measurements import DEFAULT_PROTOCOL, PROTOCOLS, read_rows
from mdtree.measurements.row import row_to_json

__all__ = ["command"]


@click.command(short_help="Measure the checkpoints of a directory.")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path),
    help=f"The recipe; without it, {RECIPE_NAME} in the directory.",
)
@click.option("--model", help="Without a recipe: the network, by name or as pkg.module:factory.")
@click.option("--model-arg", multiple=True, metavar="KEY=VALUE", help="An argument of the network.")
@click.option("--data", help="Without a recipe: digits, a .npz or .pt file, or pkg.module:factory.")
@click.option("--data-arg", multiple=True, metavar="KEY=VALUE", help="A key of the data.")
@click.option("--loss", help="Without a recipe: the loss.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Items in one forward pass.")
@click.option("--weights-key", help="Which weights of a file that holds several (EMA, ...).")
@click.option("--fact", "facts", multiple=True, metavar="KEY=VALUE", help="A fact of all groups.")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default=DEFAULT_PROTOCOL,
    show_default=True,
    help="The way of measuring.",
)
@click.option("--metrics", help="Metrics, separated by commas; the usual ones, if not given.")
@click.option("--fork", is_flag=True, help="Train two short continuations, and compare them.")
@click.option("--layers", is_flag=True, help="Compare the networks layer by layer as well.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    help="Precision of everything; without it, that of the network.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file of measurements; without it, rows.jsonl in the directory.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Groups measured at a time; several are processes with one thread each.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn.")
@click.option(
    "--trust",
    multiple=True,
    metavar="NAME",
    help="Code that may run: pkg.module, pkg.module:factory, or pkg.Class inside a checkpoint.",
)
@click.option("--allow-download", is_flag=True, help="Let torchvision fetch the data set.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured and what it would cost.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    directory: Path,
    *,
    out: Path | None,
    workers: int,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure every group of checkpoints in DIRECTORY and write one row for each.

    A group is a folder of weights files that differ by seed only. Rows whose weights, recipe and
    data have not changed are kept, so a run that was stopped goes on where it was.

    \b
    Examples:
      mdtree measure runs/
      mdtree measure runs/ --recipe cifar.yaml --workers 4 --out rows.jsonl
      mdtree measure seeds/ --model resnet18 --model-arg width=8 --data train.npz
      mdtree measure one.pt --recipe r.yaml --fork
      mdtree measure runs/ --protocol paper-1 --dry-run
    """
    from mdtree import measure as measuring

    if not os.path.exists(directory):  # noqa: PTH110 - Path.exists fails for names that are too long
        raise MdtreeError(f"{directory} does not exist")
    recipe, folder, trust = _recipe(directory, options)
    home = directory if directory.is_dir() else directory.parent
    target = out or home / "rows.jsonl"
    request = measuring.Request(
        root=directory,
        recipe=recipe,
        folder=folder,
        trust=trust,
        protocol=options["protocol"],
        metrics=_metrics(options),
        seed=options["seed"],
        device=measuring.pick_device(options["device"]),
        allow_download=options["allow_download"],
        dtype=options["dtype"],
    )
    if dry_run:
        _print_plan(measuring.dry_run(request, out=target), workers, as_json)
        return
    with Bar("measuring") as bar:
        summary = measuring.measure(request, out=target, workers=workers, progress=bar)
    _print_summary(summary, as_json)
    ctx.exit(1 if summary.failed else 0)


def _recipe(directory: Path, options: dict[str, Any]) -> tuple[Recipe, Path, Trust]:
    """Find the recipe, where its relative paths begin, and what it may run."""
    names = frozenset(options["trust"])
    path: Path | None = options["recipe_path"]
    here = Path.cwd()
    if options["model"] is not None:
        if path is not None:
            raise RecipeError("--recipe and --model are two ways to say the same: use one")
        recipe = recipe_from_words(_content(options))
        return recipe, here, Trust(names=names, any_factory=True, folders=(here,))
    given = [name for name in ("model_arg", "data", "data_arg", "loss") if options[name]]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise RecipeError(f"{flags}: only together with --model; otherwise the recipe says it")
    own = path is not None
    home = directory if directory.is_dir() else directory.parent
    path = path or home / RECIPE_NAME
    if not own and not path.is_file():
        raise RecipeError(
            f"{home} has no {RECIPE_NAME}, and weights alone do not say what network they belong "
            "to: write one (see configs/), name one with --recipe, or give --model and --data"
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
    """Let single words of the command line win over the recipe."""
    changes = {key: options[key] for key in ("batch_size", "weights_key") if options[key]}
    if options["facts"]:
        changes["facts"] = {**recipe.facts, **words(options["facts"])}
    return recipe_from_words({**recipe.model_dump(), **changes}) if changes else recipe


def _metrics(options: dict[str, Any]) -> tuple[str, ...]:
    """Choose the metrics: those that are named or the usual ones, and what flags add."""
    from mdtree.measure import check_metrics

    text = options["metrics"] or ""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    flags = tuple(name for name in ("fork", "layers") if options[name])
    return check_metrics(check_metrics(names) + flags)


def _print_plan(run: Any, workers: int, as_json: bool) -> None:
    costs = {cost.group: cost for cost in run.costs}
    seconds = sum(cost.seconds for cost in run.costs) / workers
    passes = sum(cost.passes for cost in run.costs)
    if as_json:
        groups = [
            {
                "group": item.task.group,
                "checkpoints": list(item.task.members),
                "state": item.state,
                "metrics": list(item.task.metrics),
                "forward_passes": costs[item.task.group].passes if item.pending else 0,
                "seconds": costs[item.task.group].seconds if item.pending else 0,
            }
            for item in run.planned
        ]
        total = {"forward_passes": passes, "seconds": seconds}
        click.echo(json.dumps({"format": 1, "groups": groups, "total": total}))
        return
    lines = [
        [
            item.task.group,
            str(len(item.task.files)),
            item.state,
            f"{costs[item.task.group].passes:,.0f}" if item.pending else "",
            duration(costs[item.task.group].seconds) if item.pending else "",
        ]
        for item in run.planned
    ]
    click.echo(table(["group", "checkpoints", "state", "forward passes", "time"], lines))
    click.echo(
        f"\nto measure: {plural(len(run.costs), 'group')}, {passes:,.0f} forward passes, "
        f"estimated time {duration(seconds)} with {plural(workers, 'worker')}; nothing was written"
    )


def _print_summary(summary: Any, as_json: bool) -> None:
    groups = set(summary.groups)
    rows = [
        row
        for row in read_rows(summary.out)
        if row.group in groups and row.protocol == summary.protocol
    ]
    if as_json:
        content = {
            "format": 1,
            "out": str(summary.out),
            "measured": summary.measured,
            "already": summary.already,
            "failed": [{"group": g, "reason": reason} for g, reason in summary.failed.items()],
            "damaged": [{"line": d.line, "reason": d.reason} for d in summary.damaged],
            "rows": [json.loads(row_to_json(row)) for row in rows],
        }
        click.echo(json.dumps(content))
        return
    click.echo(rows_table(rows))
    out = printable(str(summary.out))
    for group, reason in summary.failed.items():
        click.echo(f"failed {printable(group)}: " + printable(reason, keep="\n"), err=True)
    for line in summary.damaged:
        click.echo(
            f"line {line.line} was no row ({printable(line.reason)}) and was moved to "
            f"{out}.damaged",
            err=True,
        )
    click.echo(
        f"\n{summary.measured} measured, {summary.already} already there, "
        f"{len(summary.failed)} failed; rows are in {out}"
    )
