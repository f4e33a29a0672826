"""Is it your accuracy?  What was measured beside what the trainer logged, or what the user expects.

Data without their normalisation, labels in another order or a network in training mode give
numbers that look plausible, and verdicts about a network that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mdtree.exceptions import AccuracyError, MdtreeError
from mdtree.rows import Measured, Row

__all__ = ["AccuracyCheck", "check_accuracy"]

_ERRORS = 4.0  # standard errors, beyond which a difference is not chance
_CHANCE = 2.0  # standard errors, within which what was logged is at the level of chance
_LOGGED = 5.0  # points, that the trainer's validation data may be easier or harder
_WHOLE = 100.0
_EXPECTED = 0.5  # points, by which people round
_ABSURD = 20.0  # points that no training set is harder than new items


@dataclass(frozen=True, kw_only=True)
class AccuracyCheck:
    """The test accuracy of a group, in percent, and what it should be."""

    group: str
    measured: float
    stderr: float
    train: float | None  # training accuracy
    expected: float | None
    is_logged: bool  # by the trainer; otherwise the user says it
    is_share: bool = False  # the trainer logged a number of at most 1, which was taken for a share
    is_undecided: bool = False  # it may as well be percent, of a network at the level of chance

    @property
    def differs(self) -> bool:
        """Whether the two differ by more than chance, rounding and another split explain."""
        if self.expected is None or self.is_undecided:
            return False
        allowance = _LOGGED if self.is_logged else _EXPECTED
        return abs(self.measured - self.expected) > _ERRORS * self.stderr + allowance

    def raise_if_different(self) -> None:
        """Stop where the network that was measured is hardly the one that was trained.

        Raises:
            AccuracyError: The accuracies differ.

        """
        allowance = _ABSURD + _ERRORS * self.stderr
        if self.train is not None and self.train < self.measured - allowance:
            raise AccuracyError(
                f"{self.group}: the measured training accuracy is {self.train:.1f} %, far below "
                f"the test accuracy of {self.measured:.1f} %. Are these the training data, and "
                "are their labels in the same order?"
            )
        if not self.differs:
            return
        source = "the trainer logged" if self.is_logged else "you expect"
        is_share = self.is_logged and self.is_share
        read = f" ({(self.expected or 0) / _WHOLE:.4g}, read as a share)" if is_share else ""
        raise AccuracyError(
            f"{self.group}: the measured test accuracy is {self.measured:.1f} %, but {source} "
            f"{self.expected:.1f} %{read}. Look at the normalisation of the inputs "
            "(data.transform), the order of the labels, the split, and the weights "
            "(--weights-key). If the measured "
            f"number is right, say so: --expect {self.measured:.1f}"
        )


def check_accuracy(
    row: Row,
    logged: float | None,
    expected: float | None,
    *,
    shares: tuple[float, float] | None = None,
    classes: Callable[[], int | None] | None = None,
) -> AccuracyCheck | None:
    """Compare the test accuracy of a row; None where it was not measured.

    Args:
        row: A row whose error rates were measured.
        logged: The accuracy that the trainer logged for these checkpoints, in percent.
        expected: What the user expects, in percent; it replaces what was logged.
        shares: The lowest and the highest number of the log, where all were taken for shares.
        classes: Counts them, which takes opening a file, where it is needed.

    """
    if expected is not None and not 0 <= expected <= _WHOLE:  # NaN is not
        raise MdtreeError(f"an accuracy is a percentage, 0 to 100; got {expected}")
    error = row.quantities.get("test_error")
    if not isinstance(error, Measured):
        return None
    stderr = error.stderr or 0.0
    train = row.quantities.get("train_error")
    check = AccuracyCheck(
        group=row.group,
        measured=100 - error.value,
        stderr=stderr,
        train=100 - train.value if isinstance(train, Measured) else None,
        expected=logged if expected is None else expected,
        is_logged=expected is None,
        is_share=shares is not None,
    )
    if expected is not None or shares is None or classes is None or not check.differs:
        return check
    return replace(check, is_undecided=_is_untrained(check, shares, classes()))


def _is_untrained(check: AccuracyCheck, shares: tuple[float, float], classes: int | None) -> bool:
    """Return whether a log is that of a network which never left the level of chance.

    Then its numbers are percent.  What was measured must agree.
    """
    if classes is None:
        return False
    chance = _WHOLE / classes
    percent = (check.expected or 0.0) / _WHOLE
    return (
        all(abs(number - chance) <= _CHANCE * check.stderr for number in shares)
        and abs(check.measured - percent) <= _ERRORS * check.stderr
    )
