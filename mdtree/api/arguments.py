"""What the functions of the Python interface are given, as the packages below take it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig
from mdtree.rows import Row, load_rows, rows_file
from mdtree.rows.facts import unused_fact

if TYPE_CHECKING:
    from torch import nn

    from mdtree.measurement import ModelsInMemory, Request

__all__ = [
    "RowsSource",
    "all_rows",
    "as_runs",
    "executor_config",
    "in_memory",
    "is_on_a_cluster",
    "rows_path",
    "warn_of_unused",
]

Paths = tuple[str | Path, ...]
RowsSource = str | Path | Sequence[Row]  # a file, a measured directory, or the rows themselves


def in_memory(
    source: object,
    models: Sequence[nn.Module],
    train: Any,
    test: Any,
    loss: str | Callable[..., Any],
    **settings: Any,
) -> ModelsInMemory:
    """Describe networks in memory, which stand instead of a source."""
    from mdtree.measurement import ModelsInMemory

    if source is not None:
        raise MdtreeError("name either a source or models in memory, not both")
    if train is None:
        raise MdtreeError("models in memory need data: train=..., and test=... if there are any")
    settings["facts"] = settings["facts"] or {}
    if not hasattr(models, "parameters"):  # a module is one model, whatever it holds
        models = list(models)  # a generator can be gone through once
    return ModelsInMemory(models=models, train=train, test=test, loss=loss, **settings)


def executor_config(workers: int | ExecutorConfig, request: Request) -> ExecutorConfig:
    """Describe the workers of a request."""
    from mdtree.runtime.device import visible_gpus

    if isinstance(workers, ExecutorConfig):
        return replace(workers, shared=workers.shared and request.storage is None)
    return ExecutorConfig(workers=workers, devices=visible_gpus(request.device))


def is_on_a_cluster(workers: int | ExecutorConfig) -> bool:
    """Return whether other machines measure, which need not have our devices."""
    return isinstance(workers, ExecutorConfig) and workers.ray is not None


def as_directories(others: str | Path | Iterable[str | Path]) -> Paths:
    """Return directories that can be gone through twice; one of them need not be in a list."""
    return (others,) if isinstance(others, str | Path) else tuple(others)


def as_runs(source: Any, others: str | Path | Iterable[str | Path]) -> tuple[Any, Paths]:
    """Split several directories into the first and the others, as the command takes them."""
    beside = as_directories(others)
    if not _are_paths(source):
        return source, beside
    if not all(isinstance(path, str | Path) for path in source):
        raise MdtreeError("a list holds either rows or directories of runs, not both")
    return source[0], (*source[1:], *beside)


def _are_paths(source: object) -> bool:
    return isinstance(source, list | tuple) and any(isinstance(part, str | Path) for part in source)


def rows_path(
    directory: str | Path, out: str | Path | None, others: Iterable[str | Path] = ()
) -> Path:
    """Return the file of rows of a directory, unless another one is named."""
    return rows_file(directory, None if out is None else Path(out), tuple(others))


def all_rows(rows: RowsSource, *, failed: bool = False, learning: bool = False) -> Sequence[Row]:
    """Return rows as they are, or read them; those of several zoos if a tree learns from them."""
    if _are_paths(rows):
        raise MdtreeError("rows come from one file, or are in one list: read each with load_rows")
    if not isinstance(rows, str | Path):
        first = next(iter(rows), None) if isinstance(rows, Sequence) else None
        if first is not None and not isinstance(first, Row):
            raise MdtreeError(
                f"rows are measurements (`mdtree.measure` returns them), got {type(first).__name__}"
            )
        return rows
    notice = _warn if learning else None
    return load_rows(rows, failed=failed, by_zoo=learning, notice=notice)


def warn_of_unused(facts: Iterable[str]) -> None:
    """Warn of facts that no tree uses, where another name was probably meant."""
    for unused in filter(None, map(unused_fact, facts)):
        warnings.warn(unused, UserWarning, stacklevel=3)  # where `mdtree.diagnose` was called


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=6)  # where `mdtree.fit` was called
