"""`mdtree demo`."""

from __future__ import annotations

from pathlib import Path

import click

from mdtree.cli.bar import Bar
from mdtree.cli.summary import rows_table
from mdtree.cli.text import printable
from mdtree.measurements import read_rows

__all__ = ["command"]


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("mdtree-demo"),
    show_default=True,
    help="Where the networks, the recipe and the measurements go.",
)
@click.pass_context
def command(ctx: click.Context, /, out: Path) -> None:
    """Train two small networks on digits, and two with a batch that is far too large; measure all.

    It takes under two minutes on a laptop and needs no download.

    \b
    Example:
      mdtree demo --out my-demo
    """
    from mdtree.config import RECIPE_NAME, Trust, read_recipe
    from mdtree.measure import Request, check_metrics, measure
    from mdtree.measurements import DEFAULT_PROTOCOL
    from mdtree.threads import cores
    from mdtree.zoo import DEMO, train_zoo

    # Tiny networks gain nothing from threads, and a process of its own for each of two at a time.
    workers = min(2, cores())
    with Bar("training") as bar:
        train_zoo(DEMO, folder=out, out=out, trust=Trust(), workers=workers, progress=bar)
    request = Request(
        root=out,
        recipe=read_recipe(out / RECIPE_NAME),
        folder=out,
        trust=Trust(),
        protocol=DEFAULT_PROTOCOL,
        metrics=check_metrics(()),
        seed=0,
        device="cpu",
        allow_download=False,
    )
    with Bar("measuring") as bar:
        summary = measure(request, out=out / "rows.jsonl", workers=workers, progress=bar)
    click.echo(rows_table(sorted(read_rows(summary.out), key=lambda row: row.group)))
    for group, reason in summary.failed.items():  # of something else that lies in the folder
        click.echo(f"failed {printable(group)}: " + printable(reason, keep="\n"), err=True)
    where = printable(str(out))
    click.echo(f"\nnetworks and recipe are in {where}, measurements in {where}/rows.jsonl")
    click.echo(f"measure them yourself: mdtree measure {where}")
    ctx.exit(1 if summary.failed else 0)
