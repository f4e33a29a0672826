"""A row: everything known about a group under one protocol, and its provenance."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NoReturn

from mdtree.exceptions import DivergedError
from mdtree.messages import listed, plural, shortened
from mdtree.rows.facts import Fact
from mdtree.rows.forms import Late, Limits, adapter_of, checked
from mdtree.rows.plain import plain
from mdtree.rows.quantities import QUANTITIES

__all__ = [
    "FORMAT",
    "HISTORY_DETAIL",
    "MAYBE_ONE_RUN",
    "MISSING_DETAIL",
    "MOST_FACTS",
    "STEP_DETAIL",
    "Copy",
    "Detail",
    "Diverged",
    "GroupFailure",
    "Measured",
    "Missing",
    "Provenance",
    "Row",
    "RowKey",
    "Stopped",
    "Value",
    "mean_over_members",
    "row_from_json",
    "row_to_json",
]

_WRONG = ("SnapshotsError",)  # failures that invalidate earlier measurements

_LONGEST = 200  # characters of the name of a network in a sentence

FORMAT = 1  # raised whenever an older mdtree would misread a new row

MOST_FACTS = 1000  # of a row; the same limit holds for quantities

# details of a row that is one step of a run: when it was saved, and what the trainer had logged
STEP_DETAIL, HISTORY_DETAIL = "step", "history"
MISSING_DETAIL = "missing"  # the only column of a detail that could not be measured: why

# in a note of the provenance: nothing tells whether checkpoints are seeds
MAYBE_ONE_RUN = "may be snapshots of one run"

RowKey = tuple[str, str]  # (group, protocol): at most one row each

_FEW = 50  # lines, which are read before pydantic is imported


def _writable(text: Any) -> Any:
    """Escape the bytes of file names that are not text, as \\udcff: JSON cannot hold them."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


def _escaped() -> Iterator[Any]:
    from pydantic import BeforeValidator

    yield BeforeValidator(_writable)


Text = Annotated[str, Late(_escaped)]


@checked
class Measured:
    """A number in the unit of its quantity.

    `stderr` is the standard error of `value`: over the members if there are at least two (the
    variation between seeds), otherwise over the items or probes of the single member.
    """

    value: float
    stderr: float | None = None  # None: unknown
    members: tuple[float, ...] | None = None  # one value per checkpoint, sorted by name
    iterations: int | None = None  # of an iterative method, summed over members
    converged: bool | None = None  # whether the method reached its tolerance for every member


@checked
class Missing:
    """A quantity that could not be measured, and why."""

    missing: Text


Value = Measured | Missing

# the tolerance of the quantity, the most that may be spent, or a verdict that could not change
Stopped = Literal["tolerance", "budget", "verdict"]


@checked
class Detail:
    """A small table behind a quantity, for plots: a curve, a density, a matrix of pairs."""

    columns: dict[str, tuple[float | Text | None, ...]]  # of equal lengths

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a detail must have equal lengths, got {lengths}")


@checked
class Copy:
    """A file with the same weights as a member, which is counted only once."""

    of: Text  # the member
    sha256: str  # of the file


