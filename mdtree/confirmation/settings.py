"""What is to be confirmed, and how: made in one place for Python and the command line."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from mdtree.confirmation.source import TrainingSource, training_source
from mdtree.diagnosis import Diagnoser, diagnoser_for
from mdtree.exceptions import MdtreeError, OutputError, RowsError
from mdtree.executors import ExecutorConfig
from mdtree.measurement import Request, check_metrics, make_request
from mdtree.messages import nearest
from mdtree.recipes import Recipe, Trust
from mdtree.rows import (
    DEFAULT_PROTOCOL,
    Row,
    check_protocol,
    check_seed,
    find_rows,
    is_address,
    load_rows,
    measured_file,
)
from mdtree.rows.atomic import own
from mdtree.runtime.device import pick_device, visible_gpus
from mdtree.trees import SavedTree
from mdtree.zoo import names_in_recipe, names_to_trust

__all__ = ["ERROR_RATE", "ConfirmationSettings"]

ERROR_RATE = "error_rate"  # the metric that tells the gain


@dataclass(frozen=True, kw_only=True)
class ConfirmationSettings:
    """Which groups of a directory, which change, how many networks, and how they are measured."""

    directory: Path
    out: Path | None = None  # None: DIRECTORY-confirm, beside it
    rows_path: Path | None = None  # None: rows.jsonl in the directory
    groups: tuple[str, ...] = ()  # none: all
    remedy: str | None = None  # None: that of the verdict
    seeds: int = 2
    minutes: float | None = None  # for training; None: no limit
    recipe: str | Path | Recipe | None = None
    metrics: tuple[str, ...] = (ERROR_RATE,)  # of the changed networks
    tree: SavedTree | str | None = None
    confidence: float | None = None
    allow_protocol_mismatch: bool = False
    protocol: str = DEFAULT_PROTOCOL
    seed: int = 0  # of measuring and resampling
    device: str = "auto"
    trust: tuple[str, ...] = ()
    workers: int | ExecutorConfig | None = None  # that train; None: this process

    def __post_init__(self) -> None:
        check_protocol(self.protocol)
        check_seed(self.seed)
        check_metrics(self.metrics)
        if self.seeds < 1:
            raise MdtreeError(f"seeds must be at least 1, got {self.seeds}")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise MdtreeError(f"minutes must be a number above 0, got {self.minutes}")
        if is_address(str(self.directory)) or not os.path.isdir(self.directory):  # noqa: PTH112 - as in home_of
            raise MdtreeError(
                f"{self.directory} is not a directory of this machine: name the directory in which "
                "the networks were trained (`mdtree zoo train`), as more of them are to be trained"
            )

        if self.out is not None and _is_inside(self.out, self.directory):
            raise OutputError(
                f"{self.out} is inside {self.directory}, whose groups it would join: name a folder "
                "outside with --out"
            )

    @property
    def place(self) -> Path:
        """The folder for the changed networks and the rows."""
        if self.out is not None:
            return self.out
        home = self.directory
        if home.name in ("", ".."):  # as in `mdtree confirm .`
            home = Path(os.path.abspath(home))  # noqa: PTH100 - links stay
        place = home.with_name(f"{home.name}-confirm")
        return own(place, home.parent, advice="name another folder with --out")

    @property
    def rows_of_directory(self) -> Path:
        """The file of rows of the directory."""
        return self.rows_path or measured_file(self.directory)

    @property
    def device_name(self) -> str:
        """The device, as torch names it."""
        return pick_device(self.device)

    @property
    def executor(self) -> ExecutorConfig:
        """The workers that train."""
        if isinstance(self.workers, ExecutorConfig):
            return self.workers
        return ExecutorConfig(workers=self.workers, devices=visible_gpus(self.device_name))

    def source(self) -> TrainingSource:
        """Find out how the networks of the directory were trained."""
        return training_source(self.directory, self.recipe, trust=self.trust)

    def rows(self) -> list[Row]:
        """Read what was measured of the directory under the protocol.

        Raises:
            RowsError: Nothing was measured, or there is no such group.
        """
        known = self.rows_path or self.directory
        if self.rows_path is None:
            try:
                find_rows(self.directory)
            except RowsError:
                find_rows(self.directory, needs=self._needs())
        rows = load_rows(known, protocol=self.protocol, failed=True)
        names = [row.group for row in rows]
        for name in self.groups:
            if name not in names:
                raise RowsError(f"there is no measured group {name!r:.100}{nearest(name, names)}")
        return rows

    def _needs(self) -> str:
        """Return the options without which `mdtree measure` would refuse the directory."""
        if self.recipe is not None:  # who names a recipe trusts it
            return "" if isinstance(self.recipe, Recipe) else f" --recipe {self.recipe}"
        source = self.source()
        recipe = source.recipe
        names = (
            names_in_recipe(recipe.model, recipe.data, recipe.loss)
            if source.zoo is None
            else names_to_trust(source.zoo)
        )
        return "".join(f" --trust {name:.200}" for name in names)

    def diagnoser(self, rows: list[Row]) -> Diagnoser:
        """Choose the tree as `mdtree diagnose DIRECTORY` does."""
        return diagnoser_for(
            rows,
            self.tree,
            confidence=self.confidence,
            seed=self.seed,
            allow_protocol_mismatch=self.allow_protocol_mismatch,
        )

    def request(self, root: Path, group: str, *, own_trust: Trust | None = None) -> Request:
        """Return the request to measure a group below a root.

        A root of our own has its recipe, which was written from the user's: the same code may run.
        """
        request = make_request(
            root,
            recipe=self.recipe if own_trust is None else None,
            metrics=(ERROR_RATE,) if own_trust is None else self.metrics,
            protocol=self.protocol,
            seed=self.seed,
            device=self.device,
            trust=self.trust,
            groups=(group,),
        )
        return request if own_trust is None else replace(request, trust=own_trust)


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
