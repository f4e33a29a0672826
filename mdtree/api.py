"""The Python interface: `mdtree.measure`, `mdtree.fit`, `mdtree.diagnose`.

They do what the commands of the same names do, and return values instead of printing them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.diagnosis import Diagnoser, Verdict, can_be_diagnosed, diagnoser_for, with_facts
from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig
from mdtree.recipes import NO_RECIPE, Recipe, checked_facts, has_recipe, holds_only_rows
from mdtree.rows import (
    DEFAULT_PROTOCOL,
    Fact,
    Row,
    check_protocol,
    load_rows,
    of_protocol,
    rows_file,
)
from mdtree.trees import SavedTree
from mdtree.trees.bundled import find_tree
from mdtree.trees.fit import fit_tree

if TYPE_CHECKING:
    from torch import nn

    from mdtree.measurement import ModelsInMemory, Request

__all__ = ["diagnose", "fit", "measure"]

Rows = str | Path | Sequence[Row]  # a file, a measured directory, or the rows themselves


def measure(
    directory: str | Path | None = None,
    *,
    recipe: str | Path | Recipe | None = None,
    metrics: Iterable[str] = (),
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
) -> list[Row]:
    """Measure every group of checkpoints in a directory, as `mdtree measure`.

    What has not changed since the last call is not measured again.

    Args:
        directory: the groups, or the address of an object storage that holds them.
        recipe: a file or a `Recipe`; without it, `mdtree.yaml` in the directory.
        metrics: their names; none are the usual ones.
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
        loss: `cross_entropy`, `mse`, or a function of (output, batch).

    Returns:
        One row for each group.  A group that could not be measured has a row with a `failure`.

    Raises:
        MdtreeError: nothing can be measured; the message says why, and what to do.
    """
    from mdtree.measurement import make_request, measure

    if models or directory is None:
        subject = _in_memory(
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
        return [subject.row(metrics)]
    request = make_request(
        directory,
        recipe=recipe,
        metrics=metrics,
        protocol=protocol,
        device=device,
        elsewhere=_on_a_cluster(workers),
        seed=seed,
        trust=trust,
        allow_download=allow_download,
        facts=facts,
        steps=steps,
        others=others,
    )
    summary = measure(request, out=_file(directory, out), executor=_executor(workers, request))
    rows = load_rows(summary.out, protocol=summary.protocol, failed=True)
    return [row for row in rows if row.group in summary.groups]


def fit(
    rows: Rows,
    *,
    task: str = "failure",
    method: str | None = None,
    facts: bool = False,
    prior: SavedTree | str | None = None,
) -> SavedTree:
    """Fit a tree on the rows of a zoo, as `mdtree fit`.

    Args:
        rows: a file of rows, a table, a measured directory, or the rows themselves.  Their grid
            labels them, or the fact `label`.
        task: the question that the tree answers.
        method: the kind of tree; without it, the one that fits the protocol of the rows.
        facts: let the tree ask for facts too.
        prior: an earlier posterior to continue.

    Returns:
        The tree; `mdtree.trees.write_tree` saves it.

    Raises:
        RowsError: the rows cannot be read.
        ProtocolError: they, or they and the prior, were measured in different ways.
        TreeError: no tree can be fitted on them.

    Examples:
        >>> import mdtree
        >>> from mdtree.trees.bundled import shipped_rows
        >>> tree = mdtree.fit(shipped_rows("digits-standard-1"), task="temperature")
        >>> tree.protocol, tree.classes
        ('standard-1', ('temperature_high', 'temperature_low'))
    """
    prior_tree = find_tree(prior) if isinstance(prior, str) else prior
    return fit_tree(_rows(rows), task=task, method=method, facts=facts, prior=prior_tree)


def diagnose(
    source: Rows | None = None,
    *,
    tree: SavedTree | str | Path | None = None,
    confidence: float | None = None,
    facts: Mapping[str, Fact] | None = None,
    full: bool = False,
    recipe: str | Path | Recipe | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    out: str | Path | None = None,
    device: str = "auto",
    workers: int | ExecutorConfig = 1,
    seed: int = 0,
    trust: Iterable[str] = (),
    allow_download: bool = False,
    allow_protocol_mismatch: bool = False,
    steps: str | None = None,
    others: Iterable[str | Path] = (),
    expect: float | None = None,
    models: Sequence[nn.Module] = (),
    train: Any = None,
    test: Any = None,
    loss: str | Callable[..., Any] = "cross_entropy",
) -> list[Verdict]:
    """Diagnose the networks of a directory, or rows that were measured before.

    A directory with a recipe is measured as far as the verdicts need it.

    Args:
        source: a directory of checkpoints, a file of rows, a table, or the rows themselves.
        tree: a tree, its file, or the name of one that comes with mdtree; without it, the one for
            the protocol that was fitted on the most groups.
        confidence: the probability below which a verdict is `unsure`.
        facts: facts of all groups.
        full: measure everything that the tree asks for.
        recipe: as in `measure`, and so are the arguments from here to `allow_download`.
        protocol: the way of measuring.
        out: the file of rows.
        device: where to compute.
        workers: how many processes, or an `ExecutorConfig`.
        seed: of everything drawn.
        trust: code that may run, by name.
        allow_download: let torchvision fetch the data set.
        allow_protocol_mismatch: use a tree of another protocol; the verdict says so.
        steps: as in `measure`, and so is `others`.
        others: directories with runs of the same configuration and other seeds.
        expect: the test accuracy in percent; without it, what the trainer logged.
        models: instead of a source: modules in memory, as in `measure`, and so are `train`, `test`
            and `loss`.
        train: their training data.
        test: their test data.
        loss: their loss.

    Returns:
        One verdict for each group that can be diagnosed.

    Raises:
        AccuracyError: The measured accuracy is not the expected one.
        ProtocolError: tree and rows were measured in different ways.
        MdtreeError: the source cannot be measured or read, or no tree fits it.

    Examples:
        >>> import mdtree
        >>> from mdtree.trees.bundled import shipped_rows
        >>> rows = {row.group: row for row in shipped_rows("digits-standard-1")}
        >>> hot = rows["width-4_batch_size-4_data_amount-1200"]
        >>> verdict = mdtree.diagnose([hot], tree="digits-standard-1")[0]
        >>> verdict.mode
        'temperature_high'
        >>> verdict.advice
        'train with a larger batch or a smaller learning rate: ...'
    """

    def choose_diagnoser(rows: Sequence[Row]) -> Diagnoser:
        return diagnoser_for(
            rows,
            str(tree) if isinstance(tree, Path) else tree,
            confidence=confidence,
            seed=seed,
            allow_protocol_mismatch=allow_protocol_mismatch,
        )

    known_facts, protocol = checked_facts(facts or {}), check_protocol(protocol)
    if models or source is None:
        from mdtree.sequential_diagnosis import diagnose_in_memory

        subject = _in_memory(
            source,
            models,
            train,
            test,
            loss,
            protocol=protocol,
            seed=seed,
            device=device,
            facts=facts,
        )
        return [diagnose_in_memory(subject, choose_diagnoser, expected=expect, full=full)]
    if isinstance(source, str | Path) and not holds_only_rows(source, recipe):
        from mdtree.measurement import make_request, rows_from_files
        from mdtree.sequential_diagnosis import SequentialDiagnosis

        is_run = has_recipe(source, recipe)
        request = make_request(
            source,
            recipe=recipe if is_run else NO_RECIPE,
            protocol=protocol,
            device=device,
            elsewhere=_on_a_cluster(workers),
            seed=seed,
            trust=trust,
            allow_download=allow_download,
            steps=steps,
            others=others,
        )
        if is_run:
            diagnosed = SequentialDiagnosis(
                request=request,
                out=_file(source, out),
                choose_diagnoser=choose_diagnoser,
                facts=known_facts,
                full=full,
                executor=_executor(workers, request),
                expected=expect,
            ).run()
            diagnoser, rows = diagnosed.diagnoser, diagnosed.rows
        else:
            rows = [with_facts(row, known_facts) for row in rows_from_files(request)]
            diagnoser = choose_diagnoser(rows)
    else:
        given = _rows(source, failed=True)
        if isinstance(source, str | Path):  # a file may hold rows of several protocols
            given = of_protocol(given, protocol)
        rows = [with_facts(row, known_facts) for row in given]
        diagnoser = choose_diagnoser(rows)
    return [diagnoser(row) for row in rows if can_be_diagnosed(row)]


def _in_memory(
    source: object,
    models: Sequence[nn.Module],
    train: Any,
    test: Any,
    loss: str | Callable[..., Any],
    **settings: Any,
) -> ModelsInMemory:
    from mdtree.measurement import ModelsInMemory

    if source is not None:
        raise MdtreeError("name either a source or models in memory, not both")
    if train is None:
        raise MdtreeError("models in memory need data: train=..., and test=... if there are any")
    settings["facts"] = settings["facts"] or {}
    return ModelsInMemory(models=models, train=train, test=test, loss=loss, **settings)


def _executor(workers: int | ExecutorConfig, request: Request) -> ExecutorConfig:
    from mdtree.runtime.device import visible_gpus

    if isinstance(workers, ExecutorConfig):
        return replace(workers, shared=workers.shared and request.storage is None)
    return ExecutorConfig(workers=workers, devices=visible_gpus(request.device))


def _on_a_cluster(workers: int | ExecutorConfig) -> bool:
    return isinstance(workers, ExecutorConfig) and workers.ray is not None


def _file(directory: str | Path, out: str | Path | None) -> Path:
    return rows_file(directory, None if out is None else Path(out))


def _rows(rows: Rows, *, failed: bool = False) -> Sequence[Row]:
    return load_rows(Path(rows), failed=failed) if isinstance(rows, str | Path) else rows
