"""The options of commands that give verdicts: which tree, how sure, of which protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mdtree.cli.completion import complete_trees
from mdtree.failure_modes import CONFIDENCE

__all__ = ["judging"]

_OPTIONS = (
    click.option(
        "--tree",
        "tree_name",
        shell_complete=complete_trees,
        help="The tree of the verdicts: a file or a name from `tree list`.",
    ),
    click.option(
        "--confidence",
        type=click.FloatRange(0, 1),
        help=f"Below this probability a verdict is `unsure`.  [default: {CONFIDENCE}]",
    ),
    click.option(
        "--allow-protocol-mismatch",
        is_flag=True,
        help="Use a tree of another protocol anyway; the verdict says so.",
    ),
)


def judging(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of verdicts to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
