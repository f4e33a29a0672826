"""`mdtree weights`: what can be learnt from the weights alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.loading import loading
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import say
from mdtree.exceptions import MdtreeError
from mdtree.rows import write_lines

if TYPE_CHECKING:
    from mdtree.spectra import WeightsReport

__all__ = ["command"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=click.Path(), required=False)
@click.option(
    "--against",
    type=click.Path(),
    help="A later checkpoint to compare with; or the base of an adapter.",
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
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the shuffling.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    help="Write a CSV table, too: one line for each layer of each checkpoint.",
)
def command(
    path: str | None,
    *,
    against: str | None,
    series: Path | None,
    as_json: bool,
    csv_file: Path | None,
    everything: bool,
    **options: Any,
) -> None:
    """Analyse weight spectra, without data and without the network's code.

    PATH is a checkpoint or a directory of them. A directory prints one line per checkpoint. It may
    be the address of an object storage, whose files are fetched first.

    \b
    Examples:
      mdtree weights model.safetensors
      mdtree weights runs/ --csv layers.csv
      mdtree weights before.pt --against after.pt
      mdtree weights ADAPTER --against BASE
      mdtree weights hf://someone/net
      mdtree weights --series vgg.csv

    alpha is trusted only where eigenvalues stand out from those of a random matrix and the power
    law fits. Compare numbers only within one family of networks.

    --against tells what was added to each layer, and which directions are new. With a LoRA adapter
    on either side, the other one is its base.
    """
    if (path is None) == (series is None):
        raise MdtreeError("give either a checkpoint or directory, or a table with --series")
    if series is not None and against is not None:
        raise MdtreeError("--against compares two checkpoints, --series many: use only one")
    report = _report(path, against, series, options)
    if csv_file is not None:
        write_lines(report.table, csv_file)
    if as_json:
        from mdtree.render.terminal_spectrum import report_json

        click.echo(json.dumps(report_json(report)))
    else:
        from mdtree.render.terminal_spectrum import report_text

        say(report_text(report, everything=everything))
    click.get_current_context().exit(1 if report.failures else 0)


def _report(
    path: str | None, against: str | None, series: Path | None, options: dict[str, Any]
) -> WeightsReport:
    from mdtree.runtime.cores import cores

    with loading():
        from mdtree.spectra import Rules, WeightOptions, compare, examine, rank

    chosen = WeightOptions(
        rules=Rules(
            convention=options["convention"],
            compatible=options["ww_compat"],
            traps=options["traps"],
            seed=options["seed"],
        ),
        embeddings=options["embeddings"],
        key=options["weights_key"],
        trust=options["trust"],
        threads=options["threads"] or cores(),
    )
    with Bar("layers") as bar:
        if series is not None:
            return rank(series, chosen, progress=bar)
        assert path is not None
        if against is not None:
            return compare(path, against, chosen, progress=bar)
        return examine(path, chosen, progress=bar)
