"""`mdtree schema`."""

from __future__ import annotations

import json
from typing import Any

import click

__all__ = ["command"]

_KINDS = ("recipe", "zoo", "rows", "diagnosis", "comparison", "confirmation")


@click.command()
@click.argument("kind", type=click.Choice(_KINDS))
def command(kind: str) -> None:
    """Print the JSON Schema of a file that mdtree reads or writes.

    \b
    recipe        mdtree.yaml and what --recipe names
    zoo           the config of `mdtree zoo train`
    rows          one line of rows.jsonl
    diagnosis     what `mdtree diagnose --json` prints
    comparison    what `mdtree compare --json` prints
    confirmation  what `mdtree confirm --json` prints, with --dry-run as well

    Written into the file recipe.schema.json, it lets an editor complete and check a recipe whose
    first line is `# yaml-language-server: $schema=recipe.schema.json`.

    \b
    Example:
      mdtree schema recipe
    """
    click.echo(json.dumps(_schema(kind), indent=2))


def _schema(kind: str) -> dict[str, Any]:
    from mdtree.diagnosis.serialization import comparison_schema, schema
    from mdtree.recipes import Recipe, Zoo
    from mdtree.rows import Row
    from mdtree.rows.schema import json_schema

    if kind == "diagnosis":
        return schema()
    if kind == "comparison":
        return comparison_schema()
    if kind == "confirmation":
        from mdtree.confirmation import confirmation_schema

        return confirmation_schema()
    return json_schema({"recipe": Recipe, "zoo": Zoo, "rows": Row}[kind])
