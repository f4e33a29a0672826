"""What a shell completes behind an option besides files: trees, metrics, verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from click import Context, Parameter
from click.shell_completion import CompletionItem

from mdtree.rows import QUANTITIES

__all__ = [
    "complete_listed",
    "complete_metrics",
    "complete_modes",
    "complete_path",
    "complete_quantities",
    "complete_trees",
]

# metrics; the table of them needs torch, which takes a second
_WITHOUT_QUANTITIES = ("layers", "surface")


def complete_path(incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file or a directory."""
    return [CompletionItem(incomplete, type="file")]


def complete_trees(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the trees that come with mdtree; where none begins like this, files."""
    from mdtree.trees.bundled import tree_names

    names = [name for name in tree_names() if name.startswith(incomplete)]
    return [CompletionItem(name) for name in names] or complete_path(incomplete)


def complete_metrics(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return metrics; several are separated by commas."""
    known = dict.fromkeys(quantity.metric for quantity in QUANTITIES.values())
    return complete_listed((*known, *_WITHOUT_QUANTITIES), incomplete)


def complete_quantities(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return quantities that are measured; several are separated by commas."""
    known = (name for name, quantity in QUANTITIES.items() if quantity.metric)
    return complete_listed(known, incomplete)


def complete_modes(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return verdicts; several are separated by commas."""
    from mdtree.diagnosis import UNSURE
    from mdtree.failure_modes import FAILURE_MODES

    return complete_listed((*FAILURE_MODES, UNSURE), incomplete)


def complete_listed(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Complete the last name of a list, which names no name twice."""
    before, comma, last = incomplete.rpartition(",")
    there = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in names
        if name.startswith(last) and name not in there
    ]
