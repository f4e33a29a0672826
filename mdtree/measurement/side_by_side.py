"""The folders of a request: those below one directory, or of runs that differ by seed, joined."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mdtree.checkpoints import INNER, Folder, find_folders
from mdtree.measurement.request import Request
from mdtree.measurement.task import as_text
from mdtree.recipes import Tensors
from mdtree.rows import joined_names
from mdtree.zoo import diverged_training

__all__ = ["root_of", "side_by_side"]


def side_by_side(request: Request) -> Iterator[Folder]:
    """Join the folders of several directories that differ by seed, by their places in them."""
    roots = (request.root, *request.others)
    joined: dict[str, list[Path]] = {}
    for root in roots:
        if len(roots) == 1:
            yield from _folders(request, root, lost=diverged_training)
            return
        for folder in _folders(request, root):
            place = "." if root.is_file() else _place(folder, root)
            joined.setdefault(place, []).extend(folder.files)
    runs = [root.parent if root.name == INNER else root for root in roots]
    names = as_text(joined_names(runs))
    whole = "." if "." in joined else INNER
    for place, files in joined.items():
        yield Folder(name=names if place == whole else place, files=tuple(files))


def _folders(
    request: Request, root: Path, *, lost: Callable[[Path], str | None] = lambda _: None
) -> Iterator[Folder]:
    if root.is_file():
        yield Folder(name=as_text(root.stem), files=(root,))
    else:
        yield from find_folders(root, leave_out=_data_files(request), lost=lost)


def _place(folder: Folder, root: Path) -> str:
    """Return where the files of a folder share a place below the root."""
    shared = os.path.commonpath([path.absolute().parent for path in folder.files])
    place = os.path.relpath(shared, root.absolute())
    return as_text(Path(place).as_posix())


def root_of(path: Path, roots: Sequence[Path]) -> Path:
    """Return the directory that was asked for and holds a file, or the file's own folder."""
    return next((root for root in roots if root in path.parents), path.parent)


def _data_files(request: Request) -> list[Path]:
    data = request.recipe.data
    if not isinstance(data, Tensors):
        return []
    return [request.folder / path for path in (data.train, data.test) if path is not None]
