"""Adaptation: a tree is continued with a user's labelled runs, and evaluated before and after."""

from mdtree.adaptation.adapting import adapt
from mdtree.adaptation.result import Adaptation, AdaptationScores, GroupComparison

__all__ = ["Adaptation", "AdaptationScores", "GroupComparison", "adapt"]
