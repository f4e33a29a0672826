"""mdtree says why a trained network underperforms, with its evidence and the next step.

>>> import mdtree
>>> callable(mdtree.measure), callable(mdtree.fit), callable(mdtree.diagnose)
(True, True, True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdtree.version import __version__

if TYPE_CHECKING:
    from mdtree.api import (
        Comparisons,
        Confirmations,
        Rows,
        Verdicts,
        arrays,
        compare,
        confirm,
        diagnose,
        fit,
        matrix,
        measure,
        plot,
        weights,
    )

__all__ = [
    "Comparisons",
    "Confirmations",
    "Rows",
    "Verdicts",
    "__version__",
    "arrays",
    "compare",
    "confirm",
    "diagnose",
    "fit",
    "matrix",
    "measure",
    "plot",
    "weights",
]


def __getattr__(name: str) -> Any:
    """Import the Python interface when it is asked for: the command line starts without it."""
    if name in __all__:
        from mdtree import api

        return getattr(api, name)
    raise AttributeError(f"module 'mdtree' has no attribute {name!r}")
