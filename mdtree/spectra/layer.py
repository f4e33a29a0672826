"""One layer: the figures of its spectrum, and its state.

    alpha                power law of the tail, see `powerlaw`
    alpha_hat            alpha log10 max lambda
    log_norm             log10 sum lambda, the squared Frobenius norm
    log_spectral_norm    log10 max lambda
    log_alpha_norm       log10 sum lambda^alpha
    stable_rank          sum lambda / max lambda
    soft_rank            edge of a random matrix / max lambda
    spikes               eigenvalues above that edge
    trap_score           largest eigenvalue of the shuffled entries above the edge, in its scales
    rank_loss            singular values lost to rounding in the stored type

Martin, Peng and Mahoney 2021, arXiv 2002.06716.  log10 throughout.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdtree.spectra.eigenvalues import (
    edge_of,
    eigenvalues,
    huge_entries,
    resolution,
    trap_score,
)
from mdtree.spectra.matrix import Convention, Matrix
from mdtree.spectra.powerlaw import PowerLaw, fit_power_law
from mdtree.spectra.state import LEAST_EIGENVALUES, TRAP, State, state_of

__all__ = ["FIGURES", "Figures", "Layer", "Rules", "analyse"]

_COMPATIBLE_CUT = 1e-5
_SQUARABLE = 1e150


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How layers are analysed."""

    convention: Convention = "pooled"
    compatible: bool = False  # WeightWatcher's cut of eigenvalues and scale of convolutions
    traps: bool = False  # shuffle every matrix, not only where an entry is huge
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The numbers of one spectrum, or the means over slices; None where there is none."""

    alpha: float | None = None
    alpha_stderr: float | None = None
    xmin: float | None = None
    distance: float | None = None
    tail: float | None = None
    alpha_hat: float | None = None
    log_norm: float | None = None
    log_spectral_norm: float | None = None
    log_alpha_norm: float | None = None
    stable_rank: float | None = None
    soft_rank: float | None = None
    spikes: float | None = None
    trap_score: float | None = None
    rank_loss: float | None = None


FIGURES = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One analysed matrix, or convolution."""

    name: str
    kind: str
    sizes: tuple[int, int]
    slices: int
    figures: Figures
    state: State
    trap: bool
    reason: str | None = None  # why there are no figures, or no alpha


def analyse(matrix: Matrix, rules: Rules) -> Layer:
    """Analyse one matrix; a matrix without a spectrum gives a layer with the reason."""
    cut = matrix.cut(matrix.tensor.load())
    fault = _fault(cut)
    if fault is not None:
        return _layer(matrix, Figures(), State.NONE, reason=fault)
    slices = [_Spectrum.of(part, matrix, number, rules) for number, part in enumerate(cut)]
    pooled = _Spectrum.pooled(slices)
    spectra = (
        [pooled]
        if rules.convention == "pooled"
        else [spectrum for spectrum in slices if spectrum.top > 0]
    )
    laws = [_law(spectrum, rules) for spectrum in spectra]
    figures = replace(
        _mean([_figures(spectrum, law) for spectrum, law in zip(spectra, laws, strict=True)]),
        spikes=pooled.spikes,
        trap_score=pooled.trap_score,
        rank_loss=pooled.lost,
    )
    small = len(spectra[0].values) < LEAST_EIGENVALUES
    trap = (figures.trap_score or 0) > TRAP and not small
    state = state_of(
        alpha=figures.alpha,
        distance=figures.distance,
        tail=figures.tail,
        spikes=pooled.spikes,
        huge=pooled.huge if trap else 0,
        small=small,
    )
    reason = next((law for law in laws if isinstance(law, str) and figures.alpha is None), None)
    return _layer(matrix, figures, state, trap=trap, reason=reason)


