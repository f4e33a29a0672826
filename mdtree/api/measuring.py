"""`mdtree.measure` and `mdtree.weights`: from checkpoints to rows, and what weights alone tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.api.arguments import (
    as_runs,
    executor_config,
    in_memory,
    is_on_a_cluster,
    rows_path,
)
from mdtree.api.results import Rows
from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig
from mdtree.recipes import Recipe
from mdtree.rows import DEFAULT_PROTOCOL, Fact, load_rows

if TYPE_CHECKING:
    from torch import nn

    from mdtree.spectra import Convention, WeightsReport

__all__ = ["measure", "weights"]


def measure(
    directory: str | Path | Sequence[str | Path] | None = None,
    *,
    recipe: str | Path | Recipe | None = None,
    metrics: Iterable[str] = (),
    quantities: Iterable[str] = (),
    protocol: str = DEFAULT_PROTOCOL,
    out: str | Path | None = None,
    device: str = "auto",
    workers: int | ExecutorConfig = 1,
    seed: int = 0,
    trust: Iterable[str] = (),
    allow_download: bool = False,
    facts: Mapping[str, Fact] | None = None,
    steps: str | None = None,
    others: Iterable[str | Path] = (),
    models: Sequence[nn.Module] = (),
    train: Any = None,
    test: Any = None,
    loss: str | Callable[..., Any] = "cross_entropy",
) -> Rows:
    """Measure every group of checkpoints in a directory, as `mdtree measure`.

    What has not changed since the last call is not measured again.

    Args:
        directory: the groups, or the address of an object storage that holds them; several
            directories are one with `others`.
        recipe: a file or a `Recipe`; without it, `mdtree.yaml` in the directory.
        metrics: their names; none are the usual ones.
        quantities: those of the metrics that are wanted; none are all.  Of checkpoints in a
            directory only.
        protocol: the way of measuring.
        out: the file of rows; without it, `rows.jsonl` in the directory.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, ...
        workers: a number of processes, or an `ExecutorConfig`: a cluster of Ray, limits of time
            and memory.
        seed: of everything drawn.
        trust: code that may run, by name.
        allow_download: let torchvision fetch the data set.
        facts: facts of all groups; they win over those of the recipe.
        steps: of the checkpoints that a run saved at several steps: `last` (without it), `best`,
            `all`, or `every:N`.
        others: directories with runs of the same configuration and other seeds: one group.
        models: instead of a directory: modules in memory that differ only by seed.
        train: their training data: (x, y), a dictionary of tensors, a Dataset or a DataLoader.
        test: their test data, in the same form.
        loss: `cross_entropy` (for networks of transformers, of what they predict), `mse`,
            `causal_lm`, `token_cross_entropy`, or a function of (output, batch).

    Returns:
        One row for each group, in a list that a notebook shows as a table.  A group that could not
        be measured has a row with a `failure`.

    Raises:
        MdtreeError: nothing can be measured; the message says why, and what to do.
    """
    from mdtree.measurement import make_request, measure

    metrics = (metrics,) if isinstance(metrics, str) else metrics
    if directory is None or models != ():
        if tuple(quantities):
            raise MdtreeError(
                "quantities are chosen for checkpoints in a directory: name metrics for models"
            )
        subject = in_memory(
            directory,
            models,
            train,
            test,
            loss,
            protocol=protocol,
            seed=seed,
            device=device,
            facts=facts,
        )
        return Rows([subject.row(metrics)])
    root, others = as_runs(directory, others)
    request = make_request(
        root,
        recipe=recipe,
        metrics=metrics,
        quantities=(quantities,) if isinstance(quantities, str) else quantities,
        protocol=protocol,
        device=device,
        elsewhere=is_on_a_cluster(workers),
        seed=seed,
        trust=trust,
        allow_download=allow_download,
        facts=facts,
        steps=steps,
        others=others,
    )
    summary = measure(
        request, out=rows_path(root, out, others), executor=executor_config(workers, request)
    )
    rows = load_rows(summary.out, protocol=summary.protocol, failed=True)
    return Rows(row for row in rows if row.group in summary.groups)


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
