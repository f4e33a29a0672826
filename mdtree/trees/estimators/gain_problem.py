"""The groups of several zoos as a regression problem, with all zoos or without some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import Floats
from mdtree.trees.boosted_trees import BoostedTrees
from mdtree.trees.estimators.boosting import boosted
from mdtree.trees.estimators.copies import copies
from mdtree.trees.estimators.kernel_fit import KernelProblem, KernelSums
from mdtree.trees.estimators.known_gains import KnownGains
from mdtree.trees.estimators.unseen import Calibration, Unseen
from mdtree.trees.gain_model import GainModel
from mdtree.trees.kernel_regression import KernelRegression, QuantileScale, rounded, scaled

__all__ = ["GainProblem", "KernelSettings"]

_FARTHEST = 1e30  # larger values of a feature count as unknown
_QUANTILES = 33  # of each feature
_CENTRE_STEPS = 20  # for each unit of a scale; distances hardly change, and files are smaller
_QUANTILE_DIGITS = 9
_FEWEST_CLEAR = 500  # groups with a clear answer, for boosted trees
_ZOOS = 3  # that can be left out one by one
_FOLDS = 4  # in which zoos are left out


@dataclass(frozen=True, kw_only=True)
class KernelSettings:
    """How a kernel regression is fitted."""

    centres: int  # groups that others are compared with, at most
    width: float  # of the kernel
    ridge: float
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class GainProblem:
    """Groups whose gains are known."""

    matrix: Floats  # one line a group; the noise is not used
    names: Sequence[str]  # of the columns
    known: KnownGains
    zoos: NDArray[np.intp]  # the number of each group's zoo
    settings: KernelSettings

    def prepared(self) -> GainProblem:
        """Compute what all solutions share."""
        _ = self._total, self._boosted_chances
        return self

    def model(
        self,
        left_out: NDArray[np.bool_] | None = None,
        calibration: Calibration | None = None,
    ) -> GainModel:
        """Fit a model to all groups, or without those of zoos that are left out.

        The scales of the features and the usual noise are those of all groups.  A calibration
        without these zoos, and others, can be given: it takes most of the time.
        """
        gone = self._lines(left_out)
        calibration = calibration or self.calibration(gone)
        sums = self._total - self._sums(gone) if gone.any() else self._total
        return GainModel(
            regression=self._solved(sums, gone),
            scale=calibration.scale,
            boosted=calibration.boosted,
            spread=calibration.spread,
            levels=calibration.levels,
        )

    def calibration(self, left_out: NDArray[np.bool_] | None = None) -> Calibration:
        """Compare predictions for unseen zoos with what is known of them.

        The boosted trees, too, are fitted without those that are left out; only those whose
        predictions the levels of sets are read from may have seen them.
        """
        gone = self._lines(left_out)
        own = self._sums(gone) if gone.any() else None
        sums = self._total if own is None else self._total - own
        expected = self._expected(sums, own, gone)
        unseen = Unseen(
            expected={target: values[~gone] for target, values in expected.items()},
            known=self.known.of(~gone),
            weights=_weights(self.zoos)[~gone],
            boosted={name: values[~gone] for name, values in self._boosted_chances.items()} or None,
        )
        trees = self._boosted(gone) if self._boosted_chances else None
        return replace(unseen.calibration(), boosted=trees)

    @cached_property
    def _boosted_chances(self) -> dict[str, Floats]:
        """What boosted trees that have not seen a group expect of it."""
        lines = self._problem.lines[: len(self.matrix)]
        chances: dict[str, Floats] = {}
        for fold in self._folds:
            trees = self._boosted(fold)
            if trees is None:
                return {}
            for name, values in trees.chances(lines[fold]).items():
                chances.setdefault(name, np.zeros(len(lines)))[fold] = values
        return chances

    def _boosted(self, gone: NDArray[np.bool_]) -> BoostedTrees | None:
        """Fit boosted trees to the groups with a clear answer; None if they are too few.

        Of the copies they see as many as weigh as much as the whole groups.
        """
        count, problem = len(self.matrix), self._problem
        share = problem.weights / self._of_copies(problem.weights[:count])
        chosen = np.random.default_rng(self.settings.seed).random(len(share)) < share
        _, answers = self.known.answers
        clear = chosen & self._of_copies(self.known.clear & ~gone)
        group = np.flatnonzero(clear) % count
        if len(np.unique(group)) < _FEWEST_CLEAR or len(np.unique(answers[group])) == 1:
            return None
        if not self._scales:  # all groups are alike
            return None
        weights = problem.weights[group]
        return boosted(problem.lines[clear], answers[group], weights, self.known.classes)

    def _lines(self, left_out: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        return np.zeros(len(self.matrix), dtype=bool) if left_out is None else left_out

    def _expected(
        self, sums: KernelSums, own: KernelSums | None, gone: NDArray[np.bool_]
    ) -> dict[str, Floats]:
        """Return predictions by models that have seen neither the groups nor those left out."""
        expected = {target: np.full(len(self.matrix), np.nan) for target in self._problem.targets}
        for fold, fold_sums in zip(self._folds, self._fold_sums, strict=True):
            both = fold & gone
            rest = sums - fold_sums
            if own is not None and both.any():  # it was subtracted twice
                rest = rest + (own if (both == gone).all() else self._sums(both))
            if not rest.weights.any():
                continue
            asked = fold & ~gone
            regression = self._solved(rest, fold | gone)
            for target, values in regression.values(self.matrix[asked]).items():
                expected[target][asked] = values
        return expected

    def _solved(self, sums: KernelSums, gone: NDArray[np.bool_]) -> KernelRegression:
        """Solve without the centres that are left out; with all of them if none would remain."""
        kept = ~gone[self._centres]
        solved = self._problem.solved(sums, kept if kept.any() else None)
        weights = {target: _single(weights) for target, weights in solved.weights.items()}
        return replace(solved, weights=weights)

    def _sums(self, lines: NDArray[np.bool_]) -> KernelSums:
        return self._problem.sums(self._of_copies(lines))

    def _of_copies(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat what is known of each group for its copies."""
        return np.tile(values, len(self._problem.lines) // len(values))

    @cached_property
    def _total(self) -> KernelSums:
        return reduce(add, self._fold_sums)

    @cached_property
    def _fold_sums(self) -> list[KernelSums]:
        return [self._sums(fold) for fold in self._folds]

    @cached_property
    def _folds(self) -> list[NDArray[np.bool_]]:
        known = np.any([np.isfinite(values) for values in self.known.gains.values()], axis=0)
        return list(_folds(self.zoos, known, self.settings.seed))

    @cached_property
    def _scales(self) -> dict[int, QuantileScale]:
        columns = range(self.matrix.shape[1])
        return {column: scale for column in columns if (scale := _scale(self.matrix[:, column]))}

    @cached_property
    def _centres(self) -> NDArray[np.intp]:
        """Choose the groups that others are compared with."""
        weights, random = _weights(self.zoos), np.random.default_rng(self.settings.seed)
        # if all groups are alike, the means say everything
        count = min(self.settings.centres, len(self.matrix)) if self._scales else 0
        chosen = random.choice(len(self.matrix), count, replace=False, p=weights / weights.sum())
        return np.sort(chosen)

    @cached_property
    def _problem(self) -> KernelProblem:
        weights, random = _weights(self.zoos), np.random.default_rng(self.settings.seed + 1)
        lines = scaled(self._scales, self.matrix)
        names = [self.names[column] for column in self._scales]
        with_less = list(copies(lines, names, random))
        versions = [lines, *(copy for _, copy in with_less)]
        targets = self.known.targets()
        return KernelProblem(
            scales=self._scales,
            lines=np.concatenate(versions),
            targets={name: np.tile(values, len(versions)) for name, values in targets.items()},
            weights=np.concatenate([weights, *(share * weights for share, _ in with_less)]),
            centres=(np.nan_to_num(lines[self._centres]) * _CENTRE_STEPS).round() / _CENTRE_STEPS,
            width=self.settings.width,
            ridge=self.settings.ridge,
        )


def _single(numbers: Floats) -> Floats:
    """Round to single precision, as files do."""
    return numbers.astype(np.float32).astype(float)


def _scale(values: Floats) -> QuantileScale | None:
    """Return the scale of a feature; None if it is always the same or unknown."""
    known = values[np.abs(values) < _FARTHEST]  # NaN is not
    if not len(known) or known.min() == known.max():
        return None
    quantiles = np.quantile(known, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    return QuantileScale(quantiles=np.maximum.accumulate(rounded(quantiles, _QUANTILE_DIGITS)))


def _weights(groups: NDArray[np.intp]) -> Floats:
    """Return weights of the lines that give all zoos the same weight."""
    counts = np.bincount(groups)
    return np.asarray(len(groups) / (counts > 0).sum() / counts[groups])


def _folds(
    groups: NDArray[np.intp], known: NDArray[np.bool_], seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Yield folds of zoos, or of groups if few zoos have known gains."""
    zoos, which = np.unique(groups, return_inverse=True)
    if len(np.unique(groups[known])) < _ZOOS:
        zoos, which = np.arange(len(groups)), np.arange(len(groups))
    part = np.random.default_rng(seed).permutation(len(zoos)) % min(_FOLDS, len(zoos))
    for number in range(part.max() + 1):
        yield part[which] == number
