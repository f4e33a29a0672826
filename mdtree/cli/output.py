"""Printing verdicts and comparisons: few of them in full, more of them as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mdtree.cli.screens import say

if TYPE_CHECKING:
    from mdtree.diagnosis import Comparison, Trajectory, Verdict
    from mdtree.rows import Row

__all__ = ["WHOLE", "print_comparisons", "print_json", "print_markdown", "print_verdicts"]

_HOW = "--checks lists them"  # the checks
WHOLE = 3  # verdicts or comparisons that are written out in full; more become a table


def print_json(verdicts: list[Verdict], runs: tuple[Trajectory, ...]) -> None:
    """Print verdicts, and what is known of the runs that they are steps of, as JSON."""
    from mdtree.diagnosis import to_plain_data, trajectories_to_plain_data

    content = {"verdicts": [to_plain_data(verdict) for verdict in verdicts]}
    click.echo(json.dumps({"format": 1, **content, **trajectories_to_plain_data(runs)}))


def print_verdicts(
    verdicts: list[Verdict],
    runs: tuple[Trajectory, ...],
    explained: dict[str, str],
    *,
    with_checks: bool,
) -> None:
    """Print verdicts; the reasons for failures are printed once, on stderr."""
    from mdtree.render import checks_text as checks
    from mdtree.render.terminal_verdict import verdict_text, verdicts_table

    if len(verdicts) > 1:
        say(verdicts_table(verdicts, runs))
    if len(verdicts) <= WHOLE:
        for verdict in verdicts:
            line = None if with_checks else checks.checks_line(verdict.checks, _HOW)
            text = verdict_text(verdict, explained=explained.get(verdict.group), checks=line)
            say(("\n" if len(verdicts) > 1 else "") + text)
            if with_checks:
                say(checks.checks_text(verdict.checks))
    else:
        count = checks.checks_overview if with_checks else checks.checks_summary
        say(f"\n{count(verdicts)}")
        say("\nto see one of them in full, add --group NAME")


def print_markdown(
    verdicts: list[Verdict],
    failures: dict[str, str],
    rows: list[Row],
    dataset: str | None,
    *,
    with_checks: bool,
) -> None:
    """Print verdicts as Markdown, after the front matter of a model card if that is asked for."""
    from mdtree.diagnosis import trajectories
    from mdtree.render.markdown import verdicts_markdown
    from mdtree.render.model_index import model_index

    if dataset is not None:
        click.echo(model_index(rows, dataset) + "\n")
    click.echo(
        verdicts_markdown(
            verdicts,
            most=WHOLE,
            runs=trajectories(rows),
            failures=failures,
            with_checks=with_checks,
        )
    )


def print_comparisons(found: Sequence[Comparison], *, how_to_see_one: str) -> None:
    """Print comparisons: a table where there are several, and each in full where they are few."""
    from mdtree.render.comparison import comparison_text, comparisons_table

    if len(found) > 1:
        say(comparisons_table(found))
    if len(found) <= WHOLE:
        for each in found:
            say(("\n" if len(found) > 1 else "") + comparison_text(each))
    else:
        say(f"\nto see one of them in full, {how_to_see_one}")
