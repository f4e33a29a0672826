"""Loading: the weights of a file, checked against a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from mdtree.checkpoints.adapters import is_adapter
from mdtree.checkpoints.counters import counters_beside, counters_in, trained_steps
from mdtree.checkpoints.detect import Kind, kind_of
from mdtree.checkpoints.lazy import stored_tensors
from mdtree.checkpoints.listing import base_of, list_tensors
from mdtree.checkpoints.matching import matched
from mdtree.checkpoints.merging import changed_names
from mdtree.checkpoints.parts import check_within, file_digest
from mdtree.checkpoints.safe_reading import read, read_with_digest
from mdtree.checkpoints.state_dict import find_weights
from mdtree.exceptions import UnreadableError

__all__ = ["Checkpoint", "counters_of", "load_checkpoint"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A member of a group: weights that fit the group's model."""

    name: str
    weights: dict[str, Tensor]
    sha256: str
    notes: tuple[str, ...]
    counters: Mapping[str, float] = field(
        default_factory=dict
    )  # epoch, step, ... when it was saved


def counters_of(path: Path, *, trust: Iterable[str] = ()) -> Mapping[str, float]:
    """Return what a trainer counted in a file, or beside it.

    Args:
        path: A weights file, or the index of a sharded checkpoint.
        trust: Names of classes that may be replaced by placeholders.

    Raises:
        CheckpointError: The file cannot be read.
    """
    beside = counters_beside(path)
    if beside or is_adapter(path) or kind_of(path) not in (Kind.TORCH, Kind.LEGACY):
        return beside
    content = read(path, trust=trust)
    return counters_in(content) or trained_steps(content)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    *,
    name: str,
    trust: Iterable[str] = (),
    key: str | None = None,
    within: Path | None = None,
    base: Path | None = None,
) -> Checkpoint:
    """Read a file and check it against the model: every name, every shape, every number finite.

    Args:
        path: A weights file, or the index of a sharded checkpoint.
        model: The model that the weights belong to.
        name: The name of the checkpoint in its group.
        trust: Names of classes that may be replaced by placeholders.
        key: The entry with the weights, in files with several.
        within: The folder that must contain the file and all its parts, after links are resolved.
        base: The model that an adapter changes, if the user names it.

    Returns:
        The weights, with the sha256 of the content that was read.

    Raises:
        CheckpointError: The file cannot be read, changed meanwhile, or does not fit the model.
    """
    if within is not None:
        check_within(path, within)
    if is_adapter(path):
        return _merged(path, model, name=name, named=base, within=within)
    content, sha256 = read_with_digest(path, trust=trust)
    counters = counters_in(content) or counters_beside(path) or trained_steps(content)
    stored = find_weights(content, key=key, name=str(path))
    del content  # an optimiser's state may be larger than the weights
    weights = matched(stored.tensors, model, name=str(path))
    return Checkpoint(
        name=name, weights=weights, sha256=sha256, notes=stored.notes, counters=counters
    )


def _merged(
    path: Path, model: nn.Module, *, name: str, named: Path | None, within: Path | None
) -> Checkpoint:
    """Add an adapter to its base, and check the sum against the model."""
    base = base_of(path, named=named, within=within)
    if within is not None and named is None:
        check_within(base, within)
    sha256 = file_digest(path)
    listing = list_tensors(path, base=base)
    expected = model.state_dict(keep_vars=True)
    # the base may have the head of another task, which the model of the adapter lacks
    modules = {key.partition(".")[0] for key in expected}
    tensors = {
        stored.name: stored.load()
        for stored in listing.tensors
        if stored.name.partition(".")[0] in modules
    }
    weights = matched(tensors, model, name=f"{path} with its base {base}")
    if file_digest(path) != sha256:
        raise UnreadableError(f"{path} was changed while it was being read: measure it again")
    return Checkpoint(
        name=name,
        weights=weights,
        sha256=sha256,
        notes=(*listing.notes, *_shared(path, expected)),
        counters=counters_beside(path),
    )


def _shared(path: Path, expected: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield a note for each changed weight that other layers of the model use, too."""
    changed = changed_names(stored_tensors(path).tensors, path)
    for name in sorted(changed & expected.keys()):
        others = [
            key for key, tensor in expected.items() if tensor is expected[name] and key != name
        ]
        if others:
            yield (
                f"{name:.200} is also {', '.join(others):.200}: the adapter changes both, as "
                "merge_and_unload does, though in training it changed only the first"
            )
