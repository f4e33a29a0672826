"""Spectra of the weights: quality metrics without data, averaged over layers, then over members.

    alpha, alpha_hat, log_norm, log_spectral_norm, log_alpha_norm, stable_rank, soft_rank
    alpha_median         median over layers
    alpha_drift          slope of alpha from the first layer to the last
    alpha_above_6        share of layers with alpha above 6, in percent
    random_like          share of layers that look like random matrices, in percent
    traps                share of layers with single huge weights, in percent

Embeddings are left out, and slices of convolutions are pooled.  Both protocols measure these in the
same way.  Martin, Peng and Mahoney 2021, arXiv 2002.06716; see `mdtree.spectra`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mdtree.checkpoints import LazyTensor, in_memory_tensors
from mdtree.landscape import ComputeCost
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.models import Weights
from mdtree.rows import Detail, Missing, Value, mean_over_members
from mdtree.spectra import AVERAGED, CONVENTIONS, Analysis, Flow, Rules, State, analyse_all, flow_of

__all__ = ["SPECTRUM", "spectrum_of"]

_DECOMPOSED = 1e9  # products of numbers in a second, for singular values; some do ten times more
_LAYER_FIGURES = ("alpha", "distance", "log_norm", "log_spectral_norm", "stable_rank", "spikes")


def _of_flow(read: Callable[[Flow], float]) -> Callable[[Analysis], float | None]:
    def number(analysis: Analysis) -> float | None:
        flow = flow_of(analysis.averaged)
        return None if flow is None else read(flow)

    return number


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


_READ: Mapping[str, Callable[[Analysis], float | None]] = {
    **{
        name: lambda analysis, name=name: analysis.mean(name)  # type: ignore[misc]
        for name in AVERAGED
    },
    "alpha_median": lambda analysis: analysis.median("alpha"),
    "alpha_drift": _of_flow(lambda flow: flow.slope),
    "alpha_above_6": _of_flow(lambda flow: 100 * flow.above),
    "random_like": lambda analysis: _percent(analysis.random_like),
    "traps": lambda analysis: _percent(analysis.traps),
}
_REASONS = {
    "alpha_drift": "needs 4 layers with an alpha",
    "alpha_above_6": "needs 4 layers with an alpha",
}


def compute(metric_input: MetricInput) -> MetricResult:
    """Measure the quantities of the spectra of every member."""
    tensors = {name: in_memory_tensors(_here(w)) for name, w in metric_input.members.items()}
    return spectrum_of(tensors, seed=metric_input.seed)


def spectrum_of(members: Mapping[str, Sequence[LazyTensor]], *, seed: int) -> MetricResult:
    """Measure the quantities of the spectra from the tensors of each member."""
    rules = Rules(seed=seed)
    analyses = {name: analyse_all(tensors, rules) for name, tensors in members.items()}
    values = {name: _combined(name, list(analyses.values())) for name in _READ}
    return MetricResult(values, details=_details(analyses), notes=_notes(analyses))


def _here(weights: Weights) -> Weights:
    """Move weights to the CPU, so that spectra do not depend on the device.

    Many GPUs are slow in double precision, or lack it.
    """
    return {name: tensor.cpu() for name, tensor in weights.items()}


def cost(_: Workload) -> ComputeCost:
    """Return no cost: no network is run."""
    return ComputeCost()


def _combined(name: str, analyses: list[Analysis]) -> Value:
    numbers = [_READ[name](analysis) for analysis in analyses]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        counted = min(len(analysis.averaged) for analysis in analyses)
        reason = _REASONS.get(name, "no layer has this number")
        return Missing(missing=f"{reason}; a member has {counted} layers")
    return mean_over_members(known, single_stderr=None)


def _details(analyses: Mapping[str, Analysis]) -> dict[str, Detail]:
    """List the layers of every member."""
    lines = [(name, layer) for name, analysis in analyses.items() for layer in analysis.layers]
    if not lines:
        return {}
    return {
        "spectrum": Detail(
            columns={
                "member": tuple(name for name, _ in lines),
                "layer": tuple(layer.name for _, layer in lines),
                "kind": tuple(layer.kind for _, layer in lines),
                "state": tuple(layer.state.value for _, layer in lines),
                **{
                    figure: tuple(getattr(layer.figures, figure) for _, layer in lines)
                    for figure in _LAYER_FIGURES
                },
            }
        )
    }


def _notes(analyses: Mapping[str, Analysis]) -> tuple[str, ...]:
    """Note the convention for convolutions, and the layers without a spectrum."""
    layers = [(name, layer) for name, analysis in analyses.items() for layer in analysis.layers]
    notes = [
        f"{name}: no spectrum of {layer.name}: {layer.reason}"
        for name, layer in layers
        if layer.state is State.NONE
    ]
    if any(layer.slices > 1 for _, layer in layers):
        notes.insert(0, f"spectra: {CONVENTIONS['pooled']}")
    return tuple(notes)


def _seconds(members: Iterable[Weights]) -> float:
    """Estimate the seconds of the singular values of all matrices."""
    products = 0.0
    for weights in members:
        for tensor in weights.values():
            if tensor.dim() > 1:
                rows, columns = len(tensor), tensor.numel() / max(len(tensor), 1)
                products += rows * columns * min(rows, columns)
    return products / _DECOMPOSED


SPECTRUM = Metric(
    name="spectrum",
    quantities=tuple(_READ),
    compute=compute,
    cost=cost,
    weights_seconds=_seconds,
)
