"""`mdtree weights`: what can be learnt from the weights alone."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import click

from mdtree.cli.progress_bar import Bar
from mdtree.exceptions import MdtreeError

__all__ = ["command"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "--against", type=click.Path(path_type=Path), help="A later checkpoint to compare with."
)
@click.option(
    "--series",
    type=click.Path(path_type=Path),
    help="A CSV table of models: model, accuracy or error, and family.",
)
@click.option(
    "--convention",
    type=click.Choice(["pooled", "slices", "flatten"]),
    default="pooled",
    show_default=True,
    help="How to turn a convolution into matrices.",
)
@click.option("--ww-compat", is_flag=True, help="Use WeightWatcher's cutoff and scaling.")
@click.option(
    "--traps", is_flag=True, help="Test every layer for traps, not only the suspicious ones."
)
@click.option("--embeddings", is_flag=True, help="Include embeddings in the means.")
@click.option("--all", "everything", is_flag=True, help="Name every tensor that is not analysed.")
@click.option("--weights-key", help="Which weights to use if a file holds several (EMA, ...).")
@click.option(
    "--trust", multiple=True, metavar="NAME", help="Allow a checkpoint to use this class."
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Layers in parallel.  [default: all cores]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the shuffling.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    path: Path | None,
    *,
    against: Path | None,
    series: Path | None,
    as_json: bool,
    everything: bool,
    **options: Any,
) -> None:
    """Analyse weight spectra, without data and without the network's code.

    PATH is a checkpoint or a directory of them. A directory prints one line per checkpoint.

    \b
    Examples:
      mdtree weights model.safetensors
      mdtree weights runs/
      mdtree weights before.pt --against after.pt
      mdtree weights --series vgg.csv

    alpha is trusted only where eigenvalues stand out from those of a random matrix and the power
    law fits. Compare numbers only within one family of networks.
    """
    if (path is None) == (series is None):
        raise MdtreeError("give either a checkpoint or directory, or a table with --series")
    if series is not None:
        if against is not None:
            raise MdtreeError("--against compares two checkpoints, --series many: use only one")
        _print_series(series, options, as_json=as_json)
        return
    assert path is not None
    if against is not None:
        _print_changes(path, against, options, as_json=as_json)
        return
    _print_models(path, options, as_json=as_json, everything=everything)


def _print_models(path: Path, options: dict[str, Any], *, as_json: bool, everything: bool) -> None:
    from mdtree.render.terminal_spectrum import analysis_json, analysis_text, models_text

    models = _models(path)
    analyses, notes, failed = {}, [], False
    for name, file in models.items():
        try:
            analysis, file_notes = _analysed(file, options)
        except MdtreeError as error:
            if len(models) == 1:
                raise
            notes.append(f"{name}: {error}")
            failed = True
            continue
        analyses[name] = analysis
        notes += [f"{name}: {note}" for note in file_notes]
    if not analyses:
        raise MdtreeError(f"none of the {len(models)} files in {path} could be read: {notes[0]}")
    if as_json:
        content = [
            {"checkpoint": name, **analysis_json(analysis)} for name, analysis in analyses.items()
        ]
        click.echo(json.dumps({"format": 1, "checkpoints": content, "notes": notes}))
    else:
        if len(models) == 1:
            click.echo(analysis_text(next(iter(analyses.values())), everything=everything))
        else:
            click.echo(models_text(list(analyses.items())))
        for note in notes:
            click.echo(f"note: {note}")
    click.get_current_context().exit(1 if failed else 0)


def _print_changes(path: Path, against: Path, options: dict[str, Any], *, as_json: bool) -> None:
    from mdtree.render.terminal_spectrum import changes_text
    from mdtree.spectra import changes

    before, after = (_analysed(_single_checkpoint(file), options)[0] for file in (path, against))
    layer_changes = changes(before.layers, after.layers)
    if not layer_changes:
        raise MdtreeError(
            f"{path} and {against} have no layers with the same name and size: "
            "are they checkpoints of the same network?"
        )
    if as_json:
        content = [
            dataclasses.asdict(change) | {"collapsed": change.collapsed} for change in layer_changes
        ]
        click.echo(json.dumps({"format": 1, "changes": content}))
        return
    click.echo(changes_text(layer_changes))


def _print_series(table: Path, options: dict[str, Any], *, as_json: bool) -> None:
    from mdtree.cli.series import read_series
    from mdtree.render.terminal_spectrum import rankings_text
    from mdtree.spectra import AVERAGED, rankings

    def numbers(file: Path) -> dict[str, float | None]:
        analysis, _ = _analysed(_single_checkpoint(file), options)
        return {name: analysis.mean(name) for name in AVERAGED}

    members = read_series(table, AVERAGED, numbers)
    family_rankings = rankings(members)
    if as_json:
        content = {
            "format": 1,
            "models": [dataclasses.asdict(member) for member in members],
            "rankings": [dataclasses.asdict(ranking) for ranking in family_rankings],
        }
        click.echo(json.dumps(content))
        return
    click.echo(rankings_text(family_rankings))


def _models(path: Path) -> dict[str, Path]:
    """List the checkpoints by name: the file itself, or those of a directory by relative path."""
    from mdtree.checkpoints import find_folders

    if not os.path.exists(path):  # noqa: PTH110 - Path.exists fails for names that are too long
        raise MdtreeError(f"{path} does not exist")
    if not path.is_dir():
        return {path.name: path}
    files = [file for folder in find_folders(path) for file in folder.files]
    if not files:
        raise MdtreeError(
            f"{path} holds no weights files (looked for .safetensors, .pt, .pth, .ckpt, ... and "
            "folders with config.json)"
        )
    return {str(file.relative_to(path)): file for file in files}


def _single_checkpoint(path: Path) -> Path:
    models = _models(path)
    if len(models) > 1:
        raise MdtreeError(f"{path} holds {len(models)} checkpoints: name one of them")
    return next(iter(models.values()))


def _analysed(path: Path, options: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    from mdtree.checkpoints import list_tensors
    from mdtree.runtime.cores import cores
    from mdtree.spectra import Rules, analyse_all

    listing = list_tensors(path, trust=options["trust"], key=options["weights_key"])
    rules = Rules(
        convention=options["convention"],
        compatible=options["ww_compat"],
        traps=options["traps"],
        seed=options["seed"],
    )
    with Bar("layers") as bar:
        analysis = analyse_all(
            listing.tensors,
            rules,
            embeddings=options["embeddings"],
            threads=options["threads"] or cores(),
            progress=bar,
        )
    if not analysis.layers:
        reasons = sorted({skipped.reason for skipped in analysis.skipped})
        raise MdtreeError(f"{path} holds no weight matrices: {'; '.join(reasons)}")
    return analysis, listing.notes
