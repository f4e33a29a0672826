"""`mdtree plot ROWS`: one picture as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mdtree.cli.notices import tell_of_cut_line
from mdtree.cli.screens import print_xml, say, tell
from mdtree.exceptions import MdtreeError, RowsError
from mdtree.messages import listed, nearest, printable
from mdtree.render.picture_file import KINDS, picture_svg
from mdtree.render.pictures import PICTURES, imprecision
from mdtree.rows import PROTOCOLS, Row, load_rows
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import PNG, SVG

__all__ = ["command"]

_PRINTED = Path("-")
_PNG = ".png"
_OTHER_FORMATS = (".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".eps", ".ps", ".tif", ".tiff")
_MOST_NAMES = 10  # that an error lists


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--group", metavar="NAME", help="The group, if there are several.")
@click.option(
    "--what",
    type=click.Choice(KINDS),
    required=True,
    help="The picture.",
)
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    help="The protocol, if the group was measured under several.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=_PRINTED,
    help="The SVG file to write, or PNG with the extra `png`; - prints SVG.  [default: print it]",
)
def command(rows: Path, *, group: str | None, what: str, protocol: str | None, out: Path) -> None:
    """Draw one picture of a group, as the page of a diagnosis shows it, into an SVG or PNG file.

    ROWS is a file of rows or a measured directory.

    \b
    surface, surface-error   loss or error on a plane through the networks (metric surface)
    profile, profile-loss    error or loss along the curve between two networks (connectivity)
    density                  spectral density of the Hessian (hessian)
    flow                     exponents of the spectra over the layers (spectrum)
    cka, layers              similarity of the networks (similarity) or of their layers (layers)
    history                  the loss over the steps of a run (measured with --steps all)

    \b
    Examples:
      mdtree plot rows.jsonl --group wide --what surface --out wide.svg
      mdtree plot runs/ --what density --out density.svg
      mdtree plot runs/ --what profile --out profile.png
    """
    if out.suffix.lower() in _OTHER_FORMATS:
        raise MdtreeError(
            f"{out} would be {out.suffix[1:].upper()}, but what is written is SVG or PNG: name "
            "a file that ends in .svg or .png; browsers, Inkscape and word processors convert it"
        )
    tell_of_cut_line(rows)
    known = load_rows(rows, protocol=protocol)
    chosen = _chosen(known, group, rows)
    svg = picture_svg(chosen, what, known)
    for imprecise in (imprecision(chosen, each.metric) for each in PICTURES if each.name == what):
        if imprecise is not None:
            tell(f"note: {imprecise}")
    if out == _PRINTED:
        print_xml(svg)
        return
    content, kind = svg.encode(), SVG
    if out.suffix.lower() == _PNG:
        from mdtree.render.png import png_bytes

        content, kind = png_bytes(svg), PNG
    with atomic_file(out, replaces=kind) as file:
        file.write(content)
    say(f"picture written to {printable(str(out))}")


def _chosen(rows: Sequence[Row], group: str | None, path: Path) -> Row:
    """Return the row of a group."""
    names = list(dict.fromkeys(row.group for row in rows))
    known = listed([f"{name:.100}" for name in names], most=_MOST_NAMES)
    if group is None and len(names) > 1:
        raise RowsError(f"{path} has {len(names):,} groups: name one with --group ({known})")
    chosen = [row for row in rows if group in (None, row.group)]
    if not chosen:
        raise RowsError(
            f"{path} has no measured group {group!r:.100}{nearest(group or '', names)} "
            f"(known: {known})"
        )
    if len(chosen) > 1:
        protocols = ", ".join(row.protocol for row in chosen)
        raise RowsError(
            f"group {chosen[0].group!r:.100} was measured under several protocols ({protocols}): "
            "name one with --protocol"
        )
    return chosen[0]
