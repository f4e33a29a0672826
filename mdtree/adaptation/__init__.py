"""Calibration: a tree is continued with a user's own labelled runs, and judged before and after."""

from mdtree.adaptation.adapting import calibrate
from mdtree.adaptation.result import Calibration, Judged, Scores

__all__ = ["Calibration", "Judged", "Scores", "calibrate"]
