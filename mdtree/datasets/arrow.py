"""Data sets of the package `datasets`: folders of Arrow files, written by `save_to_disk`.

    DIR/state.json, DIR/data-00000-of-00002.arrow, ...      a Dataset
    DIR/dataset_dict.json, DIR/train/, DIR/test/            a DatasetDict, a folder for each split

Only the columns of numbers are read, and nothing is run.  The package itself is not needed: pyarrow
reads its files, which are checked first, because pyarrow trusts them.  The only file of
`mdtree.datasets` that imports pyarrow (the extra `datasets`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdtree.batch import IDS, IGNORED, LABELS, MASK
from mdtree.datasets.packages import read_file
from mdtree.datasets.tokens import check_padding
from mdtree.exceptions import DataError, MissingExtraError
from mdtree.regular_file import open_regular
from mdtree.runtime.requirements import refuse_older

__all__ = ["arrow_files", "from_arrow", "split_folder"]

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
_MOST = 64 << 20  # bytes of a file of settings
_BYTES = 8  # of a number
_HOW = "write it anew with save_to_disk"
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream
# places in the tables of a message, in the format of Arrow
_HEADER, _COMPRESSION = 2, 3


@dataclass(kw_only=True)
class _Column:
    """The cells of a column, batch after batch."""

    values: list[NDArray[Any]] = field(default_factory=list)  # those of lists, one after the other
    lengths: list[NDArray[Any]] = field(default_factory=list)  # of the lists; none: plain numbers


def split_folder(folder: Path, *names: str) -> Path | None:
    """Return the folder of the first split of these names that a DatasetDict has.

    Args:
        folder: The folder of a DatasetDict; that of a Dataset is returned as it is.
        names: The names of the split.
    """
    if not (folder / _SPLITS).is_file():
        return folder
    return next((folder / name for name in names if (folder / name / _STATE).is_file()), None)


def arrow_files(folder: Path) -> list[Path]:
    """List the files from which a Dataset is read.

    Raises:
        DataError: The folder holds no Dataset.
    """
    return [folder / _STATE, *(folder / name for name in _data_files(folder, _state(folder)))]


def from_arrow(folder: Path) -> dict[str, Tensor]:
    """Read the columns of numbers of a Dataset; lists of different lengths are padded.

    Raises:
        DataError: The folder holds no such Dataset, or its files are damaged.
        MissingExtraError: pyarrow is not installed, or too old.
    """
    state = _state(folder)
    files = [folder / name for name in _data_files(folder, state)]
    columns: dict[str, _Column] = {}
    others: dict[str, str] = {}  # types of columns that hold no numbers
    for path in files:
        try:
            _read(path, state.get("_format_columns"), columns, others)
        except (DataError, MissingExtraError):
            raise
        except OSError as error:
            raise DataError(
                f"data file {path} cannot be read: {error.strerror or error}"
            ) from error
        except Exception as error:  # damage shows itself anywhere in the reader
            raise DataError(f"data file {path} is damaged ({error!s:.200}): {_HOW}") from error
    _check_inputs(folder, columns, others)
    size = sum(path.stat().st_size for path in files)
    try:
        return _tensors(columns, size, f"data folder {folder}")
    except (ValueError, TypeError) as error:  # columns change from file to file
        raise DataError(f"data folder {folder} cannot be joined: {error}") from error


def _state(folder: Path) -> dict[str, Any]:
    if (folder / _SPLITS).is_file():
        splits = sorted(path.parent.name for path in folder.glob(f"*/{_STATE}"))
        raise DataError(
            f"data folder {folder} has the splits {', '.join(splits)}: name the one to use, "
            f"such as {folder / (splits[0] if splits else 'train')}"
        )
    try:
        state = json.loads(read_file(folder / _STATE, _MOST))
    except OSError as error:
        raise DataError(
            f"data folder {folder} holds no data set of the package datasets: {_STATE}, which "
            "save_to_disk writes, cannot be read. Load what else the package can load, and call "
            "save_to_disk; for folders of images write a recipe with source: images"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"data file {folder / _STATE} is damaged ({error}): {_HOW}") from error
    if not isinstance(state, dict):
        raise DataError(f"data file {folder / _STATE} is damaged: {_HOW}")
    return state


def _data_files(folder: Path, state: dict[str, Any]) -> list[str]:
    """Return the names of the data files; a stranger's state may name no file elsewhere."""
    listed = state.get("_data_files")
    names: list[str] = []
    for entry in listed if isinstance(listed, list) else []:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or "\0" in name:
            raise DataError(
                f"data file {folder / _STATE} names the file {name!r:.100}, which is not one of "
                f"its folder: {_HOW}"
            )
        names.append(name)
    if not names:
        raise DataError(f"data folder {folder} has no data files: {_HOW}")
    return names


def _read(
    path: Path, wanted: list[str] | None, columns: dict[str, _Column], others: dict[str, str]
) -> None:
    """Read the columns of numbers of one file."""
    for batch in _batches(path):
        for name, cells in zip(batch.schema.names, batch.columns, strict=True):
            if isinstance(wanted, list) and name not in wanted:
                continue
            if not _is_number(cells.type):
                others[name] = str(cells.type)
                continue
            column = columns.setdefault(name, _Column())
            values, lengths = _cells(cells, f"data file {path}: {name}")
            column.values.append(values)
            if lengths is not None:
                column.lengths.append(lengths)


