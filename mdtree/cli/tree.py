"""`mdtree tree show | list`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mdtree.cli.group import Group
from mdtree.cli.options import complete_trees
from mdtree.cli.screens import say
from mdtree.messages import plural, printable
from mdtree.render.terminal import table
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import SVG

__all__ = ["command"]


@click.group(cls=Group)
def command() -> None:
    """Show trees.

    \b
    Examples:
      mdtree tree list
      mdtree tree show tree.json --svg tree.svg
    """


@command.command()
@click.argument("tree", shell_complete=complete_trees)
@click.option("--svg", type=click.Path(path_type=Path), help="Also draw the tree into this file.")
def show(tree: str, *, svg: Path | None) -> None:
    """Print a tree: a file or a name from `tree list`.

    \b
    Examples:
      mdtree tree show tree.json
      mdtree tree show published-cifar10-resnet18 --svg tree.svg
    """
    from mdtree.failure_modes import TASKS
    from mdtree.render.tree import tree_svg, tree_text
    from mdtree.trees.bundled import find_tree

    saved = find_tree(tree)
    meaning = TASKS[saved.task].meaning if saved.task in TASKS else ""
    say(printable(f"{saved.task}: {meaning}"))
    say(
        printable(
            f"{saved.method}, protocol {saved.protocol}, fitted on {plural(saved.groups, 'group')}"
        )
    )
    if saved.components:
        say("the most probable tree (predictions average over all plausible ones):")
    click.echo()
    say(printable(tree_text(saved.tree), keep="\n"))
    for key, value in saved.provenance.items():
        say(printable(f"{key}: {value}"))
    if svg is not None:
        with atomic_file(svg, advice="name another file with --svg", replaces=SVG) as file:
            file.write(tree_svg(saved.tree).encode())


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the trees that come with mdtree.

    \b
    Example:
      mdtree tree list
    """
    from mdtree.trees.bundled import shipped_trees

    trees = shipped_trees()
    if as_json:
        content = [
            {
                "name": n,
                "task": t.task,
                "protocol": t.protocol,
                "groups": t.groups,
                "accuracy": t.provenance.get("accuracy"),
                "data": t.provenance.get("data"),
            }
            for n, t in trees.items()
        ]
        click.echo(json.dumps({"format": 1, "trees": content}))
        return
    lines = [
        [
            n,
            t.task,
            t.method,
            t.protocol,
            str(t.groups),
            t.provenance.get("accuracy", "").split(" (")[0],
        ]
        for n, t in trees.items()
    ]
    say(table(["name", "task", "method", "protocol", "groups", "accuracy"], lines))
    say("\naccuracy: on groups whose grid cell (width, data amount) was left out of the fit")
    for data in dict.fromkeys(t.provenance.get("data", "") for t in trees.values()):
        names = [n for n, t in trees.items() if t.provenance.get("data", "") == data]
        say(printable(f"{min(names, key=len)}: {data}"))
