"""What `mdtree diagnose` judges: rows as they are, what files tell, or what it measures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.cli.executor_options import make_executor_config, results_alone, share_of_work
from mdtree.cli.loading import loading
from mdtree.cli.measuring_options import make_request, named_recipe
from mdtree.cli.notices import FoundPrinter, rows_of_zoos, tell_of_cut_line
from mdtree.cli.screens import tell
from mdtree.cli.stop_signals import resumable
from mdtree.exceptions import MdtreeError, RowsError
from mdtree.messages import chance, listed, plural, printable, shortened
from mdtree.recipes import RECIPE_NAME, RowsAlone, has_recipe, rows_alone
from mdtree.render.formatting import about
from mdtree.rows import (
    ROWS_NAME,
    Row,
    is_joint,
    load_rows,
    measured_file,
    named_apart,
    of_protocol,
    rows_file,
)

if TYPE_CHECKING:
    from mdtree.diagnosis import Diagnoser
    from mdtree.measurement import AccuracyCheck

__all__ = ["judged_rows", "not_read"]

# option -> its value
_ONLY_OF_CHECKPOINTS = {
    "steps": "steps",
    "expect": "expected",
    "hessian-limit": "hessian_limit",
}
_MOST_FOLDERS = 1000  # that are looked into
_NAMED = 3  # of those that were found
_LONGEST = 100  # characters of a path


def judged_rows(
    paths: tuple[str | Path, ...],
    *,
    tree_name: str | None,
    only: tuple[str, ...],
    facts: dict[str, Any],
    options: dict[str, Any],
) -> tuple[Diagnoser, list[Row]]:
    """Return the rows that are judged, measured as far as the verdicts need, and their judge."""
    recipe = named_recipe(options, paths[0])
    found = rows_alone(paths, recipe, rows=options["rows_path"])
    if found is None and has_recipe(paths[0], recipe):
        return _measured(paths, tree_name, only, facts, options)
    known = [] if found is None else _known(paths, found)
    if found is None or not known:
        return _from_files(paths, tree_name, only, facts, options)
    from mdtree.diagnosis import with_facts

    _tell_of_rows(paths[0], found.path, options)
    tell_of_cut_line(found.path)
    rows = [
        with_facts(row, facts) for row in _chosen(of_protocol(known, options["protocol"]), only)
    ]
    return _diagnoser(rows, tree_name, options), rows


def _known(paths: tuple[str | Path, ...], found: RowsAlone) -> list[Row]:
    """Read rows; of those of directories, only the ones of the networks that are there now."""
    file = found.path
    if found.is_source:
        return named_apart(rows_of_zoos(file, None, failed=True))
    with loading():
        from mdtree.measurement import rows_of_networks

    rows, left_out = rows_of_networks(
        load_rows(file, failed=True), measured_file(file), paths, named=found.is_named
    )
    if not rows and found.is_named:
        raise RowsError(f"--rows: {left_out}; to judge it all the same: mdtree diagnose {file}")
    if left_out:
        tell(printable(left_out))
    return rows


def _chosen(rows: list[Row], only: tuple[str, ...]) -> list[Row]:
    from mdtree.messages import nearest

    group_names = [row.group for row in rows]
    short = [row.group.removeprefix(f"{row.facts.get('zoo')}/") for row in rows]  # in any zoo
    for name in only:
        if name not in group_names and name not in short:
            raise MdtreeError(f"there is no group {name!r}{nearest(name, group_names)}")
    wanted = set(only)
    return [
        row for row, name in zip(rows, short, strict=True) if not only or {row.group, name} & wanted
    ]


def _diagnoser(rows: Sequence[Row], name: str | None, options: dict[str, Any]) -> Diagnoser:
    from mdtree.diagnosis import diagnoser_for

    return diagnoser_for(
        rows,
        name,
        confidence=options["confidence"],
        seed=options["seed"],
        allow_protocol_mismatch=options["allow_protocol_mismatch"],
    )


def _tell_of_rows(path: str | Path, known: Path, options: dict[str, Any]) -> None:
    """Say that a directory's measurements are judged, and refuse what only checkpoints can do."""
    given = [f"--{n}" for n, value in _ONLY_OF_CHECKPOINTS.items() if options[value] is not None]
    rows = printable(str(measured_file(known)))
    if given:
        raise MdtreeError(
            f"{', '.join(given)}: {rows} holds measurements, and no recipe says how to measure "
            "again: name --model and --data or --recipe, or move that file away"
        )
    if Path(path).is_dir() or known == options["rows_path"]:
        tell(f"from the measurements in {rows}")


