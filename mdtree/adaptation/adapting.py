"""Adapting a tree to a user's groups, and evaluating it before and after.

Every group is classified by the original tree and by one adapted to the groups of all other folds:
neither has seen it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mdtree.adaptation.result import (
    Adaptation,
    AdaptationScores,
    GroupComparison,
    chance,
    interval,
    logs,
    of,
)
from mdtree.diagnosis import TreeEnsemble
from mdtree.exceptions import RowsError, TreeError
from mdtree.messages import plural
from mdtree.rows import Row
from mdtree.trees import SavedTree, template_features
from mdtree.trees.arrays import Floats, Ints
from mdtree.trees.binning import complete_rows, continued
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree

__all__ = ["adapt", "learnable"]

_LEAST = 4  # groups: of three, the 2.5 % end is the worst one (1 / 27 of all draws are it alone)
_ONE_OUT = 20  # up to this many groups, each is its own fold
_FOLDS = 10


def adapt(
    rows: Sequence[Row],
    prior: SavedTree,
    *,
    name: str,
    seed: int = 0,
    provenance: Mapping[str, str] | None = None,
    allow_protocol_mismatch: bool = False,
) -> Adaptation:
    """Adapt a tree to labelled rows and evaluate it before and after.

    Args:
        rows: The user's rows, labelled by their fact `label` or by the grid that they form.
        prior: The tree to adapt.
        name: The name of the tree in messages and provenance.
        seed: The seed of the folds and of all random draws.
        provenance: Remarks to store in the adapted tree.
        allow_protocol_mismatch: Accept rows of another protocol; the tree keeps a warning.

    Returns:
        The adapted tree with its scores before and after.

    Raises:
        TreeError: If the tree has no posterior, or too few rows have an answer to its task.
        RowsError: If rows cannot be labelled, or a group has several rows.
        ProtocolError: If the rows have another protocol than the tree.

    """
    _check(rows, prior, name)
    try:
        tree = fit_tree(
            rows,
            task=prior.task,
            prior=prior,
            provenance=_provenance(prior, name, provenance or {}),
            allow_protocol_mismatch=allow_protocol_mismatch,
        )
        labelled_rows, answers, _ = labelled(rows, prior.task)
    except RowsError as error:
        raise RowsError(
            f"{error}. Runs that do not form a grid need the fact 'label' in every row: the "
            "failure mode that you found"
        ) from error
    if len(labelled_rows) < _LEAST:
        raise TreeError(
            f"evaluating a tree takes at least {_LEAST} rows with an answer to the task "
            f"{prior.task!r}, got {len(labelled_rows)}: label more runs, or adapt the tree without "
            f"evaluation, with `mdtree fit --task {prior.task} --prior {name}`"
        )
    matrix = prior.matrix(labelled_rows, allow_protocol_mismatch=allow_protocol_mismatch)
    notes = _notes(prior, matrix, answers, unanswered=len(rows) - len(labelled_rows))
    adaptation = _compare(prior, matrix, labelled_rows, answers, np.random.default_rng(seed))
    remarks = {
        **tree.provenance,
        **_result_remarks(prior, name, adaptation.after, len(labelled_rows)),
    }
    return replace(adaptation, tree=replace(tree, provenance=remarks), notes=notes)


def learnable(
    rows: Sequence[Row], prior: SavedTree, *, allow_protocol_mismatch: bool = False
) -> list[bool]:
    """Return for each row whether all is known of it that a template of the tree asks for."""
    matrix = prior.matrix(rows, allow_protocol_mismatch=allow_protocol_mismatch)
    return [bool(each) for each in _complete(prior, matrix)]


def _complete(prior: SavedTree, matrix: Floats) -> NDArray[np.bool_]:
    columns = {feature: column for column, feature in enumerate(prior.features)}
    shapes = [binned.shape for _, binned in prior.components]
    complete = [complete_rows(shape, matrix, columns) for shape in shapes]
    return np.asarray(np.any(complete, axis=0))


def _check(rows: Sequence[Row], prior: SavedTree, name: str) -> None:
    if not prior.components:
        raise TreeError(
            f"{name} is a {prior.method} tree without a posterior, and only a posterior can be "
            "adapted: fit it again with `mdtree fit --tree posterior` or `--tree grown`"
        )
    for (group, _, _), times in Counter((*row.key, row.facts.get("zoo")) for row in rows).items():
        if times > 1:
            raise RowsError(
                f"group {group!r} has {times} rows, so it would be tested by a tree that has "
                "seen it: keep one of them"
            )


def _notes(
    prior: SavedTree, matrix: Floats, answers: Sequence[str], *, unanswered: int
) -> tuple[str, ...]:
    templates = [binned.shape for _, binned in prior.components]
    complete = _complete(prior, matrix)
    needed = " or ".join(" + ".join(template_features(template)) for template in templates)
    if not complete.any():
        raise TreeError(
            f"nothing can be learnt: no group has all features that the tree asks for ({needed}); "
            "measure them"
        )
    notes = []
    if unanswered:
        notes.append(f"{plural(unanswered, 'row')} left out: no answer to the task {prior.task!r}")
    if not complete.all():
        notes.append(
            f"{plural(int((~complete).sum()), 'group')} tested but not learnt from: features that "
            f"the tree asks for are missing ({needed})"
        )
    if len(set(answers)) == 1:
        notes.append(
            f"all groups are labelled {answers[0]}: they do not show where other answers begin"
        )
    return tuple(notes)


def _compare(
    prior: SavedTree,
    matrix: Floats,
    rows: Sequence[Row],
    answers: Sequence[str],
    rng: np.random.Generator,
) -> Adaptation:
    """Classify all groups by the original tree and by trees adapted to the other folds."""
    codes = np.array([prior.classes.index(answer) for answer in answers], dtype=np.intp)
    folds = _folds(codes, rng)
    before = TreeEnsemble(prior).probabilities(matrix)
    after = _cross_validated(prior, matrix, codes, folds)
    change = logs(after) - logs(before)
    gains = of(change, codes)
    low, high = interval(gains, rng)
    return Adaptation(
        tree=prior,
        groups=len(rows),
        folds=int(folds.max()) + 1,
        before=_scores(before, codes),
        after=_scores(after, codes),
        gain=float(gains.mean()),
        low=low,
        high=high,
        chance=chance(change, before, codes, rng),
        judged=tuple(
            GroupComparison(
                group=row.group,
                answer=answer,
                fold=int(fold),
                before=_by_class(prior, before_row),
                after=_by_class(prior, after_row),
            )
            for row, answer, fold, before_row, after_row in zip(
                rows, answers, folds, before, after, strict=True
            )
        ),
    )


def _folds(codes: Ints, rng: np.random.Generator) -> Ints:
    """Assign the groups to folds, class by class, so that each fold has its share."""
    order = np.lexsort((rng.random(len(codes)), codes))
    folds = np.empty(len(codes), dtype=np.intp)
    folds[order] = np.arange(len(codes)) % (len(codes) if len(codes) <= _ONE_OUT else _FOLDS)
    return folds


def _cross_validated(prior: SavedTree, matrix: Floats, codes: Ints, folds: Ints) -> Floats:
    """Classify each fold by the tree adapted to all others."""
    columns = {feature: column for column, feature in enumerate(prior.features)}
    probabilities = np.empty((len(matrix), len(prior.classes)))
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        components = tuple(
            (weight, continued(binned, matrix[~held_out], columns, codes[~held_out]))
            for weight, binned in prior.components
        )
        probabilities[held_out] = TreeEnsemble(replace(prior, components=components)).probabilities(
            matrix[held_out]
        )
    return probabilities


def _scores(probabilities: Floats, codes: Ints) -> AdaptationScores:
    wrong = probabilities - np.eye(probabilities.shape[1])[codes]
    return AdaptationScores(
        accuracy=100 * float((probabilities.argmax(axis=1) == codes).mean()),
        log_loss=float(-logs(of(probabilities, codes)).mean()),
        brier=float((wrong**2).sum(axis=1).mean()),
    )


def _by_class(prior: SavedTree, line: Floats) -> dict[str, float]:
    return dict(zip(prior.classes, map(float, line), strict=True))


def _provenance(prior: SavedTree, name: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Record which tree is adapted."""
    earlier = prior.provenance.get("continues")
    history = f"{name} ({plural(prior.groups, 'group')})"
    return {**extra, "continues": f"{history} <- {earlier}" if earlier else history}


def _result_remarks(
    prior: SavedTree, name: str, after: AdaptationScores, groups: int
) -> dict[str, str]:
    own_groups = plural(groups, "own group")
    earlier = prior.provenance.get("data") or f"{plural(prior.groups, 'group')} of {name}"
    return {
        "own groups": str(groups),
        "data": f"{earlier}; and {own_groups}",
        "accuracy": f"{after.accuracy:.1f} % (of {own_groups}, cross-validated)",
    }
