"""`mdtree.fit` and `mdtree.diagnose`: from rows to a tree, and to verdicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.api.arguments import (
    RowsSource,
    all_rows,
    as_runs,
    executor_config,
    in_memory,
    is_on_a_cluster,
    rows_path,
    warn_of_unused,
)
from mdtree.api.results import Verdicts
from mdtree.diagnosis import Diagnoser, can_be_diagnosed, diagnoser_for, with_facts
from mdtree.exceptions import RowsError
from mdtree.executors import ExecutorConfig
from mdtree.recipes import NO_RECIPE, Recipe, checked_facts, has_recipe, rows_alone
from mdtree.rows import (
    DEFAULT_PROTOCOL,
    TARGET,
    Fact,
    Row,
    check_protocol,
    load_rows,
    measured_file,
    named_apart,
    of_protocol,
)
from mdtree.trees import SavedTree
from mdtree.trees.bundled import find_tree
from mdtree.trees.fit import fit_tree

if TYPE_CHECKING:
    from torch import nn

__all__ = ["diagnose", "fit"]


def fit(
    rows: RowsSource,
    *,
    task: str = "failure",
    method: str | None = None,
    facts: bool = False,
    prior: SavedTree | str | None = None,
) -> SavedTree:
    """Fit a tree on the rows of a zoo, as `mdtree fit`.

    Args:
        rows: a file of rows, a table, a measured directory, or the rows themselves.  Their grid
            labels them, or the fact `label`.  Groups of different zoos in one file that have the
            same name are told apart by the fact `zoo`; without it, the later replaces the earlier,
            and a UserWarning says so.
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
    return fit_tree(
        all_rows(rows, learning=True), task=task, method=method, facts=facts, prior=prior_tree
    )


def diagnose(
    source: RowsSource | Sequence[str | Path] | None = None,
    *,
    tree: SavedTree | str | Path | None = None,
    confidence: float | None = None,
    facts: Mapping[str, Fact] | None = None,
    full: bool = False,
    full_precision: bool = False,
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
    target: float | None = None,
    models: Sequence[nn.Module] = (),
    train: Any = None,
    test: Any = None,
    loss: str | Callable[..., Any] = "cross_entropy",
) -> Verdicts:
    """Diagnose the networks of a directory, or rows that were measured before.

    A directory with a recipe is measured as far as the verdicts need it.

    Args:
        source: a directory of checkpoints, a file of rows, a table, or the rows themselves;
            several directories are one with `others`.  In a file, groups of several zoos that have
            the same name are called `zoo/group`, by the fact `zoo`.
        tree: a tree, its file, or the name of one that comes with mdtree; without it, the one for
            the protocol that was fitted on the most groups.
        confidence: the probability below which a verdict is `unsure`.
        facts: facts of all groups.
        full: measure everything that the tree asks for.
        full_precision: measure every quantity to its tolerance; without it, the Hessian and the
            curve only until the verdict can no longer change.
        recipe: as in `measure`, and so are the arguments from here to `allow_download`.
        protocol: the way of measuring.
        out: the file of rows: what is measured is added to it; without a recipe, its rows of these
            networks are judged.
        device: where to compute.
        workers: how many processes, or an `ExecutorConfig`.
        seed: of everything drawn.
        trust: code that may run, by name.
        allow_download: let torchvision fetch the data set.
        allow_protocol_mismatch: use a tree of another protocol; the verdict says so.
        steps: as in `measure`, and so is `others`.
        others: directories with runs of the same configuration and other seeds.
        expect: the test accuracy in percent; without it, what the trainer logged.
        target: the test accuracy in percent that is achievable, if you know it, as the fact
            `target_accuracy`: gains end there, and `none` means that nothing closes the gap.
        models: instead of a source: modules in memory, as in `measure`, and so are `train`, `test`
            and `loss`.
        train: their training data.
        test: their test data.
        loss: their loss.

    Returns:
        One verdict for each group that can be diagnosed, in a list that a notebook shows as a page.

    Raises:
        AccuracyError: The measured accuracy is not the expected one.
        ProtocolError: tree and rows were measured in different ways.
        RowsError: the file that `out` names holds no rows of these networks.
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

    facts = {**(facts or {}), **({} if target is None else {TARGET: target})}
    known_facts, protocol = checked_facts(facts), check_protocol(protocol)
    warn_of_unused(facts)
    if source is None or models != ():
        from mdtree.sequential_diagnosis import diagnose_in_memory

        networks = in_memory(
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
        found = diagnose_in_memory(
            networks,
            choose_diagnoser,
            expected=expect,
            full=full,
            full_precision=full_precision,
        )
        return Verdicts.of(found.diagnoser, found.rows)
    subject, others = as_runs(source, others)
    is_path = isinstance(subject, str | Path)
    known = _known((subject, *others), recipe, out) if is_path else all_rows(subject, failed=True)
    if known is None:
        from mdtree.measurement import make_request, rows_from_files
        from mdtree.sequential_diagnosis import SequentialDiagnosis

        is_run = has_recipe(subject, recipe)
        request = make_request(
            subject,
            recipe=recipe if is_run else NO_RECIPE,
            protocol=protocol,
            device=device,
            elsewhere=is_on_a_cluster(workers),
            seed=seed,
            trust=trust,
            allow_download=allow_download,
            steps=steps,
            others=others,
        )
        if is_run:
            diagnosed = SequentialDiagnosis(
                request=request,
                out=rows_path(subject, out, others),
                choose_diagnoser=choose_diagnoser,
                facts=known_facts,
                full=full,
                full_precision=full_precision,
                executor=executor_config(workers, request),
                expected=expect,
            ).run()
            diagnoser, rows = diagnosed.diagnoser, diagnosed.rows
        else:
            rows = [with_facts(row, known_facts) for row in rows_from_files(request)]
            diagnoser = choose_diagnoser(rows)
    else:
        if is_path:  # a file may hold rows of several protocols
            known = of_protocol(known, protocol)
        rows = [with_facts(row, known_facts) for row in known]
        diagnoser = choose_diagnoser(rows)
    return Verdicts.of(diagnoser, filter(can_be_diagnosed, rows))


def _known(
    sources: Sequence[str | Path],
    recipe: str | Path | Recipe | None,
    named: str | Path | None,
) -> Sequence[Row] | None:
    """Read the rows of what cannot be measured further, of the networks that are there now."""
    found = rows_alone(sources, recipe, rows=named)
    if found is None:
        return None
    file, notices = found.path, list[str]()
    if found.is_source:
        rows = load_rows(file, failed=True, by_zoo=True, notice=notices.append)
        kept = named_apart(rows)
    else:
        from mdtree.measurement import rows_of_networks

        rows = load_rows(file, failed=True)
        kept, left_out = rows_of_networks(rows, measured_file(file), sources, named=found.is_named)
        if not kept and found.is_named:
            raise RowsError(f"{left_out}; to judge it all the same, pass it as the source")
        notices += [left_out] if left_out else []
    for text in notices:
        warnings.warn(text, UserWarning, stacklevel=3)  # where `mdtree.diagnose` was called
    return kept or None
