"""The Python interface: `mdtree.measure`, `fit`, `diagnose`, `compare`, `confirm` and others.

They do what the commands of the same names do, and return values instead of printing them.
"""

from mdtree.api.comparing import compare
from mdtree.api.confirming import confirm
from mdtree.api.details import arrays, matrix
from mdtree.api.diagnosing import diagnose
from mdtree.api.fitting import fit
from mdtree.api.measuring import measure
from mdtree.api.plotting import plot
from mdtree.api.results import Comparisons, Confirmations, Rows, Verdicts
from mdtree.api.weights import weights

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
