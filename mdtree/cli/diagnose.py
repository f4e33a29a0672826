"""`mdtree diagnose DIR|ROWS`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mdtree.cli.checks import (
    PRINTED,
    check_outputs,
    codes_that_fail,
    complete_codes,
    complete_findings,
    failed_on,
    known_codes,
    write_junit,
    write_sarif,
)
from mdtree.cli.judged_rows import judged_rows
from mdtree.cli.loading import loading
from mdtree.cli.measuring_options import MEASURED, measuring
from mdtree.cli.options import joined, judging
from mdtree.cli.output import print_json, print_markdown, print_verdicts
from mdtree.cli.screens import say, tell
from mdtree.exceptions import MdtreeError
from mdtree.render.rows_table import counted_once
from mdtree.render.terminal import paragraph, reason_text
from mdtree.rows import STEP_DETAIL, TARGET, Fact, Row, is_address, measured_file, target_fault

if TYPE_CHECKING:
    from mdtree.diagnosis import Trajectory

__all__ = ["command"]

_FOUND = 6  # the exit code of --fail-on


def _percentage(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """Refuse a target that is not a percentage."""
    if value is not None and (fault := target_fault(value)):
        raise click.BadParameter(fault)
    return value


@click.command(short_help="Diagnose trained networks and suggest what to change.")
@click.argument("paths", metavar="DIR...|ROWS", type=MEASURED, nargs=-1, required=True)
@judging
@click.option("--group", "only", multiple=True, metavar="NAME", help="Diagnose only this group.")
@click.option(
    "--stage",
    type=click.Choice(["needed", "full"]),
    default="needed",
    show_default=True,
    help="Measure only what the verdict needs, or everything that the tree asks for.",
)
@click.option(
    "--full-precision",
    is_flag=True,
    help="Measure every quantity to its tolerance; without it, the Hessian only "
    "until the verdict can no longer change.",
)
@click.option(
    "--rows",
    "rows_path",
    type=click.Path(path_type=Path),
    help="File of the measurements of directories: with a recipe they are added to it, without one "
    "its rows of these networks are judged.  [default: rows.jsonl in the directory, or of several "
    "run-0+run-1.rows.jsonl beside them]",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a page with pictures, as one self-contained file; the evidence of many groups "
    "goes into a folder beside it.",
)
@click.option(
    "--expect",
    "expected",
    type=click.FloatRange(0, 100),
    metavar="ACCURACY",
    help="The test accuracy that you know, in percent; stop if the measured one differs.  "
    "[default: what the trainer logged]",
)
@click.option(
    "--target",
    type=float,
    callback=_percentage,
    metavar="ACCURACY",
    help="The test accuracy that is achievable, in percent, if you know it: gains end there, and "
    "`none` means that nothing here closes the gap. The same as --fact target_accuracy=...",
)
@click.option(
    "--fail-on",
    multiple=True,
    callback=joined,
    metavar="FINDINGS",
    shell_complete=complete_findings,
    help="Exit with code 6 on these verdicts and codes of checks: unsure,MD201,...",
)
@click.option(
    "--ignore",
    multiple=True,
    callback=joined,
    metavar="CODES",
    shell_complete=complete_codes,
    help="Ignore these checks, say so, and do not fail on them: MD302,MD402,...",
)
@click.option("--checks", "with_checks", is_flag=True, help="Also print what was checked.")
@click.option(
    "--sarif",
    "sarif_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what was found as SARIF, for code hosts; - prints it, and nothing else.",
)
@click.option(
    "--junit",
    "junit_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write all checks as JUnit's XML, for pipelines; - prints it, and nothing else.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--markdown", "as_markdown", is_flag=True, help="Print Markdown, for pull requests and cards."
)
@click.option(
    "--model-index",
    "dataset",
    metavar="DATASET",
    help="With --markdown: begin with the Hub's model-index, the accuracy on this data set.",
)
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
    target: float | None,
    fail_on: tuple[str, ...] | None,
    ignore: tuple[str, ...] | None,
    with_checks: bool,
    sarif_path: Path | None,
    junit_path: Path | None,
    as_json: bool,
    as_markdown: bool,
    dataset: str | None,
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
      mdtree diagnose rows.jsonl --markdown --model-index mnist
      mdtree diagnose runs/ --tree mine.json --fact data_amount=5000
      mdtree diagnose runs/ --target 95
      mdtree diagnose runs/ --fail-on temperature_low,temperature_high
      mdtree diagnose rows.jsonl --checks --ignore MD302
      mdtree diagnose rows.jsonl --sarif mdtree.sarif --junit mdtree.xml
      mdtree diagnose published.csv --tree published-cifar10-resnet18
    """
    with loading():
        # before what needs it: deep within other imports, Python takes and gives back a piece of
        # its stack for hundreds of the calls that NumPy makes while it is loaded
        import numpy as np  # noqa: F401

        from mdtree.diagnosis import (
            can_be_diagnosed,
            checked_groups,
            ignore_checks,
        )

    _check_printed(dataset, as_json=as_json, as_markdown=as_markdown)
    files = {"--html": html, "--sarif": sarif_path, "--junit": junit_path}
    check_outputs({**files, "--rows": options["rows_path"]}, json=as_json, markdown=as_markdown)
    failing, ignored = codes_that_fail(fail_on or ()), known_codes(ignore or (), "--ignore")
    facts = _facts(options["facts"], target)
    diagnoser, rows = judged_rows(
        paths, tree_name=tree_name, only=only, facts=facts, options=options
    )
    judged = diagnoser.verdicts([row for row in rows if can_be_diagnosed(row)])
    verdicts = [ignore_checks(verdict, ignored) for verdict in judged]
    groups = checked_groups(verdicts, rows, ignored)
    failures = {
        row.group: row.failure.reason
        for row in rows
        if row.failure is not None and not row.is_diverged
    }
    if html is not None:
        from mdtree.render.page_file import write_page

        write_page(html, verdicts, rows, diagnoser)
    source = _source(paths, options["rows_path"])
    write_sarif(sarif_path, groups, source, ignored)
    write_junit(junit_path, groups, source)
    runs = _trajectories(rows)
    if as_markdown:
        print_markdown(verdicts, failures, rows, dataset, with_checks=with_checks)
    elif as_json:
        print_json(verdicts, runs)
    elif PRINTED not in files.values():
        print_verdicts(verdicts, runs, failures, with_checks=with_checks)
        if runs:
            from mdtree.render.trajectory_text import trajectory_text

            for run in runs:
                say(f"\n{trajectory_text(run, rows)}")
    for text in counted_once(rows):
        tell(text)
    for group, reason in failures.items():
        tell(reason_text("failed", group, reason))
    found = failed_on(failing, groups, verdicts)
    if found is not None:
        tell(paragraph(found))
        ctx.exit(_FOUND)
    ctx.exit(1 if failures else 0)


