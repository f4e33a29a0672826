"""`mdtree rows show | export | import`."""

from __future__ import annotations

from pathlib import Path

import click

from mdtree.cli.summary import rows_table
from mdtree.cli.text import plural, printable
from mdtree.exceptions import OutputError
from mdtree.measurements import PROTOCOLS, read_rows, rows_from_csv, rows_to_csv, write_rows

__all__ = ["command"]


@click.group()
def command() -> None:
    """Show, export and import measurements.

    \b
    Examples:
      mdtree rows show rows.jsonl
      mdtree rows export rows.jsonl --out table.csv
      mdtree rows import published.csv --out rows.jsonl
    """


@command.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Show every row, not the first 40.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON Lines.")
def show(rows: Path, *, everything: bool, as_json: bool) -> None:
    """Print a file of measurements as a table.

    \b
    Example:
      mdtree rows show rows.jsonl
    """
    from mdtree.measurements.row import row_to_json

    found = read_rows(rows)
    if as_json:
        for row in found:
            click.echo(row_to_json(row).decode())
        return
    click.echo(rows_table(found, limit=None if everything else 40))


@command.command("export")
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The table; without it, the terminal.")
def export(rows: Path, *, out: Path | None) -> None:
    """Write measurements as a CSV table, one line for each group.

    \b
    Example:
      mdtree rows export rows.jsonl --out table.csv
    """
    text = rows_to_csv(read_rows(rows))
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error


@command.command("import")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The rows to write.")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="paper-1",
    show_default=True,
    help="How the numbers were measured, unless the table has a column that says it.",
)
def import_(table: Path, *, out: Path, protocol: str) -> None:
    """Read a CSV table with our column names or those of the published tables.

    \b
    Example:
      mdtree rows import published.csv --out rows.jsonl
    """
    if out.resolve() == table.resolve():
        raise OutputError(f"{out} is the table itself: name another file with --out")
    imported = rows_from_csv(table, protocol=protocol)
    write_rows(out, imported.rows)
    click.echo(f"{plural(len(imported.rows), 'row')} written to {printable(str(out))}")
    if imported.ignored:
        click.echo(f"columns left out: {printable(', '.join(imported.ignored))}", err=True)
