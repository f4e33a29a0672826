"""`mdtree fit ROWS`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mdtree.cli.notices import rows_of_zoos
from mdtree.cli.screens import say, tell
from mdtree.failure_modes import TASKS
from mdtree.fit_methods import FIT_METHODS
from mdtree.messages import plural, printable
from mdtree.rows import PROTOCOLS

__all__ = ["command"]


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option(
    "--task",
    type=click.Choice(list(TASKS)),
    default="failure",
    show_default=True,
    help="The question that the tree answers.",
)
@click.option(
    "--tree",
    "method",
    type=click.Choice(list(FIT_METHODS)),
    help="; ".join(f"{name} ({meaning})" for name, meaning in FIT_METHODS.items())
    + ".  [default: posterior for paper-1, else grown]",
)
@click.option(
    "--facts",
    is_flag=True,
    help="Let the tree use facts: parameter count and data amount; for `gains` also learning rate, "
    "batch size and steps.",
)
@click.option(
    "--prior", type=click.Path(path_type=Path), help="An earlier posterior to start from."
)
@click.option(
    "--protocol", type=click.Choice(list(PROTOCOLS)), help="Use only rows of this protocol."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The tree to write.")
@click.option(
    "--allow-protocol-mismatch",
    is_flag=True,
    help="Mix rows of different protocols anyway; the result says so.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    rows: Path,
    *,
    task: str,
    method: str | None,
    facts: bool,
    prior: Path | None,
    protocol: str | None,
    out: Path,
    allow_protocol_mismatch: bool,
    as_json: bool,
) -> None:
    """Fit a tree to the rows of a zoo: a file of rows, a CSV table, or a measured directory.

    The grid labels the rows by their room for improvement: the test accuracy that one change alone
    would gain. A temperature that is too LOW means a batch that is too LARGE.

    A row with the fact `label` (a failure mode) keeps that label, so ten of your own runs can
    update a tree (--prior) even if they do not form a grid.

    Several zoos in one file are told apart by the fact `zoo`; without it, the later of two groups
    with the same name replaces the earlier, and the command says so.

    \b
    Examples:
      mdtree fit rows.jsonl --out tree.json
      mdtree fit zoos.jsonl --tree gains --out tree.json
      mdtree fit rows.jsonl --task temperature --tree mdtree --out published.json
      mdtree fit my-runs.jsonl --task temperature --prior tree.json --out mine.json
    """
    from mdtree.render.tree import tree_text
    from mdtree.trees import write_tree
    from mdtree.trees.bundled import find_tree
    from mdtree.trees.fit import fit_tree

    saved = fit_tree(
        rows_of_zoos(rows, protocol),
        task=task,
        method=method,
        facts=facts,
        prior=None if prior is None else find_tree(str(prior)),
        provenance={"rows": rows.name}
        if prior is None
        else {"rows": rows.name, "prior": prior.name},
        allow_protocol_mismatch=allow_protocol_mismatch,
    )
    write_tree(out, saved)
    warning = saved.provenance.get("WARNING")
    if warning:
        tell(printable(f"WARNING: {warning}"))
    if as_json:
        content = {"format": 1, "out": str(out), "task": task, "groups": saved.groups}
        click.echo(json.dumps({**content, "warning": warning}))
        return
    say(tree_text(saved.tree))
    say(f"\n{saved.method} tree for task {task}, from {plural(saved.groups, 'group')}: {out}")
