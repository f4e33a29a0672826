"""Error rates and losses on the whole training and test set, with stored BatchNorm statistics.

    error = 100 * (wrong items) / n                      in percent
    loss  = (1/n) * sum_i loss_i                         in nats for cross entropy

One value for each member, then the mean over members.  The standard error is that over members;
for one member it is sqrt(p (1-p) / n) for the error, and sd(loss_i) / sqrt(n) for the loss.
Both protocols measure these quantities in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mdtree.batch import Batch, describe, size, targets, to_device
from mdtree.datasets import Items
from mdtree.exceptions import DataError
from mdtree.measurements import Missing, Value, mean_over_members
from mdtree.metrics.base import Metric, Subject, Workload
from mdtree.models import Run

__all__ = ["ERROR_RATE"]


@dataclass(frozen=True, kw_only=True)
class _Score:
    """One member on every item of one half of the data."""

    wrong: Tensor | None  # (n,) 0, 1, or NaN as the outputs are; None: the targets are no classes
    losses: Tensor  # (n,) float64
    each: bool  # False: the loss gives means of batches only

    def error(self) -> float:
        """Share of wrong items in percent."""
        assert self.wrong is not None
        return 100 * float(self.wrong.double().mean())

    def error_stderr(self) -> float:
        """Binomial standard error in percent."""
        share = self.error() / 100
        return 100 * math.sqrt(share * (1 - share) / len(self.losses))

    def mean_loss(self) -> float:
        """Mean over the items."""
        return float(self.losses.mean())

    def loss_stderr(self) -> float | None:
        """Give sd / sqrt(n), where single items are known."""
        if not self.each or len(self.losses) == 1:
            return None
        return float(self.losses.std()) / math.sqrt(len(self.losses))


def compute(subject: Subject) -> dict[str, Value]:
    """Measure train_error, test_error, train_loss and test_loss."""
    halves = {"train": subject.data.train, "test": subject.data.test}
    members = [
        subject.network.held(weights, partial(_scores, subject, halves))
        for weights in subject.members.values()
    ]
    values: dict[str, Value] = {}
    for half, items in halves.items():
        if items is None:
            missing = Missing(missing=f"the recipe names no {half} data")
            values |= {f"{half}_error": missing, f"{half}_loss": missing}
            continue
        scores = [member[half] for member in members]
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


def _scores(subject: Subject, halves: Mapping[str, Items | None], run: Run) -> dict[str, _Score]:
    return {
        half: _score(subject, items, run) for half, items in halves.items() if items is not None
    }


def _score(subject: Subject, items: Items, run: Run) -> _Score:
    """Run one member over one half of the data; the device is asked for numbers only at the end."""
    wrong: list[Tensor] = []
    losses: list[Tensor] = []
    each = True
    with torch.inference_mode():
        for batch in items.batches(subject.batch_size):
            here = to_device(batch, subject.device)
            output = run(here)
            if _is_classification(batch):
                _check_classes(batch, output)
                wrong.append(_wrong(output, targets(here)))
            loss = _loss(subject, output, here)
            each &= loss.dim() == 1
            losses.append(loss.expand(size(batch)))
    return _Score(
        wrong=torch.cat(wrong).cpu() if wrong else None,
        losses=torch.cat(losses).cpu().double(),
        each=each,
    )


def _wrong(output: Tensor, labels: Tensor) -> Tensor:
    """Hold the class of the largest output to the label; what is NaN has said nothing."""
    largest, said = output.max(1)
    return (said != labels).float().masked_fill(largest.isnan(), math.nan)


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
    lowest, highest = (int(label) for label in torch.aminmax(labels))
    if lowest < 0 or highest >= output.shape[1]:
        raise DataError(
            f"the labels go from {lowest} to {highest} and the network has {output.shape[1]} "
            "outputs: wrong number of classes in model.kwargs, or other data? "
            "(numbers to predict, not classes, are stored as floats)"
        )


ERROR_RATE = Metric(
    name="error_rate",
    quantities=("train_error", "test_error", "train_loss", "test_loss"),
    compute=compute,
    cost=cost,
)
