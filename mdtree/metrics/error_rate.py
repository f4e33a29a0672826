"""Error rates and losses on the whole training and test set, with stored BatchNorm statistics.

    error = 100 * (wrong items) / n                      in percent
    loss  = (1/n) * sum_i loss_i                         in nats for cross entropy

One value for each member, then the mean over members.  The standard error is that over members;
for one member it is sqrt(p (1-p) / n) for the error, and sd(loss_i) / sqrt(n) for the loss.
Both protocols measure these quantities in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import Batch, describe, size, targets, to_device
from mdtree.datasets import Items
from mdtree.exceptions import DataError
from mdtree.measurements import Missing, Value, mean_over_members
from mdtree.metrics.base import Metric, Subject, Workload
from mdtree.models import Weights

__all__ = ["ERROR_RATE"]


@dataclass(frozen=True, kw_only=True)
class _Score:
    """Sums over the items of one half of the data, for one member."""

    items: int
    wrong: float | None  # None: the outputs are no classes
    loss: float  # sum
    loss_squares: float | None  # sum of squares; None: the loss gives means only

    def error(self) -> float:
        """Share of wrong items in percent."""
        assert self.wrong is not None
        return 100 * self.wrong / self.items

    def error_stderr(self) -> float:
        """Binomial standard error in percent."""
        share = self.error() / 100
        return 100 * math.sqrt(share * (1 - share) / self.items)

    def mean_loss(self) -> float:
        """Mean over the items."""
        return self.loss / self.items

    def loss_stderr(self) -> float | None:
        """Give sd / sqrt(n), where single items are known."""
        if self.loss_squares is None or self.items == 1:
            return None
        variance = (self.loss_squares - self.loss**2 / self.items) / (self.items - 1)
        return math.sqrt(max(variance, 0.0) / self.items)


def compute(subject: Subject) -> dict[str, Value]:
    """Measure train_error, test_error, train_loss and test_loss."""
    values: dict[str, Value] = {}
    for half, items in (("train", subject.data.train), ("test", subject.data.test)):
        if items is None:
            missing = Missing(missing=f"the recipe names no {half} data")
            values |= {f"{half}_error": missing, f"{half}_loss": missing}
            continue
        scores = [_score(subject, weights, items) for weights in subject.members.values()]
        values[f"{half}_error"] = _error(scores)
        values[f"{half}_loss"] = mean_over_members(
            [score.mean_loss() for score in scores], single_stderr=scores[0].loss_stderr()
        )
    return values


def cost(work: Workload) -> float:
    """Count one forward pass of each item for each member."""
    return work.members * (work.train_items + work.test_items)


def _error(scores: list[_Score]) -> Value:
    if any(score.wrong is None for score in scores):
        return Missing(missing="the targets are no class numbers")
    return mean_over_members(
        [score.error() for score in scores], single_stderr=scores[0].error_stderr()
    )


def _score(subject: Subject, weights: Weights, items: Items) -> _Score:
    """Run one member over one half of the data; the device is asked for numbers only at the end."""
    wrong: list[Tensor] = []
    losses: list[Tensor] = []
    squares: list[Tensor] = []
    with torch.inference_mode():
        for batch in items.batches(subject.batch_size):
            here = to_device(batch, subject.device)
            output = subject.network(weights, here)
            if _is_classification(batch):
                _check_classes(batch, output)
                wrong.append((output.argmax(1) != targets(here)).sum())
            loss = _loss(subject, output, here)
            each = loss.dim() == 1 and len(loss) == size(batch)
            losses.append(loss.sum() if each else loss * size(batch))
            if each:
                squares.append(loss.square().sum())
    return _Score(
        items=len(items),
        wrong=_total(wrong) if wrong else None,
        loss=_total(losses),
        loss_squares=_total(squares) if len(squares) == len(losses) else None,
    )


def _loss(subject: Subject, output: Tensor, batch: Batch) -> Tensor:
    try:
        loss = subject.loss(output, batch)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise DataError(
            f"the loss cannot take the output {describe(output)} of a batch {describe(batch)}: "
            f"{str(error).strip()}"
        ) from error
    if not isinstance(loss, Tensor) or (loss.dim() > 0 and loss.shape != (size(batch),)):
        raise DataError(
            f"the loss must give one number for each of {size(batch)} items or their mean, "
            f"got {describe(loss)}"
        )
    return loss


def _is_classification(batch: Batch) -> bool:
    labels = targets(batch)
    return labels.dim() == 1 and not labels.is_floating_point()


def _check_classes(batch: Batch, output: Tensor) -> None:
    """Say what is wrong before a device does: it would only stop."""
    labels = targets(batch)
    if output.dim() != 2:  # noqa: PLR2004 - items and classes
        raise DataError(f"class numbers need outputs of (items, classes), got {describe(output)}")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= output.shape[1]:
        raise DataError(
            f"the labels go from {lowest} to {highest} and the network has {output.shape[1]} "
            "outputs: wrong number of classes in model.kwargs, or other data?"
        )


def _total(parts: list[Tensor]) -> float:
    return float(torch.stack(parts).cpu().double().sum())


ERROR_RATE = Metric(
    name="error_rate",
    quantities=("train_error", "test_error", "train_loss", "test_loss"),
    compute=compute,
    cost=cost,
)
