"""Options that commands share: those of verdicts, lists of names, and what shells complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click import Context, Parameter

from mdtree.failure_modes import CONFIDENCE

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "complete_listed",
    "complete_metrics",
    "complete_modes",
    "complete_path",
    "complete_quantities",
    "complete_trees",
    "joined",
    "judging",
]

# metrics; the table of them needs torch, which takes a second
_WITHOUT_QUANTITIES = ("layers", "surface")


def complete_path(incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file or a directory."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def complete_trees(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the trees that come with mdtree; where none begins like this, files."""
    from click.shell_completion import CompletionItem

    from mdtree.trees.bundled import tree_names

    names = [name for name in tree_names() if name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or complete_path(incomplete)


def complete_metrics(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return metrics; several are separated by commas."""
    from mdtree.rows import QUANTITIES

    known = dict.fromkeys(quantity.metric for quantity in QUANTITIES.values())
    return complete_listed((*known, *_WITHOUT_QUANTITIES), incomplete)


def complete_quantities(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return quantities that are measured; several are separated by commas."""
    from mdtree.rows import QUANTITIES

    known = (name for name, quantity in QUANTITIES.items() if quantity.metric)
    return complete_listed(known, incomplete)


def complete_modes(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return verdicts; several are separated by commas."""
    from mdtree.diagnosis import UNSURE
    from mdtree.failure_modes import FAILURE_MODES

    return complete_listed((*FAILURE_MODES, UNSURE), incomplete)


def complete_listed(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Complete the last name of a list, which names no name twice."""
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    there = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in names
        if name.startswith(last) and name not in there
    ]


def joined(
    _ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the names of all uses of an option, each once; None if it was not used."""
    if not texts:
        return None
    names = (name.strip() for text in texts for name in text.split(","))
    known = tuple(dict.fromkeys(name for name in names if name))
    if not known:
        raise click.BadParameter("it names nothing: leave the option out, or name something")
    return known


_OPTIONS_OF_VERDICTS = (
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
    for option in reversed(_OPTIONS_OF_VERDICTS):
        command = option(command)
    return command
