"""`mdtree checks`, and options of `mdtree diagnose` on checks: which count, and where they go."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click import Context, Parameter

from mdtree.cli.options import complete_listed, complete_modes, joined
from mdtree.cli.screens import print_xml, say
from mdtree.exceptions import MdtreeError
from mdtree.messages import listed, plural, printable, shortened
from mdtree.rows.file_kinds import JUNIT, SARIF

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mdtree.diagnosis import CheckedGroup, Verdict
    from mdtree.rows import RowKey

__all__ = [
    "PRINTED",
    "check_outputs",
    "codes_that_fail",
    "command",
    "complete_codes",
    "complete_findings",
    "failed_on",
    "known_codes",
    "write_junit",
    "write_sarif",
]

PRINTED = Path("-")  # to stdout, as `mdtree plot --out -` does
_FINE = "none"  # the verdict that is no finding
_MOST_NAMES = 3  # of groups, for each finding
_LONGEST = 100  # characters of a name


def complete_codes(_ctx: Context, _param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return codes of checks; several are separated by commas."""
    from mdtree.diagnosis import CHECKS

    return complete_listed(CHECKS, incomplete)


def complete_findings(ctx: Context, param: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return verdicts, then codes of checks."""
    return [*complete_modes(ctx, param, incomplete), *complete_codes(ctx, param, incomplete)]


def known_codes(names: Iterable[str], option: str) -> frozenset[str]:
    """Return codes of checks.

    Raises:
        MdtreeError: One of them is not a code.

    """
    from mdtree.diagnosis import CHECKS

    return _known(names, option, CHECKS, "a code of a check", "to see all: mdtree checks")


def codes_that_fail(names: Iterable[str]) -> frozenset[str]:
    """Return the codes on which the command fails, for verdicts and codes; `none` is kept.

    Raises:
        MdtreeError: One of them is neither a verdict nor a code.

    """
    from mdtree.diagnosis import CHECKS, MODE_CODES, UNSURE
    from mdtree.failure_modes import FAILURE_MODES

    modes = (*FAILURE_MODES, UNSURE)
    end = f"known: {', '.join(modes)}, and the codes of `mdtree checks`"
    known = _known(names, "--fail-on", (*modes, *CHECKS), "a verdict or a code of a check", end)
    return frozenset(MODE_CODES.get(name, name) for name in known)


def _known(
    names: Iterable[str], option: str, known: Collection[str], kind: str, end: str
) -> frozenset[str]:
    from mdtree.messages import nearest

    for name in names:
        if name not in known:
            raise MdtreeError(
                f"{option}: {name!r} is not {kind}{nearest(name, known) or _as_code(name, known)} "
                f"({end})"
            )
    return frozenset(names)


def _as_code(name: str, known: Collection[str]) -> str:
    code = name.upper()
    return f", did you mean {code!r}?" if code in known else ""


def failed_on(
    failing: Collection[str], groups: Iterable[CheckedGroup], verdicts: Iterable[Verdict]
) -> str | None:
    """Return what was found of the codes on which the command fails, and in which groups."""
    where: dict[str, list[str]] = {}
    for group in groups:
        for check in group.found:
            if check.code in failing:
                where.setdefault(f"{check.code} {check.name}", []).append(group.group)
    fine = [verdict.group for verdict in verdicts if verdict.mode == _FINE]
    if _FINE in failing and fine:
        where[f"the verdict {_FINE}"] = fine
    found = (f"{finding} in {_named(names)}" for finding, names in sorted(where.items()))
    return f"failed on {'; '.join(found)}" if where else None


def _named(names: Sequence[str]) -> str:
    """Name one group; of several, their number and the first of them."""
    shown = listed([printable(shortened(name, _LONGEST)) for name in names], most=_MOST_NAMES)
    return shown if len(names) == 1 else f"{plural(len(names), 'group')} ({shown})"


def write_sarif(
    path: Path | None, groups: Collection[CheckedGroup], source: str, ignored: Collection[str]
) -> None:
    """Write the checks as SARIF, if a file is named."""
    if path is None:
        return
    from mdtree.render.sarif import sarif

    text = sarif([*groups], source, lines=_lines(Path(source)), ignored=ignored)
    _write(path, text, "--sarif", SARIF)


def write_junit(path: Path | None, groups: Collection[CheckedGroup], source: str) -> None:
    """Write the checks as JUnit's XML, if a file is named."""
    if path is None:
        return
    from mdtree.render.junit import junit

    _write(path, junit([*groups], source), "--junit", JUNIT)


def _write(path: Path, text: str, option: str, kind: str) -> None:
    if path == PRINTED:
        print_xml(text) if kind == JUNIT else click.echo(text, nl=False)
        return
    from mdtree.rows.atomic import atomic_file

    with atomic_file(path, advice=f"name another file with {option}", replaces=kind) as file:
        file.write(text.encode())


def check_outputs(outputs: Mapping[str, Path | None], **flags: bool) -> None:
    """Refuse two outputs in one place: options -> their files, and flags that print.

    Raises:
        MdtreeError: Two options name the same file, or two print.
    """
    if outputs.get("--html") == PRINTED:
        raise MdtreeError("--html: a page is written to a file, got -: name one, as report.html")
    places: dict[str, str] = {}
    prints = [f"--{flag}" for flag, is_on in flags.items() if is_on]
    prints += [option for option, path in outputs.items() if path == PRINTED]
    if len(prints) > 1:
        raise MdtreeError(
            f"{' and '.join(prints)} would both be printed to stdout: name a file for one of them"
        )
    for option, path in outputs.items():
        if path is None or path == PRINTED or (path.exists() and not path.is_file()):
            continue  # pipes and devices take several
        other = places.setdefault(os.path.realpath(path), option)
        if other != option:
            raise MdtreeError(f"{other} and {option} name the same file, {path}: name another one")


def _lines(path: Path) -> dict[RowKey, int]:
    """Return the line of each row in a file of rows; nothing of a table, a folder or a pipe."""
    from mdtree.rows import Row, name_with_zoo
    from mdtree.rows.file_kinds import is_table
    from mdtree.rows.reading import read_lines

    if not path.is_file() or is_table(path):
        return {}
    contents = ((line.content, line.number) for line in read_lines(path))
    places = [(content, number) for content, number in contents if isinstance(content, Row)]
    # groups of several zoos that are called alike are shown with the name of their zoo
    with_zoo = {(name_with_zoo(row), row.protocol): number for row, number in places}
    return with_zoo | {row.key: number for row, number in places}


@click.command()
@click.argument(
    "codes", metavar="[CODE]...", nargs=-1, callback=joined, shell_complete=complete_codes
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(codes: tuple[str, ...] | None, as_json: bool) -> None:
    """List what a diagnosis checks, or the checks of some codes.

    \b
    Examples:
      mdtree checks
      mdtree checks MD201 MD202
    """
    from mdtree.diagnosis import CHECKS

    wanted = known_codes(codes or (), "CODE")
    checks = [check for code, check in CHECKS.items() if not codes or code in wanted]
    if as_json:
        content = [dataclasses.asdict(check) for check in checks]
        click.echo(json.dumps({"format": 1, "checks": content}))
        return
    for check in checks:
        say(f"{check.code} {check.name} ({check.severity})")
        say(f"    found: {check.meaning}")
        say(f"    fine:  {check.fine}")
