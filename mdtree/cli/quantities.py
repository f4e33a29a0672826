"""`mdtree quantities`."""

from __future__ import annotations

import dataclasses
import json

import click

from mdtree.cli.screens import say
from mdtree.rows import FACTS, QUANTITIES, TEXT_FACTS

__all__ = ["command"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List the quantities and facts that mdtree knows and what they mean.

    \b
    Example:
      mdtree quantities
    """
    if as_json:
        quantities = [dataclasses.asdict(quantity) for quantity in QUANTITIES.values()]
        click.echo(
            json.dumps({"format": 1, "quantities": quantities, "facts": {**FACTS, **TEXT_FACTS}})
        )
        return
    for quantity in QUANTITIES.values():
        unit = f" [{quantity.unit}]" if quantity.unit else ""
        say(f"{quantity.name}{unit}: {quantity.meaning}")
        say(f"    low:  {quantity.low}")
        say(f"    high: {quantity.high}")
    say("\nfacts")
    for name, meaning in {**FACTS, **TEXT_FACTS}.items():
        say(f"    {name}: {meaning}")
