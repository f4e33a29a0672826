"""`mdtree zoo`: train the networks of a grid, and label them by their room for improvement."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.executor_options import (
    executor_options,
    make_executor_config,
    max_failures,
    results_alone,
    share_of_work,
)
from mdtree.cli.group import Group
from mdtree.cli.loading import loading
from mdtree.cli.notices import rows_of_zoos
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import say, tell
from mdtree.cli.stop_signals import resumable
from mdtree.exceptions import OutputError, RowsError
from mdtree.messages import plural, printable, shortened
from mdtree.render.formatting import duration, estimated_duration
from mdtree.render.phases import labels_text, phase_text, phases
from mdtree.render.terminal import reason_text, table
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import SVG

if TYPE_CHECKING:
    from mdtree.recipes import Zoo
    from mdtree.zoo import Price

__all__ = ["command"]

_LONGEST = 500  # characters of names in one line


@click.group(cls=Group)
def command() -> None:
    """Train zoos of networks and label them.

    \b
    Example:
      mdtree zoo train configs/zoo-digits.yaml --out zoo
      mdtree measure zoo
      mdtree zoo label zoo
      mdtree fit zoo --out tree.json
    """


@command.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the zoo.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--trust", multiple=True, metavar="NAME", help="Allow this code to run.")
@executor_options
@max_failures
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print how many networks would be trained, and how long that takes for each value "
    "of the grid; each shape of network is timed twice, so the time is a range.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    config: Path,
    *,
    out: Path,
    device: str,
    trust: tuple[str, ...],
    max_failures: int | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train every network of a grid into a directory that `mdtree measure` can measure.

    A command that was stopped can be run again to resume. A run whose loss becomes NaN or infinite
    is recorded as diverged and has no weights; the others continue.

    \b
    Examples:
      mdtree zoo train configs/zoo-digits.yaml --out zoo --workers 2
      mdtree zoo train configs/zoo-digits.yaml --out zoo --dry-run
    """
    from mdtree.recipes import Trust, read_zoo

    with loading():
        from mdtree.runtime.device import pick_device
        from mdtree.zoo import names_to_trust, pending, prices, train_zoo

    zoo = read_zoo(config)
    folder = config.parent
    folders = (Path.cwd(), folder.resolve())
    trusted = Trust(names=frozenset(trust), any_factory=True, folders=folders)
    where: dict[str, Any] = {
        "folder": folder,
        "out": out,
        "trust": trusted,
        "device": pick_device(device, elsewhere=options["ray"] is not None),
    }
    if dry_run:
        todo, everyone = pending(zoo, **where)
        with Bar("timing") as bar:
            estimates = prices(todo, bar)
        workers = share_of_work(options)
        _print_prices(zoo, estimates, len(everyone), workers, as_json=as_json)
        return
    with resumable(), results_alone(options), Bar("training") as bar:
        executor = make_executor_config(options, where["device"])
        summary = train_zoo(
            zoo, **where, executor=executor, max_failures=max_failures, progress=bar
        )
    if as_json:
        click.echo(json.dumps({"format": 1, **asdict(summary), "out": str(summary.out)}))
    else:
        _print_trained(summary, names_to_trust(zoo))
    ctx.exit(1 if summary.failed or summary.diverged or summary.left else 0)


def _print_prices(
    zoo: Zoo, prices: Sequence[Price], members: int, workers: int, *, as_json: bool
) -> None:
    from mdtree.zoo import by_axis, total

    axes, time = by_axis(zoo, prices), total(prices) * (1 / workers)
    if as_json:
        content = {
            "format": 1,
            "members": [
                {
                    "member": price.member.name,
                    "steps": price.steps,
                    "items": price.items,
                    **asdict(price.time),
                }
                for price in prices
            ],
            "axes": [
                {
                    "axis": axis.axis,
                    "value": axis.value,
                    "groups": axis.groups,
                    "members": axis.members,
                    "steps": axis.steps,
                    "items": axis.items,
                    **asdict(axis.time),
                }
                for axis in axes
            ],
            **asdict(time),
        }
        click.echo(json.dumps(content))
        return
    rows = [
        [
            axis.axis,
            str(axis.value),
            f"{axis.groups:,}",
            f"{axis.members:,}",
            f"{axis.steps:,}",
            f"{axis.items:,}",
            duration(axis.time.seconds) if axis.members else "",
        ]
        for axis in axes
    ]
    if rows:
        header = ["axis", "value", "groups", "members", "steps", "items", "time on one worker"]
        say(table(header, rows) + "\n")
    groups = len({price.member.group for price in prices})
    estimate = estimated_duration(time.seconds, time.low, time.high) if prices else "no time"
    say(
        f"to train: {len(prices):,} of {plural(members, 'member')}, in {plural(groups, 'group')}; "
        f"{estimate} with {plural(workers, 'worker')}; nothing was written"
    )


