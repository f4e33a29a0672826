"""`mdtree compare BEFORE AFTER`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mdtree.cli.measuring_options import protocol_option
from mdtree.cli.notices import tell_of_cut_line
from mdtree.cli.options import judging
from mdtree.cli.output import WHOLE, print_comparisons
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import tell
from mdtree.exceptions import MdtreeError
from mdtree.messages import printable
from mdtree.render.terminal import paragraph, reason_text
from mdtree.rows import load_rows, of_protocol

if TYPE_CHECKING:
    from mdtree.diagnosis import Compared

__all__ = ["command"]


@click.command(short_help="Compare measurements before and after a change.")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--group-before", metavar="NAME", help="The group in BEFORE.")
@click.option("--group-after", metavar="NAME", help="The group in AFTER.")
@judging
@protocol_option("Of files with rows of several protocols, take those of this one.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a page, before and after side by side, as one self-contained file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for pull requests.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    before: Path,
    after: Path,
    *,
    group_before: str | None,
    group_after: str | None,
    tree_name: str | None,
    confidence: float | None,
    protocol: str,
    allow_protocol_mismatch: bool,
    html: Path | None,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Tell whether a change helped: the measurements in BEFORE against those in AFTER.

    Both are files of rows, tables, or measured directories. A side with one group needs no name;
    two sides with the same names of groups are compared name by name.

    The facts that changed are the change that was made. What the diagnosis of BEFORE expected from
    it is compared with what it gained, and each quantity with the noise between checkpoints.
    Whether it helped is decided by the test error alone, whatever else was measured.

    \b
    Examples:
      mdtree compare runs-1/ runs-2/
      mdtree compare before.jsonl after.jsonl --markdown
      mdtree compare runs-1/ runs-2/ --html report.html
      mdtree compare rows.jsonl rows.jsonl --group-before cold --group-after warm
      mdtree compare before.jsonl after.jsonl --json
    """
    from mdtree.diagnosis import compare_groups, pairs_of, places_of

    if as_markdown and as_json:
        raise MdtreeError("--markdown and --json both print the comparison: name one of them")
    for path in dict.fromkeys((before, after)):
        tell_of_cut_line(path)
    sides = [of_protocol(load_rows(path, failed=True), protocol) for path in (before, after)]
    with Bar("comparing") as bar:
        compared = compare_groups(
            pairs_of(*sides, group_before=group_before, group_after=group_after),
            tree=tree_name,
            confidence=confidence,
            allow_protocol_mismatch=allow_protocol_mismatch,
            places=places_of(before, after),
            progress=bar,
        )
    if html is not None:
        from mdtree.render.comparison import write_comparison_page

        write_comparison_page(html, compared)
    if as_json:
        _print_json(compared)
    elif as_markdown:
        _print_markdown(compared)
    else:
        print_comparisons(
            compared.comparisons,
            how_to_see_one="add --group-before NAME --group-after NAME",
        )
    if compared.unchanged:
        names = paragraph(", ".join(map(printable, compared.unchanged)))
        tell(f"the same rows before and after, left out: {names}")
    for group, reason in compared.failures.items():
        tell(reason_text("failed", group, reason))
    ctx.exit(1 if compared.failures else 0)


def _print_json(compared: Compared) -> None:
    from mdtree.diagnosis import comparisons_to_plain_data

    click.echo(json.dumps(comparisons_to_plain_data(compared)))


def _print_markdown(compared: Compared) -> None:
    from mdtree.render.comparison import comparisons_markdown

    click.echo(comparisons_markdown(compared.comparisons, most=WHOLE, failures=compared.failures))
