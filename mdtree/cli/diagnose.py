"""`mdtree diagnose DIR|ROWS`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.executor_options import make_executor_config, results_alone, share_of_work
from mdtree.cli.found import FoundPrinter
from mdtree.cli.measuring_options import MEASURED, make_request, measuring, named_recipe
from mdtree.cli.stop_signals import resumable
from mdtree.exceptions import MdtreeError
from mdtree.failure_modes import CONFIDENCE
from mdtree.recipes import (
    NO_RECIPE,
    RECIPE_NAME,
    checked_facts,
    has_recipe,
    holds_only_rows,
    words,
)
from mdtree.render.formatting import duration
from mdtree.render.page_file import write_page
from mdtree.render.terminal import paragraph, plural, printable
from mdtree.render.terminal_rows import counted_once
from mdtree.rows import Row, load_rows, measured_file, of_protocol, rows_file

if TYPE_CHECKING:
    from mdtree.diagnosis import Diagnoser, Verdict
    from mdtree.measurement import AccuracyCheck

__all__ = ["command"]

_FOUND = 6  # the exit code of --fail-on
_ONLY_OF_CHECKPOINTS = {"steps": "steps", "expect": "expected"}  # option -> its value
_WHOLE = 3  # verdicts that are written out in full; more become a table


@click.command(short_help="Diagnose trained networks and suggest what to change.")
@click.argument("paths", metavar="DIR...|ROWS", type=MEASURED, nargs=-1, required=True)
@click.option("--tree", "tree_name", help="The tree: a file or a name from `tree list`.")
@click.option("--group", "only", multiple=True, metavar="NAME", help="Diagnose only this group.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1),
    help=f"Below this probability a verdict is `unsure`.  [default: {CONFIDENCE}]",
)
@click.option(
    "--stage",
    type=click.Choice(["needed", "full"]),
    default="needed",
    show_default=True,
    help="Measure only what the verdict needs, or everything that the tree asks for.",
)
@click.option(
    "--rows",
    "rows_path",
    type=click.Path(path_type=Path),
    help="File for the measurements.  [default: rows.jsonl in the directory]",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a page with pictures, as one self-contained file.",
)
@click.option(
    "--expect",
    "expected",
    type=click.FloatRange(0, 100),
    metavar="ACCURACY",
    help="The test accuracy that you know, in percent; stop if the measured one differs.  "
    "[default: what the trainer logged]",
)
@click.option("--fail-on", metavar="MODES", help="Exit with code 6 on these verdicts: a,b,...")
@click.option(
    "--allow-protocol-mismatch",
    is_flag=True,
    help="Use a tree of another protocol anyway; the verdict says so.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@measuring
@click.pass_context
def command(
    ctx: click.Context,
    /,
    paths: tuple[str | Path, ...],
    *,
    tree_name: str | None,
    only: tuple[str, ...],
    html: Path | None,
    fail_on: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Diagnose the networks in a directory or in a file of measurements.

    In a directory, mdtree measures the cheapest metrics first and stops when the verdict needs no
    more. Measurements are kept, as with `mdtree measure`.

    Of the checkpoints that one run saved at several steps, the last is diagnosed, or those of
    --steps. Several directories are runs of one configuration with different seeds: one group.

    \b
    Examples:
      mdtree diagnose runs/
      mdtree diagnose out/ --data train.npz --data-arg test=test.npz
      mdtree diagnose run-1/ run-2/ --recipe cifar.yaml
      mdtree diagnose rows.jsonl --group wide
      mdtree diagnose runs/ --html report.html
      mdtree diagnose runs/ --tree mine.json --fact data_amount=5000
      mdtree diagnose runs/ --fail-on temperature_low,temperature_high
      mdtree diagnose published.csv --tree published-cifar10-resnet18
    """
    from mdtree.diagnosis import can_be_diagnosed, is_diverged, with_facts

    failing_modes = _modes(fail_on)
    facts = checked_facts(words(options["facts"]))
    if len(paths) == 1 and holds_only_rows(paths[0], named_recipe(options, paths[0])):
        _tell_of_rows(paths[0], options)
        rows = _chosen(
            of_protocol(load_rows(Path(paths[0]), failed=True), options["protocol"]), only
        )
        rows = [with_facts(row, facts) for row in rows]
        diagnoser = _diagnoser(rows, tree_name, options)
    else:
        diagnoser, rows = _judged(paths, tree_name, only, facts, options)
    verdicts = [diagnoser(row) for row in rows if can_be_diagnosed(row)]
    failures = {
        row.group: row.failure.reason
        for row in rows
        if row.failure is not None and not is_diverged(row)
    }
    if html is not None:
        write_page(html, verdicts, rows, diagnoser)
    _print(verdicts, failures, as_json)
    for text in counted_once(rows):
        click.echo(text, err=True)
    for group, reason in failures.items():
        click.echo(f"failed {printable(group)}: {paragraph(reason)}", err=True)
    if any(verdict.mode in failing_modes for verdict in verdicts):
        ctx.exit(_FOUND)
    ctx.exit(1 if failures else 0)


def _modes(text: str | None) -> set[str]:
    """Read the verdicts on which the command fails."""
    from mdtree.diagnosis import UNSURE
    from mdtree.failure_modes import FAILURE_MODES
    from mdtree.messages import nearest

    modes = (*FAILURE_MODES, UNSURE)
    names = {name.strip() for name in (text or "").split(",") if name.strip()}
    for name in sorted(names - set(modes)):
        raise MdtreeError(
            f"--fail-on: {name!r} is not a verdict{nearest(name, modes)} "
            f"(known: {', '.join(modes)})"
        )
    return names


