"""Trust: a list of names whose code may run. There is no switch that trusts everything.

A recipe that the user passes on the command line is the user's own and may name any factory.  A
recipe found inside a directory of checkpoints may come from anybody: it may name only factories of
known packages, unless the user trusts others by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["KNOWN_PACKAGES", "Trust"]

# package -> its modules whose factories only build networks or data; transformers has no entry:
# its folders are read by the factory `huggingface`, none of its networks can be built from plain
# values, and other functions in it unpickle files
KNOWN_PACKAGES: dict[str, tuple[str, ...]] = {
    "mdtree": ("mdtree.models", "mdtree.datasets", "mdtree.losses"),
    "torchvision": ("torchvision.models",),
    "timm": ("timm.models",),
}


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Which code may run while a directory is measured."""

    names: frozenset[str] = frozenset()  # `pkg.module`, `pkg.module:factory` or `pkg.Class`
    any_factory: bool = False  # the user passed the recipe
    folders: tuple[Path, ...] = ()  # where the user's own modules may be

    def admits(self, module: str, name: str) -> bool:
        """Return whether the user trusts this factory."""
        return self.any_factory or bool(
            self.names & {module, f"{module}:{name}", f"{module}.{name}"}
        )
