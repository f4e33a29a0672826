"""Kinship: whether networks are equal, seeds, or snapshots of one run, by their weights alone.

`best.pt` and `last.pt` are equal if the last was the best.  Two networks that started from
different random weights stay apart in at least one matrix; one that was saved twice in a run is
close to itself in all of them.  For matrices a and b

    overlap = 2 <a, b> / (|a|^2 + |b|^2) ,

which is 1 where they are equal and about 0, up to 1 / sqrt(number of weights), where they are
independent.  Networks that are close in all matrices may still be seeds: fine-tuned from the same
weights, or of a convex loss.  These are about equally far from each other, whereas snapshots are
the farther apart the more training lies between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from mdtree.checkpoints.adapters import is_adapter, read_adapter_config
from mdtree.checkpoints.lazy import LazyTensor, stored_tensors
from mdtree.checkpoints.parts import file_digest
from mdtree.exceptions import CheckpointError
from mdtree.regular_file import open_regular

__all__ = ["Kinship", "equal_files", "equal_tensors", "equal_weights", "kinship"]

Kinship = Literal["seeds", "run", "unknown"]

_SMALL = 256  # weights of a matrix that tells nothing alone: such ones are taken together
_FEWEST = 16  # weights that tell anything
_LEAST = 0.25  # overlap of matrices that are close, and so many standard errors of chance
_ERRORS = 4.0
_GROWS = 1.25  # distances between others over those between neighbours
_EQUAL = 1.5  # largest distance over the smallest, where all are about equal
_MOST = 12  # networks that are compared with each other
_TWO = 2
_END = 1 << 16  # bytes: weights or, in an archive, their checksums


@dataclass(frozen=True)
class _Distances:
    """Squared distances between networks, by the pair of their places."""

    total: dict[tuple[int, int], float]
    apart: set[tuple[int, int]]  # in at least one matrix
    matrices: int  # that are not the same in all networks


def kinship(networks: Sequence[Sequence[LazyTensor]]) -> Kinship:
    """Tell seeds from snapshots of one run.

    Args:
        networks: Their tensors, in the order in which a run would have saved them.

    Returns:
        "seeds" if no two neighbours are close; "run" if some are, and the distances are those of
        a run; else "unknown".
    """
    found = _distances(networks[:_MOST])
    near = {pair: d for pair, d in found.total.items() if pair[1] - pair[0] == 1}
    if not found.matrices:
        return "unknown"
    if near.keys() <= found.apart:
        return "seeds"
    has_several = found.matrices >= _TWO
    if len(networks) == _TWO:
        return "run" if has_several else "unknown"
    far = [d for pair, d in found.total.items() if pair not in near]
    grows = _mean(far) > _GROWS * _mean([*near.values()])
    differ = max(found.total.values()) > _EQUAL * min(found.total.values())
    return "run" if grows or (has_several and differ) else "unknown"


def _distances(networks: Sequence[Sequence[LazyTensor]]) -> _Distances:
    """Compare all pairs, one matrix at a time: only that one is in memory."""
    pairs = list(combinations(range(len(networks)), 2))
    total = dict.fromkeys(pairs, 0.0)
    apart: set[tuple[int, int]] = set()
    matrices = 0
    for numbers, count in _matrices(networks):
        norms = [float(each.square().sum()) for each in numbers]
        between = {(i, j): float((numbers[i] - numbers[j]).square().sum()) for i, j in pairs}
        if not all(map(math.isfinite, (*norms, *between.values()))) or not max(between.values()):
            continue  # it diverged, which is told elsewhere, or it was not trained
        matrices += count
        least = max(_LEAST, _ERRORS / math.sqrt(numbers[0].numel()))
        for (i, j), distance in between.items():
            total[i, j] += distance
            if distance and 1 - distance / (norms[i] + norms[j]) < least:
                apart.add((i, j))
    return _Distances(total=total, apart=apart, matrices=matrices)


def _matrices(networks: Sequence[Sequence[LazyTensor]]) -> Iterator[tuple[list[Tensor], int]]:
    """Yield a matrix of all networks after the other, as vectors; small ones come as one.

    With them comes how many matrices they are.
    """
    small: list[list[Tensor]] = []
    for same in _shared_matrices(networks):
        numbers = [stored.load().detach().flatten().to(torch.float32) for stored in same]
        if numbers[0].numel() < _SMALL:
            small.append(numbers)
        else:
            yield numbers, 1
    joined = [torch.cat(parts) for parts in zip(*small, strict=True)]
    if joined and joined[0].numel() >= _FEWEST:
        yield joined, len(small)


def _shared_matrices(networks: Sequence[Sequence[LazyTensor]]) -> list[list[LazyTensor]]:
    """List the matrices that all networks have, each with one tensor of every network."""
    by_name = [{stored.name: stored for stored in tensors} for tensors in networks]
    shared = []
    for stored in networks[0]:
        same = [named.get(stored.name) for named in by_name]
        known = [each for each in same if each is not None and _is_matrix(each)]
        if len(known) == len(networks) and len({each.sizes for each in known}) == 1:
            shared.append(known)
    return shared


def _is_matrix(stored: LazyTensor) -> bool:
    is_plain = stored.fault is None and stored.same_as is None and stored.dtype.is_floating_point
    return is_plain and len(stored.sizes) >= _TWO and math.prod(stored.sizes) > 0


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def equal_files(members: Mapping[str, Path]) -> dict[str, str]:
    """Find files that equal an earlier one: name -> name of the earlier one.

    Only files of the same size and with the same last bytes are read completely.
    """
    alike: dict[tuple[int, bytes], list[str]] = {}
    for name, path in members.items():
        try:
            with open_regular(path) as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _END))
                alike.setdefault((size, file.read(_END)), []).append(name)
        except OSError:
            continue  # reported when it is measured
    first: dict[str, str] = {}
    equal: dict[str, str] = {}
    for names in alike.values():
        for name in names if len(names) > 1 else ():
            try:
                other = first.setdefault(file_digest(members[name]), name)
            except CheckpointError:
                continue
            if other != name:
                equal[name] = other
    return equal


def equal_weights(
    first: Path, second: Path, *, trust: Iterable[str] = (), key: str | None = None
) -> bool:
    """Return whether two files contain equal tensors under equal names, without a model.

    Safetensors files are read only until the first difference.  A file that cannot be read is not
    equal to any other.

    Args:
        first: A weights file.
        second: Another one.
        trust: Names of classes that may be replaced by placeholders.
        key: The entry with the weights, in files with several.
    """
    try:
        settings = [read_adapter_config(p) if is_adapter(p) else None for p in (first, second)]
        some, others = (_by_name(path, trust, key) for path in (first, second))
        return (
            settings[0] == settings[1]
            and some.keys() == others.keys()
            and all(_equal(stored.load(), others[name].load()) for name, stored in some.items())
        )
    except CheckpointError:
        return False


def equal_tensors(
    some: Mapping[str, Tensor], others: Mapping[str, Tensor], names: Iterable[str]
) -> bool:
    """Return whether two networks have equal tensors under these names.

    Args:
        some: The weights of one network.
        others: The weights of the other.
        names: The names to compare; without any, the networks do not count as equal.
    """
    # from the end: networks with the same frozen first layers differ in the head
    reverse = list(names)[::-1]
    return bool(reverse) and all(_equal(some[name], others[name]) for name in reverse)


def _by_name(path: Path, trust: Iterable[str], key: str | None) -> dict[str, LazyTensor]:
    return {stored.name: stored for stored in stored_tensors(path, trust=trust, key=key).tensors}


def _equal(first: Tensor, second: Tensor) -> bool:
    kinds = [(t.dtype, t.shape, t.layout, t.is_meta, t.is_quantized) for t in (first, second)]
    plain = first.layout is torch.strided and not first.is_meta and not first.is_quantized
    return plain and kinds[0] == kinds[1] and torch.equal(first, second)
