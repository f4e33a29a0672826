"""The errors that mdtree raises on purpose, with their exit codes on the command line.

    MdtreeError                        2   wrong use or bad input
    ├── RecipeError                    2   the recipe is invalid
    │   └── UntrustedError             2   the recipe names code that it may not use
    ├── DataError                      2   the data cannot be read or do not fit the model
    ├── CheckpointError                2   a weights file cannot be used
    │   ├── UnreadableError            2   not weights, or damaged
    │   ├── UnsafeError                2   holds code, which is never run
    │   ├── MismatchError              2   the weights belong to another model
    │   │   └── DivergedError          2   the weights are NaN or infinite: training diverged
    │   └── SnapshotsError             2   snapshots of one run where seeds are expected
    ├── AccuracyError                  2   the measured accuracy is not the one that was logged
    ├── RowsError                      2   a measurements file cannot be read
    ├── TreeError                      2   a tree file cannot be read, or a tree cannot be fitted
    │   └── ProtocolError              2   rows and tree were measured in different ways
    ├── MissingExtraError              3   an optional package is not installed
    ├── LockedError                    4   another process writes the same file
    └── OutputError                    5   the result cannot be written

Exit code 0 is "done", 1 is "finished, but some groups failed", 130 is "interrupted" (Ctrl-C),
143 "terminated" (SIGTERM).
A message says what was found, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "AccuracyError",
    "CheckpointError",
    "DataError",
    "DivergedError",
    "LockedError",
    "MdtreeError",
    "MismatchError",
    "MissingExtraError",
    "OutputError",
    "ProtocolError",
    "RecipeError",
    "RowsError",
    "SnapshotsError",
    "TreeError",
    "UnreadableError",
    "UnsafeError",
    "UntrustedError",
]


class MdtreeError(Exception):
    """Base class of all errors that mdtree raises on purpose."""

    exit_code = 2


class RecipeError(MdtreeError):
    """The recipe, or its counterpart on the command line, is invalid."""


class UntrustedError(RecipeError):
    """A recipe found inside a directory names code that it may not use."""


class DataError(MdtreeError):
    """The data cannot be read, or do not fit the model."""


class CheckpointError(MdtreeError):
    """A weights file cannot be used; other files are not affected."""


class UnreadableError(CheckpointError):
    """The file is not a weights file, or is damaged."""


class UnsafeError(CheckpointError):
    """Reading the file would run code, so it was not read."""


class MismatchError(CheckpointError):
    """The weights do not belong to the model of the recipe."""


class DivergedError(MismatchError):
    """The weights contain NaN or infinity: training diverged.

    Of a group, `networks` names those that diverged, among `of` networks.
    """

    networks: tuple[str, ...] = ()
    of: int = 0
    whole: bool = False  # no weight is finite: the files of two such networks may be equal

    @classmethod
    def of_group(cls, message: str, networks: Iterable[str], of: int) -> DivergedError:
        """Return an error that names the networks of a group."""
        error = cls(message)
        error.networks, error.of = tuple(networks), of
        return error


class SnapshotsError(CheckpointError):
    """The files of a group may be snapshots of one run, and which to measure is not clear."""


class AccuracyError(MdtreeError):
    """The measured accuracy differs from what the trainer logged, or from what is expected."""


class RowsError(MdtreeError):
    """A measurements file cannot be read."""


class TreeError(MdtreeError):
    """A tree file cannot be read, or a tree cannot be fitted to the rows."""


class ProtocolError(TreeError):
    """Rows and tree were measured in different ways, so their numbers are not comparable."""


class MissingExtraError(MdtreeError):
    """A required optional package is not installed."""

    exit_code = 3


class LockedError(MdtreeError):
    """Another process is writing the same file."""

    exit_code = 4


class OutputError(MdtreeError):
    """The result cannot be written to the requested place."""

    exit_code = 5
