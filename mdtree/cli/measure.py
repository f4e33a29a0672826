"""`mdtree measure DIR`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from mdtree.cli.executor_options import (
    make_executor_config,
    max_failures,
    results_alone,
    share_of_work,
)
from mdtree.cli.loading import loading
from mdtree.cli.measuring_options import MEASURED, make_request, measuring
from mdtree.cli.notices import FoundPrinter
from mdtree.cli.options import complete_metrics, complete_quantities, joined
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import say, tell
from mdtree.cli.stop_signals import resumable
from mdtree.messages import plural, printable
from mdtree.recipes import words
from mdtree.render.formatting import duration
from mdtree.render.rows_table import SHOWN, row_text, rows_table
from mdtree.render.terminal import reason_text, table
from mdtree.render.trajectory_text import trajectory_text
from mdtree.rows import STEP_DETAIL, Row, open_rows, rows_file

__all__ = ["command"]


@click.command(short_help="Measure the checkpoints in a directory.")
@click.argument("directories", metavar="DIRECTORY...", type=MEASURED, nargs=-1, required=True)
@measuring
@click.option("--group", "groups", multiple=True, metavar="NAME", help="Measure only this group.")
@click.option(
    "--metrics",
    multiple=True,
    callback=joined,
    metavar="NAMES",
    shell_complete=complete_metrics,
    help="Metrics, separated by commas.  [default: the usual ones]",
)
@click.option(
    "--quantities",
    multiple=True,
    callback=joined,
    metavar="NAMES",
    shell_complete=complete_quantities,
    help="Only these quantities of the metrics, separated by commas.  [default: all]",
)
@click.option("--fork", is_flag=True, help="Also train two short continuations and compare them.")
@click.option("--layers", is_flag=True, help="Also compare the networks layer by layer.")
@click.option("--surface", is_flag=True, help="Also measure the loss on a plane, for a picture.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File for the measurements.  [default: rows.jsonl in the directory]",
)
@max_failures
@click.option("--dry-run", is_flag=True, help="Show what would be measured and what it would cost.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    directories: tuple[str | Path, ...],
    *,
    groups: tuple[str, ...],
    out: Path | None,
    max_failures: int | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure every group of checkpoints in DIRECTORY and write one row for each.

    A group is a folder of weights files that differ by seed only; equal files are counted once.
    Of the checkpoints that one run saved at several steps (epoch_1, epoch_2; checkpoint-500;
    best, last), the last is measured, or those of --steps. Several directories are runs of one
    configuration with different seeds: one group. What trainers write beside the weights (learning
    rate, batch size, steps) is read as facts.

    Rows whose weights, recipe and data have not changed are kept: run the same command again to
    resume. DIRECTORY may be the address of an object storage, whose files are fetched where they
    are measured.

    \b
    Examples:
      mdtree measure runs/
      mdtree measure runs/ --recipe cifar.yaml --workers 4 --out rows.jsonl
      mdtree measure out/ --data train.npz --data-arg test=test.npz --steps all
      mdtree measure run-1/ run-2/ --recipe cifar.yaml
      mdtree measure seeds/ --model resnet18 --model-arg width=8 --data train.npz
      mdtree measure one.pt --recipe r.yaml --fork --surface
      mdtree measure s3://bucket/runs --recipe r.yaml --out rows.jsonl
      mdtree measure zoo/ --ray auto --timeout-per-group 3600 --max-failures 20
      mdtree measure runs/ --metrics hessian --quantities hessian_top
      mdtree measure runs/ --protocol paper-1 --dry-run
    """
    with loading():
        from mdtree import measurement

    request = make_request(
        directories,
        options,
        metrics=_metrics(options),
        quantities=tuple(options["quantities"] or ()),
        groups=groups,
        facts=words(options["facts"]),
    )
    target = rows_file(directories[0], out, directories[1:])
    if dry_run:
        run = measurement.dry_run(request, out=target)
        tell = FoundPrinter()
        for item in run.planned:
            if item.pending:
                tell(item.task)
        _print_plan(run, share_of_work(options), as_json)
        ctx.exit(1 if any(item.fault is not None for item in run.planned) else 0)
    with resumable(), results_alone(options), Bar("measuring") as bar:
        summary = measurement.measure(
            request,
            out=target,
            executor=make_executor_config(options, request.device, shared=request.storage is None),
            max_failures=max_failures,
            progress=bar,
            found=FoundPrinter(),
        )
    _print_summary(summary, as_json)
    if options["steps"] is not None and not as_json:
        _print_trajectories(summary)
    ctx.exit(1 if summary.failed or summary.left else 0)