def _from_files(
    paths: tuple[str | Path, ...],
    name: str | None,
    only: tuple[str, ...],
    facts: dict[str, Any],
    options: dict[str, Any],
) -> tuple[Diagnoser, list[Row]]:
    """Read what weights, settings and logs tell without a recipe."""
    from mdtree.diagnosis import with_facts
    from mdtree.recipes import NO_RECIPE

    with loading():
        from mdtree.measurement import rows_from_files

    if options["expected"] is not None:
        raise MdtreeError("--expect needs a measured accuracy: name data and model, or a recipe")
    request = make_request(paths, options, groups=only, recipe=NO_RECIPE)
    rows = [with_facts(row, facts) for row in rows_from_files(request, found=FoundPrinter())]
    tell(
        "no recipe: a first answer from the weights and from what the trainer logged; to measure "
        f"the networks, name data and model (--data, --model) or write {RECIPE_NAME}",
    )
    if options["rows_path"] is not None and not os.path.exists(options["rows_path"]):  # noqa: PTH110 - Path.exists fails for names that are too long
        tell(
            f"--rows: {printable(str(options['rows_path']))} is not there, and nothing is measured"
        )
    for hint in not_read(paths):
        tell(hint)
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

    with loading():
        from mdtree.sequential_diagnosis import SequentialDiagnosis, Stage

    def announce(stage: Stage) -> None:
        change = ""
        if stage.change is not None:
            change = f", {chance(stage.change)} chance of changing a verdict or its gain"
        again = ", further than before" if stage.again else ""
        tell(f"measuring {work(stage)}{again}{change}")

    def compared(check: AccuracyCheck) -> None:
        train = "" if check.train is None else f", training accuracy {check.train:.1f} %"
        if check.expected is None:
            beside = "is it yours? see --expect"
        elif check.is_undecided:
            beside = f"logged: {check.expected / 100:.4g}, a share or percent? see --expect"
        else:
            source = "logged" if check.is_logged else "expected"
            beside = f"{source}: {check.expected:.1f} %"
        tell(
            f"{printable(check.group)}: test accuracy {check.measured:.1f} % ({beside}){train}",
        )

    def work(stage: Stage) -> str:
        seconds = about(stage.seconds / share_of_work(options))
        return f"{stage.metric} of {plural(len(stage.groups), 'group')}: {seconds}"

    request = make_request(paths, options, groups=only)  # facts join the rows that are judged
    with resumable(), results_alone(options), Bar("measuring") as bar:
        diagnosed = SequentialDiagnosis(
            request=request,
            out=rows_file(paths[0], options["rows_path"], paths[1:]),
            choose_diagnoser=lambda rows: _diagnoser(rows, name, options),
            facts=facts,
            full=options["stage"] == "full",
            full_precision=options["full_precision"],
            executor=make_executor_config(options, request.device, shared=request.storage is None),
            announce=announce,
            found=FoundPrinter(),
            expected=options["expected"],
            compared=compared,
            progress=bar,
        ).run()
    for stage in diagnosed.left_out:
        tell(
            f"not measured: {work(stage)}, at most {chance(stage.change or 0.0)} chance of "
            "changing a verdict or its gain (--stage full measures it)",
        )
    return diagnosed.diagnoser, diagnosed.rows


def not_read(paths: Sequence[str | Path]) -> Iterator[str]:
    """Say which directories within or above have a recipe or measurements, which were not read."""
    for path in filter(Path.is_dir, map(Path, paths)):
        near = sorted(islice(path.iterdir(), _MOST_FOLDERS))
        within = [each for each in near if _tells_more(each)]
        if within:
            names = [printable(shortened(str(each), _LONGEST)) for each in within]
            verb = "has" if len(within) == 1 else "have"
            yield (
                f"not read: {listed(names, most=_NAMED)} {verb} a recipe or measurements; diagnose "
                "such a directory by itself"
            )
        joint = [str(each) for each in near if is_joint(each)]
        for file in joint[:_NAMED]:
            yield (
                f"not read: {printable(shortened(file, _LONGEST))}, the measurements of "
                f"directories within as one group; to use them: mdtree diagnose {printable(file)}"
            )
        above = path.resolve().parent
        if not within and _tells_more(above):
            yield (
                f"not read: the recipe or the measurements of {printable(str(above))}, one "
                f"directory above; to use them: mdtree diagnose {printable(str(above))} --group "
                f"{printable(path.resolve().name)}"
            )


def _tells_more(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (RECIPE_NAME, ROWS_NAME))
