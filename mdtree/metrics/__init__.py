"""The table of metrics. A new metric is a file, a line here, and quantities in the vocabulary."""

from __future__ import annotations

from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.metrics.baseline import BASELINE
from mdtree.metrics.connectivity import CONNECTIVITY
from mdtree.metrics.error_rate import CHANCE, ERROR_RATE
from mdtree.metrics.fork import FORK
from mdtree.metrics.hessian import HESSIAN
from mdtree.metrics.layers import LAYERS
from mdtree.metrics.predictions import PREDICTIONS
from mdtree.metrics.similarity import SIMILARITY
from mdtree.metrics.spectrum import SPECTRUM, spectrum_of
from mdtree.metrics.surface import SURFACE

__all__ = ["CHANCE", "METRICS", "Metric", "MetricInput", "MetricResult", "Workload", "spectrum_of"]

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        ERROR_RATE,
        HESSIAN,
        CONNECTIVITY,
        SIMILARITY,
        SPECTRUM,
        PREDICTIONS,
        BASELINE,
        LAYERS,
        FORK,
        SURFACE,
    )
}
