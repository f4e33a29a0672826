"""The number of classes that a network tells apart, from its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdtree.checkpoints import LazyTensor, is_adapter, list_tensors, trained_labels
from mdtree.exceptions import MdtreeError
from mdtree.measurement.task import GroupTask
from mdtree.regular_file import read_json

__all__ = ["classes_of", "known_classes"]

_LARGEST = 1 << 20  # bytes of a config
_FEWEST, _MOST = 2, 1_000_000  # classes
_MATRIX = 2  # dimensions


def known_classes(task: GroupTask) -> int | None:
    """Count the classes of a group; None where its first file does not tell."""
    file = task.files[0]
    if not task.at_hand or is_adapter(file):
        return None  # what an adapter says of its labels need not be all
    try:
        return classes_of(file, list_tensors(file, trust=task.trust.names).tensors)
    except MdtreeError:
        return None


def classes_of(file: Path, tensors: Sequence[LazyTensor]) -> int | None:
    """Count the classes: as the config says, or the rows of the last matrix."""
    if is_adapter(file):
        return trained_labels(file)
    config = _config(file.with_name("config.json"))
    labels = config.get("id2label")
    if isinstance(labels, dict):
        count: int | None = len(labels)
    elif config:
        return None  # a model of Hugging Face without labels does not classify
    else:
        matrices = [tensor.sizes[0] for tensor in tensors if len(tensor.sizes) == _MATRIX]
        count = matrices[-1] if matrices else None
    return count if count is not None and _FEWEST <= count <= _MOST else None


def _config(path: Path) -> dict[str, object]:
    if path.is_symlink():
        return {}  # it may lead anywhere
    try:
        content = read_json(path, _LARGEST)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
