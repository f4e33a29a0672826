"""Everything that can go wrong on purpose, with the exit code that the command line gives it.

    MdtreeError                        2   wrong use or bad input
    ├── RecipeError                    2   the recipe does not say what can be done
    │   └── UntrustedError             2   a name that this recipe may not use
    ├── DataError                      2   the data cannot be read or do not fit the model
    ├── CheckpointError                2   one weights file cannot be used
    │   ├── UnreadableError            2   not weights, or damaged
    │   ├── UnsafeError                2   holds code, which is never run
    │   ├── MismatchError              2   the weights are of another model
    │   │   └── DivergedError          2   the weights are no numbers: training had diverged
    │   └── SnapshotsError             2   files of one run, where seeds are asked for
    ├── RowsError                      2   a measurements file cannot be read
    ├── TreeError                      2   a tree file cannot be read, or a tree cannot be fitted
    │   └── ProtocolError              2   rows and tree were measured in different ways
    ├── MissingExtraError              3   an optional package is not installed
    ├── LockedError                    4   another process writes the same file
    └── OutputError                    5   the result cannot be written

Exit code 0 is "done", 1 is "finished, but some groups failed", 130 is "interrupted" (Ctrl-C),
143 "terminated" (SIGTERM).
A message says what was got, what was allowed and what to do.
"""

from __future__ import annotations

__all__ = [
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
    """The base of all errors that mdtree raises on purpose."""

    exit_code = 2


class RecipeError(MdtreeError):
    """The recipe (or its counterpart on the command line) does not say what can be done."""


class UntrustedError(RecipeError):
    """A recipe found inside a directory names code that it may not name."""


class DataError(MdtreeError):
    """The data cannot be read, or do not fit the model."""


class CheckpointError(MdtreeError):
    """One weights file cannot be used; other files are not touched by that."""


class UnreadableError(CheckpointError):
    """The file is not a weights file, or is damaged."""


class UnsafeError(CheckpointError):
    """Reading the file would run code, so it was not read."""


class MismatchError(CheckpointError):
    """The weights do not belong to the model of the recipe."""


class DivergedError(MismatchError):
    """The weights hold NaN or infinity: training had diverged."""


class SnapshotsError(CheckpointError):
    """The files of a group were saved by one run at different times: they are no seeds."""


class RowsError(MdtreeError):
    """A measurements file cannot be read."""


class TreeError(MdtreeError):
    """A tree file cannot be read, or a tree cannot be fitted on the rows that were given."""


class ProtocolError(TreeError):
    """Rows and tree were measured in different ways, so their numbers do not compare."""


class MissingExtraError(MdtreeError):
    """An optional package is needed and not installed."""

    exit_code = 3


class LockedError(MdtreeError):
    """Another process writes the same file."""

    exit_code = 4


class OutputError(MdtreeError):
    """The result cannot be written where it was asked for."""

    exit_code = 5
