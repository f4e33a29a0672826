"""The `model-index` of the Hugging Face Hub: the block of a model card that holds results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from mdtree.exceptions import MdtreeError
from mdtree.labelling import number_of
from mdtree.messages import printable, shortened
from mdtree.rows import Measured, Row

__all__ = ["model_index"]

_LONGEST = 200  # characters of a name
_DIGITS = 6  # of an accuracy


def model_index(rows: Sequence[Row], dataset: str) -> str:
    """Write the test accuracies of rows as the front matter of a model card.

    Args:
        rows: One for each model.
        dataset: The name of the test data on the Hub.

    Returns:
        YAML between two lines of dashes, with which a README.md begins.

    Raises:
        MdtreeError: No row has a test accuracy.

    """
    models = list(_models(rows, _name(dataset)))
    if not models:
        raise MdtreeError(
            "a model-index needs a test accuracy: measure error_rate on test data, or say it with "
            "--fact test_accuracy=PERCENT"
        )
    text = yaml.safe_dump({"model-index": models}, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---"


def _models(rows: Sequence[Row], dataset: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        accuracy = _accuracy(row)
        if accuracy is not None:
            metric = {"type": "accuracy", "name": "Test accuracy", "value": accuracy}
            result = {
                "task": {"type": "other"},  # weights do not say what they are for
                "dataset": {"type": dataset, "name": dataset},
                "metrics": [metric],
            }
            yield {"name": _name(row.group), "results": [result]}


def _accuracy(row: Row) -> float | None:
    """Return the test accuracy as a share, as the Hub writes it: measured, or the fact."""
    error = row.quantities.get("test_error")
    percent = 100 - error.value if isinstance(error, Measured) else number_of(row, "test_accuracy")
    return None if percent is None else round(percent / 100, _DIGITS)


def _name(text: str) -> str:
    return printable(shortened(text, _LONGEST))
