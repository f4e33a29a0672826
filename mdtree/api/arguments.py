"""What the functions of the Python interface are given, as the packages below take it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig
from mdtree.rows import Row, load_rows, rows_file

if TYPE_CHECKING:
    from torch import nn

    from mdtree.measurement import ModelsInMemory, Request

__all__ = [
    "RowsSource",
    "all_rows",
    "as_directories",
    "executor_config",
    "in_memory",
    "is_on_a_cluster",
    "rows_path",
]

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


def as_directories(others: str | Path | Iterable[str | Path]) -> tuple[str | Path, ...]:
    """Return directories that can be gone through twice; one of them need not be in a list."""
    return (others,) if isinstance(others, str | Path) else tuple(others)


def rows_path(
    directory: str | Path, out: str | Path | None, others: Iterable[str | Path] = ()
) -> Path:
    """Return the file of rows of a directory, unless another one is named."""
    return rows_file(directory, None if out is None else Path(out), tuple(others))


def all_rows(rows: RowsSource, *, failed: bool = False) -> Sequence[Row]:
    """Return rows as they are, or read them."""
    return load_rows(Path(rows), failed=failed) if isinstance(rows, str | Path) else rows