def _chosen(rows: list[Row], only: tuple[str, ...]) -> list[Row]:
    from mdtree.messages import nearest

    group_names = [row.group for row in rows]
    for name in only:
        if name not in group_names:
            raise MdtreeError(f"there is no group {name!r}{nearest(name, group_names)}")
    return [row for row in rows if not only or row.group in only]


def _diagnoser(rows: Sequence[Row], name: str | None, options: dict[str, Any]) -> Diagnoser:
    from mdtree.diagnosis import diagnoser_for

    return diagnoser_for(
        rows,
        name,
        confidence=options["confidence"],
        seed=options["seed"],
        allow_protocol_mismatch=options["allow_protocol_mismatch"],
    )


def _tell_of_rows(path: str | Path, options: dict[str, Any]) -> None:
    """Say that a directory's measurements are judged, and refuse what only checkpoints can do."""
    given = [f"--{n}" for n, value in _ONLY_OF_CHECKPOINTS.items() if options[value] is not None]
    rows = printable(str(measured_file(Path(path))))
    if given:
        raise MdtreeError(
            f"{', '.join(given)}: {rows} holds measurements, and no recipe says how to measure "
            "again: name --model and --data or --recipe, or move that file away"
        )
    if Path(path).is_dir():
        click.echo(f"from the measurements in {rows}", err=True)


def _judged(
    paths: tuple[str | Path, ...],
    name: str | None,
    only: tuple[str, ...],
    facts: dict[str, Any],
    options: dict[str, Any],
) -> tuple[Diagnoser, list[Row]]:
    """Measure what the verdicts need; without a recipe, read what the files tell."""
    if has_recipe(paths[0], named_recipe(options, paths[0])):
        return _measured(paths, name, only, facts, options)
    from mdtree.diagnosis import with_facts
    from mdtree.measurement import rows_from_files

    if options["expected"] is not None:
        raise MdtreeError("--expect needs a measured accuracy: name data and model, or a recipe")
    request = make_request(paths, options, groups=only, recipe=NO_RECIPE)
    rows = [with_facts(row, facts) for row in rows_from_files(request, found=FoundPrinter())]
    click.echo(
        "no recipe: a first answer from the weights and from what the trainer logged; to measure "
        f"the networks, name data and model (--data, --model) or write {RECIPE_NAME}",
        err=True,
    )
    return _diagnoser(rows, name, options), rows


def _measured(
    paths: tuple[str | Path, ...],
    name: str | None,
    only: tuple[str, ...],
    facts: dict[str, Any],
    options: dict[str, Any],
) -> tuple[Diagnoser, list[Row]]:
    """Measure what the verdicts need."""
    from mdtree.cli.progress_bar import Bar
    from mdtree.sequential_diagnosis import SequentialDiagnosis, Stage

    def announce(stage: Stage) -> None:
        change = ""
        if stage.change is not None:
            change = f", {100 * stage.change:.0f} % chance of changing a verdict"
        click.echo(f"measuring {work(stage)}{change}", err=True)

    def compared(check: AccuracyCheck) -> None:
        train = "" if check.train is None else f", training accuracy {check.train:.1f} %"
        if check.expected is None:
            beside = "is it yours? see --expect"
        else:
            source = "logged" if check.is_logged else "expected"
            beside = f"{source}: {check.expected:.1f} %"
        click.echo(
            f"{printable(check.group)}: test accuracy {check.measured:.1f} % ({beside}){train}",
            err=True,
        )

    def work(stage: Stage) -> str:
        seconds = duration(stage.seconds / share_of_work(options))
        return f"{stage.metric} of {plural(len(stage.groups), 'group')}: about {seconds}"

    request = make_request(paths, options, groups=only)  # facts join the rows that are judged
    with resumable(), results_alone(options), Bar("measuring") as bar:
        diagnosed = SequentialDiagnosis(
            request=request,
            out=rows_file(paths[0], options["rows_path"], paths[1:]),
            choose_diagnoser=lambda rows: _diagnoser(rows, name, options),
            facts=facts,
            full=options["stage"] == "full",
            executor=make_executor_config(options, request.device, shared=request.storage is None),
            announce=announce,
            found=FoundPrinter(),
            expected=options["expected"],
            compared=compared,
            progress=bar,
        ).run()
    for stage in diagnosed.left_out:
        click.echo(
            f"not measured: {work(stage)}, at most {100 * (stage.change or 0.0):.1f} % chance of "
            "changing a verdict (--stage full measures it)",
            err=True,
        )
    return diagnosed.diagnoser, diagnosed.rows


def _print(verdicts: list[Verdict], explained: dict[str, str], as_json: bool) -> None:
    """Print verdicts; the reasons for failures are printed once, on stderr."""
    from mdtree.diagnosis import to_plain_data
    from mdtree.render.terminal_verdict import verdict_text, verdicts_table

    if as_json:
        click.echo(
            json.dumps({"format": 1, "verdicts": [to_plain_data(verdict) for verdict in verdicts]})
        )
        return
    if len(verdicts) > 1:
        click.echo(verdicts_table(verdicts))
    if len(verdicts) <= _WHOLE:
        for verdict in verdicts:
            text = verdict_text(verdict, explained=explained.get(verdict.group))
            click.echo(("\n" if len(verdicts) > 1 else "") + text)
    else:
        click.echo("\nto see one of them in full, add --group NAME")