def _batches(path: Path) -> Iterator[Any]:
    """Yield the batches of rows, each checked before it is used."""
    pa = _pyarrow()
    with open_regular(path) as file:
        content = file.read()
    if not content.endswith(_END):
        raise DataError(f"data file {path} is damaged, its end is missing: copy it again")
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(content))
    schema, taken = pa.ipc.read_schema(reader.read_next_message()), 0
    for message in iter(lambda: next(reader, None), None):
        if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
            raise DataError(
                f"data file {path} is compressed, or has dictionaries, which save_to_disk does not "
                f"write: {_HOW}"
            )
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
        taken += batch.nbytes
        if taken > len(content):
            raise DataError(f"data file {path} was not read: its columns repeat the same bytes")
        yield batch


def _is_compressed(metadata: bytes) -> bool:
    """Return whether a batch is compressed: a few bytes could become any number of them."""
    (message,) = struct.unpack_from("<I", metadata, 0)
    place = _entry(metadata, message, _HEADER)
    if place is None:
        return False
    header = place + struct.unpack_from("<I", metadata, place)[0]
    return _entry(metadata, header, _COMPRESSION) is not None


def _entry(metadata: bytes, table: int, number: int) -> int | None:
    """Return where an entry of a table of FlatBuffers is; None if it is absent."""
    index = table - struct.unpack_from("<i", metadata, table)[0]
    (length,) = struct.unpack_from("<H", metadata, index)
    place = 4 + 2 * number
    if place >= length:
        return None
    (offset,) = struct.unpack_from("<H", metadata, index + place)
    return table + offset if offset else None


def _is_number(kind: Any) -> bool:
    """Return whether cells are numbers, or lists of them."""
    types = _pyarrow().types
    if isinstance(kind, _pyarrow().BaseExtensionType):  # arrays of a fixed shape
        return _is_number(kind.storage_type)
    if types.is_fixed_size_list(kind):
        return kind.list_size > 0 and _is_number(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_number(kind.value_type)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _cells(cells: Any, place: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return numbers; those of lists one after the other, with the lengths of the lists."""
    pa = _pyarrow()
    if isinstance(cells.type, pa.BaseExtensionType):
        cells = cells.storage
    if cells.null_count:
        raise DataError(
            f"{place} is empty (None) in {cells.null_count} rows: fill them, or leave the column "
            "out with remove_columns"
        )
    if not pa.types.is_nested(cells.type):
        return cells.to_numpy(zero_copy_only=False), None
    inner, lengths = _cells(cells.flatten(), place)
    outer = pa.compute.list_value_length(cells).to_numpy(zero_copy_only=False)
    return (inner if lengths is None else _even(inner, lengths, place)), outer


def _even(values: NDArray[Any], lengths: NDArray[Any], place: str) -> NDArray[Any]:
    """Return lists of one length as an array."""
    first = int(lengths[0]) if len(lengths) else 0
    if (lengths != first).any():
        raise DataError(
            f"{place} has lists of {lengths.min()} to {lengths.max()} numbers: they must have one "
            f"length, or that of {IDS}"
        )
    return values.reshape(len(lengths), first, *values.shape[1:])


def _check_inputs(folder: Path, columns: dict[str, _Column], others: dict[str, str]) -> None:
    """Refuse texts and pictures that were never made into numbers."""
    if others and not any(column.lengths for column in columns.values()):
        kinds = ", ".join(f"{name} ({kind:.40})" for name, kind in list(others.items())[:8])
        raise DataError(
            f"data folder {folder} has no numbers for a network to take; left out: {kinds}. "
            "Tokenise texts first (dataset.map(lambda row: tokenizer(row['text'], "
            "truncation=True))), make pictures arrays of numbers, and call save_to_disk"
        )


def _tensors(columns: dict[str, _Column], size: int, place: str) -> dict[str, Tensor]:
    values = {name: np.concatenate(column.values) for name, column in columns.items()}
    lengths = {
        name: np.concatenate(column.lengths) for name, column in columns.items() if column.lengths
    }
    tokens = lengths.get(IDS)
    longest = 0 if tokens is None or not len(tokens) else int(tokens.max())
    if tokens is not None and (tokens == 0).any():
        example = int((tokens == 0).argmax()) + 1
        raise DataError(f"{place}, example {example} has no tokens: leave it out with filter")
    tensors: dict[str, Tensor] = {}
    for name, column in values.items():
        if name not in lengths:
            array = column
        elif tokens is not None and np.array_equal(lengths[name], tokens):
            width = int(np.prod(column.shape[1:]))
            check_padding(_BYTES * len(tokens) * longest * width, longest, size, place)
            array = np.full(
                (len(tokens), longest, *column.shape[1:]), IGNORED if name in LABELS else 0
            ).astype(column.dtype if name not in LABELS else np.result_type(column, np.int64))
            array[np.arange(longest) < tokens[:, None]] = column
        else:
            array = _even(column, lengths[name], f"{place}: {name}")
        tensors[name] = torch.from_numpy(array)
    if tokens is not None and MASK not in tensors and (tokens != longest).any():
        tensors[MASK] = torch.from_numpy((np.arange(longest) < tokens[:, None]).astype(np.int64))
    return tensors


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.ipc
    except ImportError as error:
        raise MissingExtraError(
            "folders of the package datasets need the package pyarrow: "
            "pip install 'mdtree-diagnosis[datasets]'"
        ) from error
    refuse_older("pyarrow", pa.__version__)
    return pa
