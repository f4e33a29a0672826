"""One layer: what its spectrum says, and in which state it is.

    alpha                power law of the tail, see `powerlaw`
    alpha_hat            alpha log10 max lambda
    log_norm             log10 sum lambda, the squared Frobenius norm
    log_spectral_norm    log10 max lambda
    log_alpha_norm       log10 sum lambda^alpha
    stable_rank          sum lambda / max lambda
    soft_rank            edge of a random matrix / max lambda
    spikes               eigenvalues above that edge
    trap_score           largest eigenvalue of the shuffled entries above the edge, in its scales
    rank_loss            singular values that are rounding

Martin, Peng and Mahoney 2021, arXiv 2002.06716.  log10 throughout.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdtree.spectra.eigenvalues import eigenvalues, resolution
from mdtree.spectra.matrix import Convention, Matrix
from mdtree.spectra.powerlaw import PowerLaw, fit_power_law
from mdtree.spectra.randomness import edge_of, huge_entries, shuffled_top
from mdtree.spectra.state import LEAST_EIGENVALUES, TRAP, State, state_of

__all__ = ["FIGURES", "Figures", "Layer", "Rules", "analyse"]

_COMPATIBLE_CUT = 1e-5


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
    """Analyse one matrix; whatever its numbers are, there is a layer, and it says what is wrong."""
    cut = matrix.cut(matrix.tensor.load())
    fault = _fault(cut)
    if fault is not None:
        return _layer(matrix, Figures(), State.NONE, reason=fault)
    slices = [_Slice.of(part, matrix, number, rules) for number, part in enumerate(cut)]
    spectra = [slices] if rules.convention == "pooled" else [[one] for one in slices]
    found = [_figures(parts, matrix, rules) for parts in spectra]
    figures = _mean(found)
    reason = None
    if figures.alpha is None:
        count = (
            len(slices) * min(matrix.sizes) if rules.convention == "pooled" else min(matrix.sizes)
        )
        reason = f"no power law: {count} eigenvalues, {LEAST_EIGENVALUES} different ones are needed"
    small = min(matrix.sizes) * len(slices) < LEAST_EIGENVALUES
    trap = (figures.trap_score or 0) > TRAP and not small
    state = state_of(
        alpha=figures.alpha,
        distance=figures.distance,
        tail=figures.tail,
        spikes=figures.spikes or 0,
        huge=sum(part.huge for part in slices) if trap else 0,
        small=small,
    )
    return _layer(matrix, figures, state, trap=trap, reason=reason)


@dataclass(frozen=True)
class _Slice:
    """The spectrum of one slice, beside that of a random matrix of its size and variance."""

    values: NDArray[np.float64]
    spikes: int
    edge: float
    trap_score: float | None
    huge: int  # entries that would stand out of the spectrum alone

    @classmethod
    def of(cls, part: Tensor, matrix: Matrix, number: int, rules: Rules) -> _Slice:
        values = eigenvalues(part)
        variance = float(values.sum()) / part.numel()
        edge = edge_of(matrix.sizes, variance)
        huge = huge_entries(part, variance)
        score = None
        if (rules.traps or huge) and min(matrix.sizes) > 1:
            # by its name, so that a layer has one score whatever else is in the file
            seed = zlib.crc32(f"{rules.seed} {matrix.name} {number}".encode())
            score = edge.score(shuffled_top(part, seed))
        scale = _scale(matrix, rules)
        return cls(values * scale, edge.spikes(values), edge.value * scale, score, huge)


def _scale(matrix: Matrix, rules: Rules) -> float:
    """Scale the eigenvalues of convolutions as WeightWatcher does: 1/2, or k^2/2 for slices."""
    if not rules.compatible or not matrix.kind.startswith("conv"):
        return 1.0
    return 0.5 * (matrix.slices if rules.convention == "slices" else 1)


def _figures(slices: Sequence[_Slice], matrix: Matrix, rules: Rules) -> Figures:
    """Give the numbers of some slices' eigenvalues together."""
    values = np.sort(np.concatenate([part.values for part in slices]))
    top, total = float(values[-1]), float(values.sum())
    nothing = resolution(matrix.sizes, matrix.tensor.dtype) ** 2  # as a share of the largest
    lost = [np.count_nonzero(part.values <= nothing * part.values[-1]) for part in slices]
    usable = values[values > (_COMPATIBLE_CUT if rules.compatible else nothing * top)]
    law = fit_power_law(usable) if len(usable) >= LEAST_EIGENVALUES else None
    scores = [part.trap_score for part in slices if part.trap_score is not None]
    log_top = math.log10(top)
    return Figures(
        **_law_figures(law, usable, log_top),
        log_norm=math.log10(total),
        log_spectral_norm=log_top,
        stable_rank=total / top,
        soft_rank=max(part.edge for part in slices) / top,
        spikes=sum(part.spikes for part in slices),
        trap_score=max(scores) if scores else None,
        rank_loss=int(sum(lost)),
    )


def _law_figures(
    law: PowerLaw | None, values: NDArray[np.float64], log_top: float
) -> dict[str, float]:
    if law is None:
        return {}
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
    """Say why there is no spectrum at all."""
    wrong = int((~torch.isfinite(cut)).sum())
    if wrong:
        return f"{wrong} of {cut.numel()} numbers are not finite"
    return None if bool(cut.any()) else "all numbers are zero"


def _mean(found: Sequence[Figures]) -> Figures:
    """Take means over slices of what all of them have, and sums of what is counted."""
    if len(found) == 1:
        return found[0]
    columns = {name: [getattr(one, name) for one in found] for name in FIGURES}
    known = {name: [v for v in column if v is not None] for name, column in columns.items()}
    means = {name: float(np.mean(column)) for name, column in known.items() if column}
    for name in ("spikes", "rank_loss"):
        means[name] = float(sum(known[name]))
    if known["trap_score"]:
        means["trap_score"] = max(known["trap_score"])
    return Figures(**means)


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