@checked
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
    data: str | None = None  # sha256 of the data files; None for data inside a package
    notes: tuple[Text, ...] = ()  # choices made while reading the weights
    stamps: dict[Text, str] | None = None  # in a storage: file -> stamp of its version
    copies: dict[Text, Copy] | None = None  # files that only repeat a member
    stopped: dict[str, Stopped] | None = None  # quantity -> what ended its iterative method
    # of those that a verdict stopped: the ends between which the tolerance would find it, in 99 %
    reach: dict[str, tuple[float, float]] | None = None

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of every file of the group, members and their copies."""
        return self.weights | {name: copy.sha256 for name, copy in (self.copies or {}).items()}

    @property
    def counted_once(self) -> list[str]:
        """Sentences on the files that repeat a member."""
        return [
            f"{name:.200} is identical to {copy.of:.200}"
            if copy.sha256 == self.weights.get(copy.of)
            else f"{name:.200} holds the same weights as {copy.of:.200}"
            for name, copy in (self.copies or {}).items()
        ]


@checked
class GroupFailure:
    """Why a group could not be measured; the next run tries again."""

    kind: str  # name of the error
    reason: Text
    trace: Text | None = None  # the file with the traceback, next to the rows


@checked
class Diverged:
    """The networks of a group whose training diverged."""

    networks: tuple[Text, ...]  # names of their files, or of the records of their training
    of: int  # networks of the group
    inputs: str | None = (
        None  # sha256 of what nothing could be measured of; None: there are numbers
    )

    @property
    def is_part(self) -> bool:
        """Whether other networks of the group did not diverge."""
        return 0 < len(self.networks) < self.of

    @property
    def is_whole(self) -> bool:
        """Whether every network of the group diverged, and is named."""
        return 0 < len(self.networks) == self.of

    @property
    def says(self) -> str:
        """Which networks diverged, in a sentence.

        >>> Diverged(networks=("seed-1.pt",), of=2).says
        '1 of 2 networks diverged: seed-1.pt'
        >>> Diverged(networks=("seed-0.pt", "seed-1.pt"), of=2).says
        'all 2 networks diverged: seed-0.pt, seed-1.pt'
        """
        count = f"{len(self.networks)} of {plural(self.of, 'network')}"
        if self.is_whole:
            count = "the only network" if self.of == 1 else f"all {self.of} networks"
        return f"{count} diverged: {listed([shortened(name, _LONGEST) for name in self.networks])}"


@checked
class Row:
    """One group under one protocol: the only interface between measuring and diagnosing."""

    format: Literal[1]
    group: Annotated[Text, Limits(min_length=1)]
    protocol: Annotated[str, Limits(min_length=1)]
    facts: Annotated[dict[str, Fact], Limits(max_length=MOST_FACTS)]
    quantities: Annotated[dict[str, Value], Limits(max_length=MOST_FACTS)]
    provenance: Provenance | None = None  # None for rows that were measured elsewhere
    failure: GroupFailure | None = None
    diverged: Diverged | None = None  # None: no network is known to have diverged
    details: dict[str, Detail] | None = None  # None: there are none

    @property
    def key(self) -> RowKey:
        """The key that is unique in a file."""
        return self.group, self.protocol

    @property
    def measured(self) -> bool:
        """Whether the row has a valid measurement; a later failure does not invalidate it.

        The exception: an older mdtree measured snapshots of one run as if they were seeds.
        """
        if self.failure is None:
            return True
        return self.provenance is not None and self.failure.kind not in _WRONG

    @property
    def has_numbers(self) -> bool:
        """Whether anything was measured."""
        return any(isinstance(value, Measured) for value in self.quantities.values())

    @property
    def is_diverged(self) -> bool:
        """Whether weights are NaN or infinite, and nothing else was measured."""
        return (
            self.failure is not None
            and self.failure.kind == DivergedError.__name__
            and not self.has_numbers
        )

    @property
    def outlived(self) -> bool:
        """Whether the failure is of a later attempt, and the earlier measurement is complete."""
        if self.failure is None or self.provenance is None:
            return False
        metrics = {QUANTITIES[name].metric for name in self.quantities if name in QUANTITIES}
        return metrics <= set(self.provenance.metrics)


def row_to_json(row: Row) -> bytes:
    """Return a row as a line of a measurements file, without the line feed."""
    return adapter_of(Row).dump_json(row, exclude_none=True)


def row_from_json(line: bytes) -> Row:
    """Parse a line; raise pydantic's ValidationError, which lists every fault with its place."""
    row = _plain_row(line) if next(_lines) < _FEW else None
    if row is None:
        row = adapter_of(Row).validate_json(line)
    return row


_lines = itertools.count()  # that were read


def _plain_row(line: bytes) -> Row | None:
    try:
        content = json.loads(line.decode(), parse_constant=_refused, object_pairs_hook=_named_once)
    except (ValueError, RecursionError):
        return None
    row: Row | None = plain(Row, content)
    return row


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid JSON")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        raise ValueError("a name stands twice")
    return known


def mean_over_members(values: Sequence[float], *, single_stderr: float | None) -> Value:
    """Average the values of a group's members.

    value  = mean(x_1 .. x_k)
    stderr = sd(x_1 .. x_k) / sqrt(k), or `single_stderr` for k = 1

    >>> mean_over_members([1.0, 3.0], single_stderr=None)
    Measured(value=2.0, stderr=1.0, members=(1.0, 3.0), iterations=None, converged=None)
    """
    import statistics  # late: it takes a tenth of what a verdict may

    broken = [value for value in values if not math.isfinite(value)]
    if broken:
        return Missing(missing=f"not finite for {len(broken)} of {len(values)} checkpoints")
    stderr = single_stderr
    try:
        mean = statistics.fmean(values)
        if len(values) > 1:
            stderr = statistics.stdev(values) / math.sqrt(len(values))
    except OverflowError:
        return Missing(missing="the values of the checkpoints are too large to average")
    if stderr is not None and not math.isfinite(stderr):
        stderr = None
    return Measured(value=mean, stderr=stderr, members=tuple(values))
