"""The Python interface: `mdtree.measure`, `fit`, `diagnose`, `compare`, `confirm` and others.

They do what the commands of the same names do, and return values instead of printing them.
"""

from mdtree.api.changes import compare, confirm
from mdtree.api.details import arrays, matrix, plot
from mdtree.api.judging import diagnose, fit
from mdtree.api.measuring import measure, weights
from mdtree.api.results import Comparisons, Confirmations, Rows, Verdicts

__all__ = [
    "Comparisons",
    "Confirmations",
    "Rows",
    "Verdicts",
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
