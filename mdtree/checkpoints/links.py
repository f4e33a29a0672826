"""Where a checkpoint lies: links that lead out of the directory that is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mdtree.checkpoints.safe_reading import parts_of
from mdtree.exceptions import UnreadableError, UnsafeError

__all__ = ["check_within"]


def check_within(path: Path, folder: Path) -> None:
    """Refuse a checkpoint that lies, itself or in part, outside of `folder`.

    A directory from a stranger may hold links to anything of the user's.  Those of a snapshot in
    the cache of Hugging Face lead to the `blobs` beside it, and are at home there.
    """
    homes = list(_homes(folder))
    for part in parts_of(path):
        try:
            real = part.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            reason = getattr(error, "strerror", None) or error
            raise UnreadableError(f"{part} cannot be read: {reason}") from error
        if not any(real.is_relative_to(home) for home in homes):
            raise UnsafeError(
                f"{part} leads to {real}, outside of {folder}: copy the file into the directory, "
                "or, if you know where it leads, name the recipe yourself with --recipe"
            )


def _homes(folder: Path) -> Iterator[Path]:
    real = folder.resolve()
    yield real
    for place in (real, real.parent):
        if place.name == "snapshots":  # models--NAME/snapshots/REVISION
            yield place.parent / "blobs"
