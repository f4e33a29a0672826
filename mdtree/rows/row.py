"""A row: all that is known of one group under one protocol, and where it came from."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mdtree.rows.facts import Fact
from mdtree.rows.quantities import QUANTITIES

__all__ = [
    "FORMAT",
    "MOST_FACTS",
    "Copy",
    "Detail",
    "GroupError",
    "Measured",
    "Missing",
    "Provenance",
    "Row",
    "RowKey",
    "Value",
    "mean_over_members",
    "row_from_json",
    "row_to_json",
]

_WRONG = ("SnapshotsError",)  # failures that say that what was measured before is wrong

FORMAT = 1  # raised whenever an older mdtree would misread a new row

MOST_FACTS = 1000  # of a row; and as many quantities

RowKey = tuple[str, str]  # (group, protocol): at most one row each

_FROZEN = ConfigDict(extra="forbid", allow_inf_nan=False)


def _writable(text: Any) -> Any:
    """Spell out the bytes of file names that are no text, as \\udcff: JSON cannot hold them."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_writable)]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Measured:
    """A number in the unit of its quantity.

    `stderr` is the standard error of `value`: over the members where there are at least two of
    them (so it is the spread that seeds make), over the items or probes of one member otherwise.
    """

    value: float
    stderr: float | None = None  # None: not known
    members: tuple[float, ...] | None = None  # one value for each checkpoint, in order of name
    iterations: int | None = None  # of an iterative method, all members together
    converged: bool | None = None  # whether that method reached its tolerance, for each of them


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Missing:
    """A quantity that could not be measured, and why."""

    missing: Text


Value = Measured | Missing


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Detail:
    """A small table behind a quantity, for pictures: a curve, a density, a matrix of pairs."""

    columns: dict[str, tuple[float | Text | None, ...]]  # of equal lengths

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a detail must be equally long, got {lengths}")


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Copy:
    """A file that holds the weights of a member once more: that member is counted once."""

    of: Text  # the member
    sha256: str  # of the file


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Provenance:
    """Where the numbers of a row came from."""

    weights: dict[Text, str]  # member -> sha256 of its file
    recipe: str  # sha256 of what the recipe says about this group
    metrics: tuple[str, ...]  # the metrics that were run
    seed: int
    device: str
    seconds: float
    versions: dict[str, str]  # package -> version
    passes: float | None = None  # cost, in forward passes of one item
    data: str | None = None  # sha256 of the data files; None for data that come with a package
    notes: tuple[Text, ...] = ()  # choices made while reading the weights
    stamps: dict[Text, str] | None = None  # of a storage: file -> what changes with it
    copies: dict[Text, Copy] | None = None  # files that are no members of their own

    @property
    def files(self) -> dict[str, str]:
        """Give the sha256 of every file of the group, of members and of their copies."""
        return self.weights | {name: copy.sha256 for name, copy in (self.copies or {}).items()}

    @property
    def counted_once(self) -> list[str]:
        """Say which files are no members of their own, and why."""
        return [
            f"{name:.200} is identical to {copy.of:.200}"
            if copy.sha256 == self.weights.get(copy.of)
            else f"{name:.200} holds the same weights as {copy.of:.200}"
            for name, copy in (self.copies or {}).items()
        ]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class GroupError:
    """Why a group could not be measured; it is tried again on the next run."""

    kind: str  # name of the error
    reason: Text
    trace: Text | None = None  # the file beside the rows that says where it was raised


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Row:
    """One group under one protocol: the only thing that passes from measuring to diagnosing."""

    format: Literal[1]
    group: Annotated[Text, Field(min_length=1)]
    protocol: Annotated[str, Field(min_length=1)]
    facts: Annotated[dict[str, Fact], Field(max_length=MOST_FACTS)]
    quantities: Annotated[dict[str, Value], Field(max_length=MOST_FACTS)]
    provenance: Provenance | None = None  # None for rows that were measured elsewhere
    failure: GroupError | None = None
    details: dict[str, Detail] | None = None  # None: there are none

    @property
    def key(self) -> RowKey:
        """What makes a row unique in its file."""
        return self.group, self.protocol

    @property
    def measured(self) -> bool:
        """Say whether it holds a measurement, of which a later failure takes nothing.

        One that an older mdtree made of the snapshots of a run, as if they were seeds, is wrong.
        """
        if self.failure is None:
            return True
        return self.provenance is not None and self.failure.kind not in _WRONG

    @property
    def outlived(self) -> bool:
        """Say whether its failure is that of a later attempt, and all of an earlier one is here."""
        if self.failure is None or self.provenance is None:
            return False
        metrics = {QUANTITIES[name].metric for name in self.quantities if name in QUANTITIES}
        return metrics <= set(self.provenance.metrics)


_ROW = TypeAdapter(Row)


def row_to_json(row: Row) -> bytes:
    """One line of a measurements file, without its line feed."""
    return _ROW.dump_json(row, exclude_none=True)


def row_from_json(line: bytes) -> Row:
    """Read one line; raises pydantic's ValidationError, which lists every fault with its place."""
    return _ROW.validate_json(line)


def mean_over_members(values: Sequence[float], *, single_stderr: float | None) -> Value:
    """Combine the values of the members of a group into one.

    value  = mean(x_1 .. x_k)
    stderr = sd(x_1 .. x_k) / sqrt(k), and `single_stderr` for k = 1
    """
    broken = [value for value in values if not math.isfinite(value)]
    if broken:
        return Missing(missing=f"not finite for {len(broken)} of {len(values)} checkpoints")
    stderr = single_stderr
    try:
        mean = statistics.fmean(values)
        if len(values) > 1:
            stderr = statistics.stdev(values) / math.sqrt(len(values))
    except OverflowError:
        return Missing(missing="the values of the checkpoints are too large to be averaged")
    if stderr is not None and not math.isfinite(stderr):
        stderr = None
    return Measured(value=mean, stderr=stderr, members=tuple(values))
