"""Links that lead out of the measured directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mdtree.checkpoints.safe_reading import parts_of
from mdtree.exceptions import UnreadableError, UnsafeError

__all__ = ["check_within"]


def check_within(path: Path, folder: Path) -> None:
    """Check that a checkpoint and all its parts are inside `folder`.

    A directory from a stranger may contain links to any file of the user.  The links of a snapshot
    in the Hugging Face cache lead to the `blobs` folder next to it, which is allowed.

    Raises:
        UnsafeError: The checkpoint, or a part of it, is outside the folder.
        UnreadableError: A link leads nowhere.
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
                f"{part} links to {real}, outside {folder}: copy the file into the directory "
                "or, if you trust the link, pass the recipe yourself with --recipe"
            )


def _homes(folder: Path) -> Iterator[Path]:
    real = folder.resolve()
    yield real
    for place in (real, real.parent):
        if place.name == "snapshots":  # models--NAME/snapshots/REVISION
            yield place.parent / "blobs"
