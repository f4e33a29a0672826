"""`mdtree.compare` and `mdtree.confirm`: what a change of the training brought."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mdtree.api.arguments import RowsSource, all_rows
from mdtree.api.results import Comparisons, Confirmations
from mdtree.diagnosis import compare_groups, pairs_of, places_of
from mdtree.executors import ExecutorConfig
from mdtree.recipes import Recipe
from mdtree.rows import DEFAULT_PROTOCOL, Row, check_protocol, of_protocol
from mdtree.trees import SavedTree

__all__ = ["compare", "confirm"]


def compare(
    before: RowsSource,
    after: RowsSource,
    *,
    group_before: str | None = None,
    group_after: str | None = None,
    tree: SavedTree | str | Path | None = None,
    confidence: float | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    seed: int = 0,
    allow_protocol_mismatch: bool = False,
) -> Comparisons:
    """Compare measurements before and after a change, as `mdtree compare`.

    Args:
        before: a file of rows, a table, a measured directory, or the rows themselves.
        after: the same, of what was trained after the change.
        group_before: the group before; one that is alone needs no name, and two sides with the
            same names of groups are compared name by name.
        group_after: the group after.
        tree: the tree of the verdicts, as in `diagnose`, and so is `confidence`.
        confidence: the probability below which a verdict is `unsure`.
        protocol: of files with rows of several protocols, the one to take.
        seed: of resampling.
        allow_protocol_mismatch: use a tree of another protocol; the verdict says so.

    Returns:
        One comparison for each pair of groups, in a list that a notebook shows as a page of text;
        its `failures` tell why other groups could not be compared.

    Raises:
        ProtocolError: before and after, or they and the tree, were measured in different ways.
        RowsError: the rows cannot be read, it is not clear which groups are meant, they are the
            same, or nothing was measured on both sides.
        MdtreeError: a group was not measured.

    Examples:
        >>> import mdtree
        >>> from mdtree.rows import Measured, Row
        >>> cold, warm = (
        ...     Row(format=1, group="net", protocol="standard-1", facts={"learning_rate": rate},
        ...         quantities={"test_error": Measured(value=error, stderr=0.3)})
        ...     for rate, error in ((0.001, 42.0), (0.01, 30.0)))
        >>> (found,) = mdtree.compare([cold], [warm])
        >>> found.changes[0].remedy, found.real.points, found.promise.remedy
        ('raise_temperature', 12.0, 'raise_temperature')
    """
    check_protocol(protocol)
    compared = compare_groups(
        pairs_of(
            _rows(before, protocol),
            _rows(after, protocol),
            group_before=group_before,
            group_after=group_after,
        ),
        tree=str(tree) if isinstance(tree, Path) else tree,
        confidence=confidence,
        seed=seed,
        allow_protocol_mismatch=allow_protocol_mismatch,
        places=_places(before, after),
    )
    return Comparisons(compared)


def _places(before: RowsSource, after: RowsSource) -> tuple[str, str] | None:
    """Return the names of both files or folders; rows themselves have none."""
    if isinstance(before, str | Path) and isinstance(after, str | Path):
        return places_of(before, after)
    return None


def _rows(source: RowsSource, protocol: str) -> list[Row]:
    rows = list(all_rows(source, failed=True))
    return of_protocol(rows, protocol) if isinstance(source, str | Path) else rows


def confirm(
    directory: str | Path,
    *,
    groups: str | Iterable[str] = (),
    remedy: str | None = None,
    seeds: int = 2,
    minutes: float | None = None,
    out: str | Path | None = None,
    rows: str | Path | None = None,
    recipe: str | Path | Recipe | None = None,
    metrics: Iterable[str] = ("error_rate",),
    tree: SavedTree | str | Path | None = None,
    confidence: float | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    seed: int = 0,
    device: str = "auto",
    workers: int | ExecutorConfig = 1,
    trust: Iterable[str] = (),
    allow_protocol_mismatch: bool = False,
) -> Confirmations:
    """Train the change that each verdict advises and compare its gain, as `mdtree confirm`.

    What is trained already is not trained again: the same call resumes what was interrupted.

    Args:
        directory: a measured zoo, or a measured directory whose recipe has `training`.
        groups: the groups to confirm; none are all whose verdict advises a change.
        remedy: the change to try: `raise_temperature`, `lower_temperature`, `enlarge_model` or
            `add_data`; without it, that of the verdict.
        seeds: networks to train with the change.
        minutes: the time for training; what does not fit into it is `left`.
        out: the folder for the changed networks and the rows; without it, `DIRECTORY-confirm`.
        rows: the measurements; without them, `rows.jsonl` in the directory.
        recipe: a recipe with `training`; without it, `zoo.yaml` or `mdtree.yaml` in the directory.
        metrics: what is measured of the changed networks.
        tree: the tree of the verdicts, as in `diagnose`, and so is `confidence`.
        confidence: the probability below which a verdict is `unsure`.
        protocol: the way of measuring, and the rows to take.
        seed: of measuring and of resampling.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, ...
        workers: a number of processes for training, or an `ExecutorConfig`.
        trust: code that may run, by name.
        allow_protocol_mismatch: use a tree of another protocol; the verdict says so.

    Returns:
        One comparison for each group that was trained, in a list that a notebook shows as a page of
        text; `changes`, `skipped`, `failures` and `left` tell the rest.

    Raises:
        RecipeError: it is not known how the networks were trained.
        RowsError: the directory was not measured, or there is no such group.
        MdtreeError: no verdict advises a change, or the change cannot be made.
    """
    from mdtree.confirmation import ConfirmationSettings, plan_changes
    from mdtree.confirmation import confirm as confirm_plan

    settings = ConfirmationSettings(
        directory=Path(directory),
        out=None if out is None else Path(out),
        rows_path=None if rows is None else Path(rows),
        groups=(groups,) if isinstance(groups, str) else tuple(groups),
        remedy=remedy,
        seeds=seeds,
        minutes=minutes,
        recipe=recipe,
        metrics=(metrics,) if isinstance(metrics, str) else tuple(metrics),
        tree=str(tree) if isinstance(tree, Path) else tree,
        confidence=confidence,
        protocol=protocol,
        seed=seed,
        device=device,
        trust=(trust,) if isinstance(trust, str) else tuple(trust),
        workers=workers,
        allow_protocol_mismatch=allow_protocol_mismatch,
    )
    return Confirmations(confirm_plan(plan_changes(settings)))
