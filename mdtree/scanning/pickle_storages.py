"""The storages that a pickle names, and the tensors that show their bytes."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from typing import Any

from mdtree.scanning.archive_scan import FaultError
from mdtree.scanning.pickle_names import width_of_storage
from mdtree.scanning.pickle_notes import (
    TENSOR,
    Ledger,
    Many,
    Name,
    Storage,
    Tensor,
    Tuple,
    are_sizes,
    is_size,
)

__all__ = ["Storages"]

_LENGTH = 8  # bytes before each storage of the older form
_SHARED = 64  # how often tensors may use the bytes of a file, such as layers with shared weights
_REPEATED = 1 << 26  # bytes of masks and positions that are expanded views of a few numbers


class Storages:
    """All storages of a file; `records` are the sizes of an archive's entries."""

    def __init__(self, ledger: Ledger, records: Mapping[str, int] | None) -> None:
        self._ledger = ledger
        self._records = records
        self._storages: dict[str, Storage] = {}
        self._storage_bytes = 0  # bytes of them
        self._shown = self._repeated = 0  # bytes of tensors; those beyond their storages

    def check_filled(self, keys: Any, left: int) -> None:
        """Check the storages of the older form against the keys and bytes after the pickle."""
        listed = keys.items if isinstance(keys, Many) and keys.kind == "list" else ()
        filled = {key for key in listed if isinstance(key, str)}
        roots = {storage.place[0] for storage in self._storages.values()}
        if filled != roots:
            raise FaultError("it declares storages without data")
        needed = self._storage_bytes + _LENGTH * len(roots)
        if needed > left:
            raise EOFError(f"{left} bytes follow, but its storages need {needed}")

    def named(self, persistent_id: Any) -> Storage:
        """Look a storage up by what the pickle says of it."""
        match persistent_id.parts if isinstance(persistent_id, Tuple) else ():
            case ("storage", Name(path=kind), str(key), str(), count, *view) if is_size(count):
                width = width_of_storage(kind)
            case ("storage", *_):
                raise FaultError("it names a storage by neither a number nor a string")
            case _:
                raise pickle.UnpicklingError("Only persistent_load of storage is allowed")
        self._ledger.spend(TENSOR)
        storage = self._known(key, Storage(kind, (key, 0, count), width))
        if self._records is None:
            match view:
                case [None]:
                    return storage
                case [Tuple(parts=(str(name), start, part))] if is_size(start) and is_size(part):
                    if start + part <= count:
                        return self._known(name, Storage(kind, (key, start, part), width))
            raise FaultError("it names a part outside a storage")
        available = self._records.get(f"data/{key}", -1)
        if view or storage.size > available:
            raise FaultError(f"it names a storage of {storage.size} bytes, but has {available}")
        return storage

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, width: int = 0
    ) -> Tensor | None:
        """Check that a tensor fits its storage: torch would enlarge the storage."""
        if not isinstance(storage, Storage) or not is_size(offset):
            return None
        if not (are_sizes(sizes) and are_sizes(strides)):
            return None
        if len(sizes.parts) != len(strides.parts):
            return None
        self._ledger.spend(TENSOR)
        width = width or storage.width
        count = math.prod(sizes.parts)
        size = count * width
        steps = zip(sizes.parts, strides.parts, strict=True)
        end = (offset + sum((length - 1) * step for length, step in steps) + 1) * width
        self._shown += size
        self._repeated += max(0, size - storage.size)
        if (size and end > storage.size) or self._repeated > _REPEATED:
            raise FaultError(
                f"it holds a tensor of the size {sizes.parts!s:.80}, and {storage.size} bytes for "
                "it: save a contiguous copy"
            )
        if self._shown > _REPEATED + _SHARED * self._storage_bytes:
            raise FaultError(f"its tensors use the same bytes more than {_SHARED} times")
        return Tensor(count)

    def _known(self, key: str, storage: Storage) -> Storage:
        """Refuse contradicting declarations of a storage: torch uses the first."""
        if key not in self._storages:
            self._storages[key] = storage
            self._storage_bytes += storage.size if key == storage.place[0] else 0
        if self._storages[key] != storage:
            raise FaultError(f"it declares the storage {key:.100} in two ways")
        return storage
