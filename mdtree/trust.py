"""Trust: a list of names whose code may run. There is no switch that trusts everything.

A recipe that the user names on the command line is the user's own word and may name any factory.
A recipe that lies inside a directory of checkpoints came with the checkpoints, from anybody: it may
name factories of known packages only, unless the user trusts others by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["KNOWN_PACKAGES", "Trust"]

# package -> the modules in it whose factories build networks or data, and nothing else;
# transformers has no entry: its folders are read by the factory `huggingface`, and no network of
# it can be made from plain values, while other things in it unpickle files
KNOWN_PACKAGES: dict[str, tuple[str, ...]] = {
    "mdtree": ("mdtree.models", "mdtree.datasets", "mdtree.losses"),
    "torchvision": ("torchvision.models",),
    "timm": ("timm.models",),
}


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Which code may run while a directory is measured."""

    names: frozenset[str] = frozenset()  # `pkg.module`, `pkg.module:factory` or `pkg.Class`
    any_factory: bool = False  # the recipe was named by the user
    folders: tuple[Path, ...] = ()  # where the user's own modules may lie

    def admits(self, module: str, name: str) -> bool:
        """Say whether the user has vouched for this factory."""
        return self.any_factory or bool(
            self.names & {module, f"{module}:{name}", f"{module}.{name}"}
        )
