"""The Python interface: `mdtree.measure`, `mdtree.fit`, `mdtree.diagnose`, `mdtree.weights`.

They do what the commands of the same names do, and return values instead of printing them.
"""

from mdtree.api.diagnosing import diagnose
from mdtree.api.fitting import fit
from mdtree.api.measuring import measure
from mdtree.api.weights import weights

__all__ = ["diagnose", "fit", "measure", "weights"]
