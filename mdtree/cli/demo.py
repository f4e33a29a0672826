"""`mdtree demo`."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from mdtree.cli.loading import loading
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import say, tell
from mdtree.cli.stop_signals import resumable
from mdtree.failure_modes import FAILURE_MODES
from mdtree.messages import printable
from mdtree.render.formatting import about
from mdtree.render.page_file import write_page
from mdtree.render.rows_table import rows_table
from mdtree.render.terminal import reason_text
from mdtree.rows.atomic import own

__all__ = ["command"]

_ADVICE = "name another folder with --out"


@click.command()
@click.option(
    "--fault",
    type=click.Choice(list(FAILURE_MODES)),
    default="temperature_low",
    show_default=True,
    help="The fault to plant in the training.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Train other networks."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("mdtree-demo"),
    show_default=True,
    help="Folder for networks, measurements and the page; each fault gets a subfolder.",
)
@click.pass_context
def command(ctx: click.Context, /, *, fault: str, seed: int, out: Path) -> None:
    """Train two small networks with a planted fault, then measure and diagnose them.

    They classify the arms of a spiral, a task that no tree has seen. This takes under a minute on
    a laptop and needs no download.

    \b
    Examples:
      mdtree demo
      mdtree demo --fault model_small --seed 3
    """
    from mdtree.diagnosis import diagnoser_for
    from mdtree.executors import ExecutorConfig
    from mdtree.recipes import Trust
    from mdtree.render.checks_text import checks_line
    from mdtree.render.terminal_verdict import verdict_text
    from mdtree.rows import rows_file
    from mdtree.runtime.cores import cores

    with loading():
        from mdtree.measurement import make_request
        from mdtree.sequential_diagnosis import SequentialDiagnosis, Stage
        from mdtree.zoo import demo_zoo, train_zoo

    out = _folder(ctx, out, fault if seed == 0 else f"{fault}-{seed}")
    page = own(out / "report.html", out, advice=_ADVICE)
    where = printable(str(out))
    zoo = demo_zoo(fault, seed=seed)
    executor = ExecutorConfig(workers=min(2, cores()))  # tiny networks gain nothing from threads
    with resumable(), Bar("training") as bar:
        train_zoo(zoo, folder=out, out=out, trust=Trust(), executor=executor, progress=bar)
    groups = map(zoo.group, zoo.points())
    request = make_request(out, device="cpu", groups=groups)

    def announce(stage: Stage) -> None:
        tell(f"measuring {stage.metric}: {about(stage.seconds)}")

    with resumable(), Bar("measuring") as bar:
        diagnosed = SequentialDiagnosis(
            request=request,
            out=rows_file(out),
            choose_diagnoser=diagnoser_for,
            announce=announce,
            progress=bar,
        ).run()
    diagnoser, rows = diagnosed.diagnoser, diagnosed.rows
    failed = [row for row in rows if row.failure is not None]
    say(rows_table(rows, explained=[row.group for row in failed]))
    for row in failed:
        assert row.failure is not None
        tell(reason_text("failed", row.group, row.failure.reason))
    verdicts = [diagnoser(row) for row in rows if row.failure is None]
    for verdict in verdicts:
        checks = checks_line(verdict.checks, f"mdtree diagnose {where} --checks lists them")
        say(f"\nplanted: {fault}\n{verdict_text(verdict, checks=checks)}")
    write_page(page, verdicts, rows, diagnoser)
    say(f"\nnetworks, recipe and measurements are in {where}")
    say(f"page with pictures: {where}/report.html")
    say(f"to diagnose them again: mdtree diagnose {where}")
    ctx.exit(1 if failed else 0)


def _folder(ctx: click.Context, out: Path, name: str) -> Path:
    """Return the folder of a fault; only --out may be a link, and only if the user named it."""
    if ctx.get_parameter_source("out") is ParameterSource.DEFAULT:
        own(out, Path.cwd(), advice=_ADVICE)
    return own(out / name, out, advice=_ADVICE)