def _metrics(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the metrics: those that are named or the usual ones, plus what flags add."""
    from mdtree.measurement import check_metrics, check_quantities

    flags = tuple(name for name in ("fork", "layers", "surface") if options[name])
    if options["quantities"]:
        metrics, _ = check_quantities(options["quantities"], options["metrics"] or ())
    else:
        metrics = check_metrics(options["metrics"] or ())
    return check_metrics(metrics + flags)


def _print_plan(run: Any, workers: int, as_json: bool) -> None:
    costs = {cost.group: cost for cost in run.costs}
    seconds = sum(cost.seconds for cost in run.costs) / workers
    passes = sum(cost.passes for cost in run.costs)
    if as_json:
        groups = [
            {
                "group": item.task.group,
                "checkpoints": item.members,
                "state": item.shown_state,
                "metrics": list(item.task.metrics),
                "forward_passes": costs[item.task.group].passes if item.task.group in costs else 0,
                "seconds": costs[item.task.group].seconds if item.task.group in costs else 0,
                "copies": dict(item.copies),
                "fault": item.fault,
            }
            for item in run.planned
        ]
        total = {"forward_passes": passes, "seconds": seconds}
        click.echo(json.dumps({"format": 1, "groups": groups, "total": total}))
        return
    lines = [
        [
            item.task.group,
            str(len(item.members)),
            item.shown_state if item.fault is None else "will fail",
            f"{costs[item.task.group].passes:,.0f}" if item.task.group in costs else "",
            duration(costs[item.task.group].seconds) if item.task.group in costs else "",
        ]
        for item in run.planned
    ]
    say(table(["group", "checkpoints", "state", "forward passes", "time"], lines))
    for item in run.planned:
        if item.fault is not None:
            tell(reason_text("will fail", item.task.group, item.fault))
    say(
        f"\nto measure: {plural(len(run.costs), 'group')}, {passes:,.0f} forward passes, "
        f"estimated time {duration(seconds)} with {plural(workers, 'worker')}; nothing was written"
    )


def _print_summary(summary: Any, as_json: bool) -> None:
    groups = set(summary.groups)
    rows = (
        row
        for row in open_rows(summary.out)
        if row.group in groups and row.protocol == summary.protocol
    )
    if as_json:
        _print_json(summary, rows)
        return
    say(rows_table(list(islice(rows, SHOWN)), explained=summary.failed))
    out = printable(str(summary.out))
    if next(rows, None) is not None:
        say(f"... and more: mdtree rows show {out} --all")
    for group, reason in summary.failed.items():
        tell(reason_text("failed", group, reason))
    for line in summary.damaged:
        tell(
            f"line {line.line} was not a row ({printable(line.reason)}) and was moved to "
            f"{out}.damaged",
        )
    if summary.kept:
        tell(
            f"{plural(len(summary.kept), 'group')} measured before with other settings: the "
            f"earlier rows also stay in {out}, for quantities that were not measured this time",
        )
    if summary.left:
        tell(
            f"{plural(summary.left, 'group')} not reached: too many failures. "
            "Run the same command again to resume.",
        )
    diverged = f"{len(summary.diverged)} diverged, " if summary.diverged else ""
    say(
        f"\n{summary.measured} measured, {summary.already} already there, {diverged}"
        f"{len(summary.failed)} failed; rows are in {out}"
    )


def _print_trajectories(summary: Any) -> None:
    """Print the steps of each run, and which checkpoint to keep."""
    from mdtree.diagnosis import trajectories

    def lean(row: Row) -> Row:
        details = {n: d for n, d in (row.details or {}).items() if n == STEP_DETAIL}
        return replace(row, details=details or None)  # what is drawn takes the most memory

    groups = set(summary.groups)
    rows = [
        lean(row)
        for row in open_rows(summary.out)
        if row.group in groups and row.protocol == summary.protocol
    ]
    for run in trajectories(rows):
        say(f"\n{trajectory_text(run, rows)}")


def _print_json(summary: Any, rows: Iterator[Row]) -> None:
    """Print one object, its rows one by one: those of a large zoo may not fit into memory."""
    head = {
        "format": 1,
        "out": str(summary.out),
        "measured": summary.measured,
        "already": summary.already,
        "left": summary.left,
        "failed": [{"group": g, "reason": reason} for g, reason in summary.failed.items()],
        "diverged": [{"group": g, "reason": reason} for g, reason in summary.diverged.items()],
        "damaged": [{"line": d.line, "reason": d.reason} for d in summary.damaged],
        "kept": list(summary.kept),
    }
    click.echo(json.dumps(head).removesuffix("}") + ', "rows": [', nl=False)
    for number, row in enumerate(rows):
        click.echo((", " if number else "") + row_text(row), nl=False)
    click.echo("]}")
