"""`mdtree.weights`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.exceptions import MdtreeError

if TYPE_CHECKING:
    from torch import nn

    from mdtree.spectra import Convention, WeightsReport

__all__ = ["weights"]


def weights(
    source: str | Path | nn.Module | Mapping[str, Any] | None = None,
    *,
    against: str | Path | nn.Module | Mapping[str, Any] | None = None,
    series: str | Path | None = None,
    convention: Convention = "pooled",
    ww_compat: bool = False,
    traps: bool = False,
    embeddings: bool = False,
    weights_key: str | None = None,
    trust: Iterable[str] = (),
    threads: int | None = None,
    seed: int = 0,
) -> WeightsReport:
    """Analyse the spectra of weights, as `mdtree weights`.

    Args:
        source: a checkpoint, a directory of them, the address of either in an object storage
            (`hf://someone/net`), a module, or a state dict.
        against: a later checkpoint to compare with, in any of these forms.  With an adapter on
            either side, the other one is its base.
        series: instead of a source: a CSV table of models, with accuracy or error, and family.
        convention: how to turn a convolution into matrices: `pooled`, `slices` or `flatten`.
        ww_compat: use WeightWatcher's cutoff and scaling.
        traps: test every layer for traps, not only the suspicious ones.
        embeddings: include embeddings in the means.
        weights_key: which weights to use if a file holds several.
        trust: classes that a checkpoint may use, by name.
        threads: layers in parallel; without it, as many as there are cores.
        seed: of the shuffling.

    Returns:
        The report; parts that were not asked for are empty.

    Raises:
        MdtreeError: nothing can be read; the message says why, and what to do.

    Examples:
        >>> from torch import nn
        >>> report = weights(nn.Linear(64, 32))
        >>> [(layer.name, layer.state.value) for layer in report.analysis.layers]
        [('weight', 'random-like')]

    """
    from mdtree.runtime.cores import cores
    from mdtree.spectra import CONVENTIONS, Rules, WeightOptions, compare, examine, rank

    if convention not in CONVENTIONS:
        raise MdtreeError(f"convention must be {', '.join(CONVENTIONS)}, got {convention!r:.100}")
    if (source is None) == (series is None):
        raise MdtreeError("give either a checkpoint or directory, or a table with series")
    options = WeightOptions(
        rules=Rules(convention=convention, compatible=ww_compat, traps=traps, seed=seed),
        embeddings=embeddings,
        key=weights_key,
        trust=(trust,) if isinstance(trust, str) else tuple(trust),
        threads=threads or cores(),
    )
    if series is not None:
        if against is not None:
            raise MdtreeError("against compares two checkpoints, series many: use only one")
        return rank(Path(series), options)
    assert source is not None
    return examine(source, options) if against is None else compare(source, against, options)
