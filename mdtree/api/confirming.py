"""`mdtree.confirm`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mdtree.api.results import Confirmations
from mdtree.executors import ExecutorConfig
from mdtree.recipes import Recipe
from mdtree.rows import DEFAULT_PROTOCOL
from mdtree.trees import SavedTree

__all__ = ["confirm"]


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
