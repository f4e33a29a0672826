"""Test errors in a log: their columns, and whether they hold percent or shares.

An item that is misclassified gives its class a probability of at most 1/2, so a share e of errors
costs a cross entropy of at least e ln 2.  Where the logged loss is lower, e is percent, or the loss
another one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ERRORS", "PLAIN", "LoggedError", "percent_of"]

# what is an error rate wherever it stands; the most exact name first
ERRORS = (
    *("error_rate", "err_rate", "top1_error", "top1_err", "error_top1", "err_top1"),
    *("error_1", "err_1", "error1", "err1", "top_1_error", "top_1_err"),
)
PLAIN = ("error", "err")  # of test data; without a side, they may be of the training
_WHOLE = 100.0
_LOW = 10.0  # percent that a log of errors mostly begins above, and a log of losses below
_UNKNOWN = "(a fact says what it means: test_accuracy, in percent)"


@dataclass(frozen=True)
class LoggedError:
    """One number, with its column."""

    column: str
    number: float
    loss: float | None  # test loss beside it

    @property
    def is_too_large(self) -> bool:
        """Whether as a share, it would cost more loss than was logged."""
        return self.loss is not None and self.loss < math.log(2) * self.number

    @property
    def is_plain(self) -> bool:
        """Whether the column does not say that it holds a rate."""
        return self.column in PLAIN or self.column.partition("_")[2] in PLAIN


def percent_of(
    errors: Sequence[LoggedError], *, has_losses: bool
) -> tuple[float | None, str | None]:
    """Return by what the errors of a log are multiplied to be percent; None, and why, if open.

    Args:
        errors: All errors of a log.
        has_losses: Losses are logged as well, so that `error` is not the name of a loss.

    """
    name, largest = errors[0].column, max(each.number for each in errors)
    if largest <= 1:
        if not any(each.is_too_large for each in errors):
            return _WHOLE, None
        return None, (
            f"{name} is not used: all its numbers are at most 1, and as shares they do not fit "
            f"the logged loss {_UNKNOWN}"
        )
    if errors[0].is_plain and not has_losses and largest < _LOW:
        return None, f"{name} is not used: it may hold percent or a loss {_UNKNOWN}"
    return 1.0, None
