"""`mdtree adapt ROWS --tree T --out T2`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.notices import rows_of_zoos
from mdtree.cli.options import complete_trees
from mdtree.cli.screens import say, tell
from mdtree.messages import plural, printable
from mdtree.render.terminal import table
from mdtree.rows import PROTOCOLS

if TYPE_CHECKING:
    from mdtree.adaptation import Adaptation, AdaptationScores
    from mdtree.diagnosis import ChosenTree

__all__ = ["command"]


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option(
    "--tree",
    "tree_name",
    shell_complete=complete_trees,
    help="The tree to adapt: a file or a name from `tree list`.",
)
@click.option(
    "--protocol", type=click.Choice(list(PROTOCOLS)), help="Use only rows of this protocol."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The tree to write.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the folds and of all random draws.",
)
@click.option(
    "--allow-protocol-mismatch",
    is_flag=True,
    help="Adapt a tree of another protocol anyway; the result says so.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    rows: Path,
    *,
    tree_name: str | None,
    protocol: str | None,
    out: Path,
    seed: int,
    allow_protocol_mismatch: bool,
    as_json: bool,
) -> None:
    """Adapt a tree to your own labelled runs and check whether that made it better.

    The runs either form a grid, which labels them, or each has the fact `label`: the failure mode
    that you found. Each run is judged by the original tree and by one that has learnt from the
    other runs. The adapted tree is written either way.

    Runs of different zoos that have the same name are told apart by the fact `zoo`.

    \b
    Examples:
      mdtree adapt my-runs.jsonl --out mine.json
      mdtree adapt my-runs.csv --tree published-cifar10-resnet18-temperature --out mine.json
    """
    from mdtree.adaptation import adapt
    from mdtree.diagnosis import tree_for
    from mdtree.trees import write_tree

    own_rows = rows_of_zoos(rows, protocol)
    chosen = tree_for(own_rows, tree_name)
    if tree_name is not None:
        chosen = replace(chosen, name=Path(tree_name).name)
    adaptation = adapt(
        own_rows,
        chosen.saved,
        name=chosen.name,
        seed=seed,
        provenance={"own rows": rows.name},
        allow_protocol_mismatch=allow_protocol_mismatch,
    )
    write_tree(out, adaptation.tree)
    warning = adaptation.tree.provenance.get("WARNING")
    if warning:
        tell(printable(f"WARNING: {warning}"))
    if as_json:
        content = {**_plain(adaptation), "tree": chosen.name, "out": str(out), "warning": warning}
        click.echo(json.dumps(content))
        return
    say(printable(_text(chosen, adaptation, out), keep="\n"))


def _plain(adaptation: Adaptation) -> dict[str, Any]:
    return {
        "format": 1,
        "task": adaptation.tree.task,
        "groups": adaptation.groups,
        "folds": adaptation.folds,
        "before": asdict(adaptation.before),
        "after": asdict(adaptation.after),
        "gain": {"log_loss": adaptation.gain, "low": adaptation.low, "high": adaptation.high},
        "chance": adaptation.chance,
        "better": adaptation.better,
        "says": adaptation.says,
        "notes": list(adaptation.notes),
        "judged": [asdict(comparison) for comparison in adaptation.judged],
    }


def _text(chosen: ChosenTree, adaptation: Adaptation, out: Path) -> str:
    saved = chosen.saved
    details = f"{saved.method}, {saved.task}, protocol {saved.protocol}"
    labels = Counter(comparison.answer for comparison in adaptation.judged)
    label_counts = ", ".join(f"{count} {label}" for label, count in sorted(labels.items()))
    folds = (
        "each left out once"
        if adaptation.folds == adaptation.groups
        else f"{adaptation.folds} folds"
    )
    lines = [
        f"tree: {chosen.name} ({details}, {plural(saved.groups, 'group')}): {chosen.why}",
        f"your runs: {plural(adaptation.groups, 'group')} ({label_counts}), {folds}",
        *(f"note: {note}" for note in adaptation.notes),
        "",
        table(
            ["judged by a tree that", "accuracy", "log_loss", "brier"],
            [
                ["was fitted without your runs", *_numbers(adaptation.before)],
                ["has learnt from the others", *_numbers(adaptation.after)],
            ],
        ),
        "",
        adaptation.says,
        f"{out}: {chosen.name}, adapted to all {adaptation.groups} groups",
    ]
    return "\n".join(lines)


def _numbers(scores: AdaptationScores) -> list[str]:
    return [f"{scores.accuracy:.1f}", f"{scores.log_loss:.3f}", f"{scores.brier:.3f}"]
