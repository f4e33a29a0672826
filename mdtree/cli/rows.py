"""`mdtree rows show | export | import`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from mdtree.cli.group import Group
from mdtree.cli.notices import tell_of_cut_line
from mdtree.cli.screens import say, tell
from mdtree.exceptions import MdtreeError, OutputError
from mdtree.messages import plural, printable
from mdtree.render.rows_table import SHOWN, row_text, rows_table
from mdtree.rows import (
    PROTOCOLS,
    csv_lines,
    measured_file,
    open_measured,
    rows_from_csv,
    write_csv,
    write_parquet,
    write_rows,
)

__all__ = ["command"]


@click.group(cls=Group)
def command() -> None:
    """Show, export and import measurements.

    \b
    Examples:
      mdtree rows show rows.jsonl
      mdtree rows export rows.jsonl --out table.csv
      mdtree rows export rows.jsonl --out table.parquet
      mdtree rows import published.csv --out rows.jsonl
    """


@command.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Show every row, not just the first 40.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON Lines.")
def show(rows: Path, *, everything: bool, as_json: bool) -> None:
    """Print measurements as a table: a file of rows, a CSV table, or a measured directory.

    \b
    Examples:
      mdtree rows show rows.jsonl
      mdtree rows show runs/ --all
    """
    tell_of_cut_line(rows)
    stored_rows = open_measured(rows)
    if as_json:
        for row in stored_rows:
            click.echo(row_text(row))
        return
    say(rows_table(stored_rows, limit=None if everything else SHOWN))


@command.command("export")
@click.argument("rows", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="The table to write.  [default: print it]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    help="Format of the table.  [default: Parquet if --out ends in .parquet, else CSV]",
)
def export(rows: Path, *, out: Path | None, form: str | None) -> None:
    """Write measurements as a table, one line for each group.

    \b
    Examples:
      mdtree rows export rows.jsonl --out table.csv
      mdtree rows export rows.jsonl --out table.parquet
    """
    parquet = form == "parquet" if form else out is not None and out.suffix.lower() == ".parquet"
    if out is None:
        if parquet:
            raise MdtreeError("a Parquet table cannot be printed: name a file with --out")
        for line in csv_lines(open_measured(rows)):
            click.echo(printable(line, keep="\n") if sys.stdout.isatty() else line, nl=False)
        return
    _check_other(out, measured_file(rows), "holds the measurements themselves")
    (write_parquet if parquet else write_csv)(open_measured(rows), out)


@command.command("import")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The rows to write.")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="paper-1",
    show_default=True,
    help="How the numbers were measured, unless the table has a protocol column.",
)
def import_(table: Path, *, out: Path, protocol: str) -> None:
    """Import a CSV table with the column names of mdtree or of the published tables.

    \b
    Example:
      mdtree rows import published.csv --out rows.jsonl
    """
    _check_other(out, table, "is the table itself")
    imported = rows_from_csv(table, protocol=protocol)
    write_rows(out, imported.rows)
    say(f"{plural(len(imported.rows), 'row')} written to {printable(str(out))}")
    if imported.ignored:
        tell(f"columns left out: {printable(', '.join(imported.ignored))}")


def _check_other(out: Path, source: Path, what: str) -> None:
    if os.path.realpath(out) == os.path.realpath(source):  # Path.resolve fails for circles of links
        raise OutputError(f"{out} {what}: name another file with --out")