@dataclass(frozen=True, kw_only=True)
class _Spectrum:
    """The eigenvalues of one or more slices, compared with a random matrix of their size."""

    values: NDArray[np.float64]  # ascending
    least: float  # at most this large: error of the computation
    rounding: float  # at most this large: rounding error of the stored numbers
    edge: float
    spikes: int
    lost: int  # eigenvalues that are such errors
    huge: int  # entries that would stand out alone
    trap_score: float | None

    @property
    def top(self) -> float:
        return float(self.values[-1])

    @classmethod
    def of(cls, part: Tensor, matrix: Matrix, number: int, rules: Rules) -> _Spectrum:
        part = part.contiguous()  # a slice of a convolution is scattered, and is read several times
        plain = eigenvalues(part)
        values = plain * _scale(matrix, rules)
        edge = edge_of(matrix.sizes, float(values.sum()) / part.numel())
        huge = huge_entries(part, float(plain.sum()))
        score = None
        if (rules.traps or huge) and min(matrix.sizes) > 1:
            # from the name, so that the score does not depend on the other layers
            seed = zlib.crc32(f"{rules.seed} {matrix.name} {number}".encode())
            score = trap_score(part, seed)
        least = float(values[-1]) * resolution(matrix.sizes, matrix.tensor.dtype)
        rounding = edge.rounding(matrix.tensor.dtype)
        return cls(
            values=values,
            least=least,
            rounding=rounding,
            edge=edge.value,
            spikes=edge.spikes(values),
            lost=int(np.count_nonzero(values <= max(least, rounding))),
            huge=huge,
            trap_score=score,
        )

    @classmethod
    def pooled(cls, parts: Sequence[_Spectrum]) -> _Spectrum:
        scores = [part.trap_score for part in parts if part.trap_score is not None]
        return cls(
            values=np.sort(np.concatenate([part.values for part in parts])),
            least=max(part.least for part in parts),
            rounding=max(part.rounding for part in parts),
            edge=max(part.edge for part in parts),
            spikes=sum(part.spikes for part in parts),
            lost=sum(part.lost for part in parts),
            huge=sum(part.huge for part in parts),
            trap_score=max(scores, default=None),
        )


def _scale(matrix: Matrix, rules: Rules) -> float:
    """Return WeightWatcher's scale for eigenvalues of convolutions: 1/2, or k^2/2 for slices."""
    if not rules.compatible or not matrix.kind.startswith("conv"):
        return 1.0
    return 0.5 * (matrix.slices if rules.convention == "slices" else 1)


def _law(spectrum: _Spectrum, rules: Rules) -> PowerLaw | str:
    """Fit the eigenvalues that differ from zero and from each other, or return why not."""
    values = spectrum.values
    cut = _COMPATIBLE_CUT if rules.compatible else spectrum.least
    usable = values[values > cut]
    if len(usable) < LEAST_EIGENVALUES:
        counted = f"{len(usable)} of {len(values)} eigenvalues are above {cut:.0e}"
        return f"no power law: {counted}, but {LEAST_EIGENVALUES} are needed"
    differ = math.sqrt(usable[-1]) - math.sqrt(usable[0]) > math.sqrt(spectrum.rounding)
    law = fit_power_law(usable) if differ else None
    return law or "no power law: all eigenvalues are equal, up to rounding"


def _figures(spectrum: _Spectrum, law: PowerLaw | str) -> Figures:
    """Compute the figures of one spectrum, without the counts."""
    values, top = spectrum.values, spectrum.top
    total, log_top = float(values.sum()), math.log10(top)
    return Figures(
        **({} if isinstance(law, str) else _law_figures(law, values[values > 0], log_top)),
        log_norm=math.log10(total),
        log_spectral_norm=log_top,
        stable_rank=total / top,
        soft_rank=spectrum.edge / top,
    )


def _law_figures(law: PowerLaw, values: NDArray[np.float64], log_top: float) -> dict[str, float]:
    powers = law.alpha * np.log(values)
    log_alpha_norm = powers.max() + math.log(np.exp(powers - powers.max()).sum())
    return {
        "alpha": law.alpha,
        "alpha_stderr": law.stderr,
        "xmin": law.xmin,
        "distance": law.distance,
        "tail": law.tail,
        "alpha_hat": law.alpha * log_top,
        "log_alpha_norm": float(log_alpha_norm / math.log(10)),
    }


def _fault(cut: Tensor) -> str | None:
    """Return why there is no spectrum, or None."""
    low, high = map(float, torch.aminmax(cut))  # one pass, which also reveals NaN and infinity
    size = max(abs(low), abs(high))
    if not math.isfinite(size):
        wrong = cut.numel() - int(torch.isfinite(cut).sum())
        return f"{wrong} of {cut.numel()} numbers are not finite"
    if size == 0:
        return "all numbers are zero"
    if not 1 / _SQUARABLE < size < _SQUARABLE:
        return f"numbers of size {size:.0e} cannot be squared in double precision"
    return None


def _mean(slice_figures: Sequence[Figures]) -> Figures:
    """Average figures over slices, each over the slices that have it."""
    if len(slice_figures) == 1:
        return slice_figures[0]
    columns = {name: [getattr(figures, name) for figures in slice_figures] for name in FIGURES}
    known = {name: [v for v in column if v is not None] for name, column in columns.items()}
    return Figures(**{name: float(np.mean(column)) for name, column in known.items() if column})


def _layer(
    matrix: Matrix,
    figures: Figures,
    state: State,
    *,
    trap: bool = False,
    reason: str | None = None,
) -> Layer:
    return Layer(
        name=matrix.name,
        kind=matrix.kind,
        sizes=matrix.sizes,
        slices=matrix.slices,
        figures=figures,
        state=state,
        trap=trap,
        reason=reason,
    )
