"""`mdtree confirm DIR`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mdtree.cli.loading import loading
from mdtree.cli.measuring_options import protocol_option
from mdtree.cli.options import complete_metrics, joined, judging
from mdtree.cli.output import print_comparisons
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import say, tell
from mdtree.cli.stop_signals import resumable
from mdtree.failure_modes import REMEDIES
from mdtree.messages import plural, printable
from mdtree.render.formatting import duration, estimated_duration, points
from mdtree.render.terminal import paragraph, reason_text, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mdtree.confirmation import Confirmation, ConfirmationPlan, Confirmed
    from mdtree.zoo import Price

__all__ = ["command"]


@click.command(short_help="Train the one change that a verdict advises and tell what it gains.")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--group", "groups", multiple=True, metavar="NAME", help="Confirm only this group.")
@click.option(
    "--remedy",
    type=click.Choice(list(REMEDIES)),
    help="The change to try.  [default: that of the verdict]",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Networks to train with the change; with a third one, small gains stand clear.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop training after this time; the same command resumes.  [default: no limit]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the changed networks and the rows.  [default: DIRECTORY-confirm]",
)
@click.option(
    "--rows",
    "rows_path",
    type=click.Path(path_type=Path),
    help="The measurements.  [default: rows.jsonl in the directory]",
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="A recipe with `training`.  [default: zoo.yaml or mdtree.yaml in the directory]",
)
@click.option(
    "--metrics",
    multiple=True,
    callback=joined,
    metavar="NAMES",
    shell_complete=complete_metrics,
    help="Metrics of the changed networks, separated by commas.  [default: error_rate]",
)
@judging
@protocol_option("How to measure, and whose rows to take.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of measuring and resampling.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--workers", type=click.IntRange(min=1), help="Networks to train at the same time.")
@click.option("--trust", multiple=True, metavar="NAME", help="Allow this code to run.")
@click.option("--dry-run", is_flag=True, help="Show what would be trained and what it would cost.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    directory: Path,
    *,
    groups: tuple[str, ...],
    remedy: str | None,
    seeds: int,
    minutes: float | None,
    out: Path | None,
    rows_path: Path | None,
    recipe: Path | None,
    metrics: tuple[str, ...],
    tree_name: str | None,
    confidence: float | None,
    protocol: str,
    allow_protocol_mismatch: bool,
    seed: int,
    device: str,
    workers: int | None,
    trust: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the one change that a verdict advises, and compare its real gain with the promise.

    DIRECTORY was trained by `mdtree zoo train` (or `mdtree demo`), or holds a recipe with
    `training`, and was measured. Each group whose verdict advises a change is trained again with
    that change alone. The error rates before and after are compared as by `mdtree compare`.

    What is trained already is not trained again: a command that was stopped can be run again to
    resume.

    \b
    Examples:
      mdtree confirm zoo --dry-run
      mdtree confirm zoo --group width-2_batch_size-512 --minutes 10
      mdtree confirm mdtree-demo/temperature_low --seeds 3
      mdtree confirm zoo --group width-2_batch_size-8 --remedy enlarge_model
    """
    with loading():
        from mdtree import confirmation

    settings = confirmation.ConfirmationSettings(
        directory=directory,
        out=out,
        rows_path=rows_path,
        groups=groups,
        remedy=remedy,
        seeds=seeds,
        minutes=minutes,
        recipe=recipe,
        metrics=metrics or confirmation.ConfirmationSettings.metrics,
        tree=tree_name,
        confidence=confidence,
        allow_protocol_mismatch=allow_protocol_mismatch,
        protocol=protocol,
        seed=seed,
        device=device,
        trust=trust,
        workers=workers,
    )
    plan = confirmation.plan_changes(settings)
    if dry_run:
        with Bar("timing") as bar:
            prices = confirmation.dry_run(plan, bar)
        _print_plan(plan, prices, workers or 1, as_json=as_json)
        _tell(skipped=plan.skipped, failed=plan.failures)
        ctx.exit(1 if plan.failures else 0)
    with resumable(), Bar("training") as bar:
        found = confirmation.confirm(plan, progress=bar)
    if as_json:
        click.echo(json.dumps(confirmation.confirmation_to_plain_data(found)))
    elif found.confirmed:
        _print(found)
    _tell(skipped=found.skipped, failed=found.failures, left=found.left)
    ctx.exit(1 if found.failures or found.left else 0)


def _print_plan(
    plan: ConfirmationPlan, prices: Sequence[Price], workers: int, *, as_json: bool
) -> None:
    from mdtree.confirmation import plan_to_plain_data
    from mdtree.zoo import total

    content = plan_to_plain_data(plan, prices)
    if as_json:
        click.echo(json.dumps(content))
        return
    header = [
        "group",
        "verdict",
        "change",
        "promised",
        "to train",
        "steps",
        "items",
        "time on one worker",
    ]
    rows = [
        [
            each["before"],
            each["verdict"],
            f"{each['fact']} {each['old']:.10g} -> {each['new']:.10g}",
            "" if planned.promised is None else points(planned.promised),
            f"{each['to_train']} of {each['members']}",
            f"{each['steps']:,}",
            f"{each['items']:,}",
            duration(each["seconds"]) if each["to_train"] else "",
        ]
        for each, planned in zip(content["groups"], plan.changes, strict=True)
    ]
    say(table(header, rows))
    for each in content["groups"]:
        for note in each["notes"]:
            say(f"note: {printable(each['before'])}: {paragraph(note)}")
    time = total(prices) * (1 / workers)
    estimate = estimated_duration(time.seconds, time.low, time.high) if prices else "no time"
    say(
        f"\nto train: {plural(len(prices), 'network')}, {estimate} with "
        f"{plural(workers, 'worker')}; then their error rates are measured; nothing was written"
    )


def _print(found: Confirmation) -> None:
    print_comparisons(
        found.compared.comparisons, how_to_see_one="name one with --group: nothing is trained anew"
    )
    say("")
    for each in found.confirmed:
        say(printable(_trained(each)))
    say(f"before and after, as rows: {printable(found.rows)}")
    _print_lesson(found)


def _trained(each: Confirmed) -> str:
    change = each.change
    diverged = f", {len(change.diverged)} diverged" if change.diverged else ""
    learnt = (
        f"labelled {change.label}"
        if change.label is not None
        else f"not labelled: {change.why_no_label}"
    )
    return (
        f"{change.before}: {plural(change.trained, 'network')} trained, {change.already} already "
        f"there{diverged}, in {change.folder}; {learnt}"
    )


def _print_lesson(found: Confirmation) -> None:
    """Print how a tree learns from what was confirmed."""
    if found.labelled is not None:
        rows = plural(found.labels, "group")
        say(f"{rows} with a label, for `mdtree adapt`: {printable(found.labelled)}")
    if found.learn is not None:
        say(f"to teach {printable(found.tree or 'a tree')}: {printable(found.learn)}")
    if found.why_not is not None:
        start = "note" if found.learn is not None else "nothing to teach a tree yet"
        say(f"{start}: {paragraph(found.why_not)}")


def _tell(
    *,
    skipped: Mapping[str, str],
    failed: Mapping[str, str],
    left: Mapping[str, str] | None = None,
) -> None:
    kinds = {"skipped": skipped, "failed": failed, "not finished": left or {}}
    for kind, reasons in kinds.items():
        for group, reason in reasons.items():
            tell(reason_text(kind, group, reason))
