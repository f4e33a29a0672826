"""`mdtree checks`."""

from __future__ import annotations

import dataclasses
import json

import click

from mdtree.cli.check_options import complete_codes, known_codes
from mdtree.cli.options import joined
from mdtree.cli.screens import say

__all__ = ["command"]


@click.command()
@click.argument(
    "codes", metavar="[CODE]...", nargs=-1, callback=joined, shell_complete=complete_codes
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(codes: tuple[str, ...] | None, as_json: bool) -> None:
    """List what a diagnosis checks, or the checks of some codes.

    \b
    Examples:
      mdtree checks
      mdtree checks MD201 MD202
    """
    from mdtree.diagnosis import CHECKS

    wanted = known_codes(codes or (), "CODE")
    checks = [check for code, check in CHECKS.items() if not codes or code in wanted]
    if as_json:
        content = [dataclasses.asdict(check) for check in checks]
        click.echo(json.dumps({"format": 1, "checks": content}))
        return
    for check in checks:
        say(f"{check.code} {check.name} ({check.severity})")
        say(f"    found: {check.meaning}")
        say(f"    fine:  {check.fine}")