def _print_trained(summary: Any, trusted: Sequence[str]) -> None:
    for name in summary.diverged:
        tell(f"diverged {printable(name)}: its loss became NaN or infinite")
    for name, reason in summary.failed.items():
        tell(reason_text("failed", name, reason))
    if summary.left:
        tell(
            f"{plural(summary.left, 'member')} not reached: too many failures. Run the same "
            "command again to resume.",
        )
    out = printable(str(summary.out))
    say(
        f"{plural(summary.groups, 'group')}: {summary.trained} members trained, "
        f"{summary.already} already there, {len(summary.diverged)} diverged, "
        f"{len(summary.failed)} failed; {duration(summary.seconds)} of training in all"
    )
    trust = "".join(f" --trust {printable(name)}" for name in trusted)
    say(f"measure them: mdtree measure {out}{trust}")


@command.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--protocol", help="Use only rows of this protocol.")
@click.option(
    "--margin", type=float, help="Points that count as noise.  [default: spread over seeds]"
)
@click.option(
    "--svg", type=click.Path(path_type=Path), help="Draw the phase diagrams into this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def label(
    rows: Path, *, protocol: str | None, margin: float | None, svg: Path | None, as_json: bool
) -> None:
    """Label each group of a measured zoo with its failure mode, from the grid alone.

    ROWS is the directory of a zoo, a file of rows, or a table. The mode of a group follows from
    the single change that gains most test accuracy, if it gains more than the noise between seeds.

    \b
    Examples:
      mdtree zoo label zoo
      mdtree zoo label rows.jsonl --svg phases.svg
    """
    from mdtree.labelling import label_rows
    from mdtree.render.phase_diagram import phase_svg
    from mdtree.rows import named_apart, one_protocol

    all_rows = named_apart(rows_of_zoos(rows, protocol, failed=True))
    zoo_rows = [row for row in all_rows if row.measured]
    left_out = [row.group for row in all_rows if not row.measured]
    if left_out:
        names = shortened(", ".join(map(printable, left_out)), _LONGEST)
        tell(f"left out, as nothing was measured (training diverged, or the group failed): {names}")
    if not zoo_rows:
        raise RowsError(f"{rows} has no measured rows")
    measured_by = one_protocol(zoo_rows)
    labels = label_rows(zoo_rows, margin=margin)
    groups = [row.group for row in zoo_rows]
    diagrams = phases(zoo_rows, labels)
    if svg is not None:
        _write_svg(svg, phase_svg(diagrams), rows)
    if as_json:
        content = [
            {
                "group": group,
                **asdict(label),
                "in_noise": label.in_noise,
                "plausible": label.plausible,
            }
            for group, label in zip(groups, labels, strict=True)
        ]
        share = sum(label.in_noise for label in labels) / len(labels)
        head = {"format": 1, "protocol": measured_by, "share_in_noise": share}
        click.echo(json.dumps({**head, "groups": content}))
        return
    say(f"{labels_text(groups, labels)}\n\n{phase_text(diagrams)}")
    if svg is not None:
        say(f"picture written to {printable(str(svg))}")


def _write_svg(svg: Path, text: str, rows: Path) -> None:
    if os.path.realpath(svg) in (os.path.realpath(rows), os.path.realpath(rows / "rows.jsonl")):
        raise OutputError(f"{svg} holds the rows themselves: name another file with --svg")
    with atomic_file(svg, advice="name another file with --svg", replaces=SVG) as file:
        file.write(text.encode())