def _facts(pairs: tuple[str, ...], target: float | None) -> dict[str, Fact]:
    """Return the facts of all groups that the command line names."""
    if not pairs and target is None:
        return {}
    from mdtree.recipes import checked_facts, words

    known = words(pairs)
    return checked_facts(known if target is None else {**known, TARGET: target})


def _check_printed(dataset: str | None, *, as_json: bool, as_markdown: bool) -> None:
    """Refuse to print two things, or a part of what is not printed."""
    if as_markdown and as_json:
        raise MdtreeError("--markdown and --json both print the verdicts: name one of them")
    if dataset is not None and not dataset.strip():
        raise MdtreeError("--model-index needs the name of a data set, got an empty one")
    if dataset is not None and not as_markdown:
        raise MdtreeError("--model-index is a part of the Markdown: add --markdown")


def _trajectories(rows: list[Row]) -> tuple[Trajectory, ...]:
    """Return the runs of which rows are steps."""
    if not any(STEP_DETAIL in (row.details or {}) for row in rows):
        return ()
    from mdtree.diagnosis import trajectories

    return trajectories(rows)


def _source(paths: tuple[str | Path, ...], rows_path: Path | None) -> str:
    """Return the file of rows, or what was read where there is none."""
    if rows_path is not None:
        return str(rows_path)
    if is_address(paths[0]) or len(paths) > 1:
        return str(paths[0])
    file = measured_file(Path(paths[0]))
    return str(file if file.is_file() else paths[0])
