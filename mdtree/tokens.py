"""Tokens: the cross entropy of sequences, as one number per sequence.

    loss_i = (1 / |T_i|) sum over t in T_i of -log softmax(output_it)[label_it]

T_i are the counted tokens of sequence i: those whose label is not `ignore_index`.  Items are
sequences, and each counts the same, however many of its tokens count.  So the mean over items, as
everywhere in mdtree, equals the mean over all tokens where sequences are of one length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mdtree.batch import IGNORED, Batch, describe, targets
from mdtree.exceptions import DataError

__all__ = ["TokenLoss"]

_PER_TOKEN = 2  # dimensions of labels: items and tokens
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, kw_only=True)
class TokenLoss:
    """The loss of a network with outputs (items, tokens, classes).

    Attributes:
        is_shifted: The output at a token predicts the next one, as in causal language models.
        ignore_index: The label of tokens that do not count.
        label_smoothing: The share of the label that is spread over all classes.
    """

    is_shifted: bool
    ignore_index: int = IGNORED
    label_smoothing: float = 0.0

    def __call__(self, output: Tensor, batch: Batch) -> Tensor:
        """Compute the mean over the counted tokens of each item; 0 if it has none."""
        labels = self.labels(batch)
        self.check(output, labels)
        scores = output.float() if output.dtype in _HALF else output
        each = F.cross_entropy(
            scores.flatten(0, 1),
            labels.flatten(),
            reduction="none",
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        ).view(labels.shape)
        return each.sum(1) / self.counted(labels).sum(1).clamp(min=1)

    def labels(self, batch: Batch) -> Tensor:
        """Return what the output at each token is compared with.

        Labels are shifted, not outputs: that copies no large tensor.

        Raises:
            DataError: There is not one whole number for each token.
        """
        labels = targets(batch)
        if labels.dim() != _PER_TOKEN or labels.is_floating_point():
            raise DataError(
                "this loss needs one whole number for each token as labels, (items, tokens), "
                f"got {describe(labels)}"
            )
        if not self.is_shifted:
            return labels
        return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], self.ignore_index)], dim=1)

    def counted(self, labels: Tensor) -> Tensor:
        """Return which tokens count."""
        return labels != self.ignore_index

    def check(self, output: Tensor, labels: Tensor) -> None:
        """Refuse outputs that are not one vector for each label.

        Raises:
            DataError: The shapes do not fit together.
        """
        if output.dim() != _PER_TOKEN + 1 or output.shape[:2] != labels.shape:
            raise DataError(
                f"labels of {list(labels.shape)} need outputs of (items, tokens, classes), got "
                f"{describe(output)}: there must be one label for each token of the output"
            )
