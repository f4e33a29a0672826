"""The methods by which trees are fitted: the words alone, for the command line and the fits."""

from __future__ import annotations

__all__ = ["FIT_METHODS"]

FIT_METHODS: dict[str, str] = {
    "gains": "ours: learns what each change gains, and the right answer where it is clear",
    "posterior": "ours: the published questions, averaged over all plausible thresholds",
    "grown": "ours: also learns the questions, averaged over all plausible thresholds",
    "mdtree": "the published shape, with the published threshold search",
    "cart": "scikit-learn's decision tree of depth 4",
}
