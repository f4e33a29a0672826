"""Adaptation: a tree learns from a user's labelled runs, and is evaluated before and after."""

from mdtree.adaptation.adapting import adapt, learnable
from mdtree.adaptation.result import Adaptation, AdaptationScores, GroupComparison

__all__ = ["Adaptation", "AdaptationScores", "GroupComparison", "adapt", "learnable"]
