"""Scale Collapse: the size of some layers changes, while that of the others does not.

Between two checkpoints of one network (before and after fine-tuning, distillation, pruning), with d
the change of a layer's log10 max lambda or log10 Frobenius norm:

    z = (d - median d) / s,     s = max(1.4826 median |d - median d|, 0.05)

The median and s are those of the layers that changed, as an adapter changes only some; where fewer
than four did, those of all layers.  A layer that did not change has z = 0.

A layer with |z| > 3.5 has collapsed, or grown.  Its norms are then misleading, but alpha, which
does not depend on scale, is not (Martin, Peng, Mahoney 2021, section "Scale Collapse").  A single
checkpoint gives only a hint: layers whose log max lambda is far below the others of their kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.spectra.layer import Layer

__all__ = ["Change", "Hint", "changes", "hints"]

_OUTLYING = 3.5
_LEAST_SPREAD = 0.05  # decades: a change of less than 12 % is not a collapse
_LEAST = 4  # layers, to find an outlier among them


@dataclass(frozen=True, kw_only=True)
class Change:
    """The change of one layer; numbers are after minus before."""

    name: str
    log_norm: float
    log_spectral_norm: float
    alpha: float | None
    z_norm: float
    z_spectral: float

    @property
    def changed(self) -> bool:
        """Whether the spectrum changed at all."""
        return any((self.log_norm, self.log_spectral_norm, self.alpha))

    @property
    def collapsed(self) -> bool:
        """Whether the size of the layer changed unlike that of the others."""
        return max(abs(self.z_norm), abs(self.z_spectral)) > _OUTLYING


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A layer that is far smaller than others of its kind."""

    name: str
    kind: str
    log_spectral_norm: float
    z: float


def changes(before: Sequence[Layer], after: Sequence[Layer]) -> tuple[Change, ...]:
    """Compare the layers that both checkpoints have, by name and size, in the order of `before`."""
    known = {(layer.name, layer.sizes): layer for layer in after if _has_size(layer)}
    pairs = [
        (layer, known[layer.name, layer.sizes])
        for layer in before
        if _has_size(layer) and (layer.name, layer.sizes) in known
    ]
    if not pairs:
        return ()
    norms = np.array([_of(new, "log_norm") - _of(old, "log_norm") for old, new in pairs])
    tops = np.array(
        [_of(new, "log_spectral_norm") - _of(old, "log_spectral_norm") for old, new in pairs]
    )
    return tuple(
        Change(
            name=old.name,
            log_norm=float(norm),
            log_spectral_norm=float(top),
            alpha=_difference(old.figures.alpha, new.figures.alpha),
            z_norm=float(z_norm),
            z_spectral=float(z_top),
        )
        for (old, new), norm, top, z_norm, z_top in zip(
            pairs, norms, tops, *_compared(norms, tops), strict=True
        )
    )


def hints(layers: Sequence[Layer]) -> tuple[Hint, ...]:
    """Find layers that are far smaller than the others of their kind."""
    small_layers = []
    for kind in dict.fromkeys(layer.kind for layer in layers):
        alike = [layer for layer in layers if layer.kind == kind and _has_size(layer)]
        if len(alike) < _LEAST:
            continue
        tops = np.array([_of(layer, "log_spectral_norm") for layer in alike])
        scores = _scores(tops, np.ones(len(tops), dtype=bool))
        for layer, top, z in zip(alike, tops, scores, strict=True):
            if z < -_OUTLYING:
                small_layers.append(
                    Hint(name=layer.name, kind=kind, log_spectral_norm=float(top), z=float(z))
                )
    return tuple(small_layers)


def _compared(
    norms: NDArray[np.float64], tops: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute z of both; a layer that did not change is not compared with those that did."""
    changed = (norms != 0) | (tops != 0)
    among = changed if changed.sum() >= _LEAST else np.ones_like(changed)
    z_norms, z_tops = (np.where(changed, _scores(values, among), 0.0) for values in (norms, tops))
    return z_norms, z_tops


def _scores(values: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    middle = np.median(values[among])
    spread = max(1.4826 * float(np.median(np.abs(values[among] - middle))), _LEAST_SPREAD)
    scores: NDArray[np.float64] = (values - middle) / spread
    return scores


def _has_size(layer: Layer) -> bool:
    return layer.figures.log_norm is not None


def _of(layer: Layer, figure: str) -> float:
    return float(getattr(layer.figures, figure))


def _difference(old: float | None, new: float | None) -> float | None:
    return None if old is None or new is None else new - old
