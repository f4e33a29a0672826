"""The posterior against brute force: every combination of cuts, one by one, from the formula."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import t as student

from mdtree.trees.binning import BinnedCounts, cells_of, collect, continued
from mdtree.trees.node import Leaf
from mdtree.trees.posterior import posterior
from mdtree.trees.template import Question, TemplateLeaf, questions_of

CLASSES = ("a", "b", "c")
COLUMNS = {"x": 0, "y": 1}
HIT, MISS = 3.0, 1.0


def ask(feature, low, high, *, start=0.0, spread=1.0, bounds=(-3.0, 3.0)):
    return Question(feature=feature, start=start, bounds=bounds, spread=spread, low=low, high=high)


A, B, C = (TemplateLeaf(name) for name in CLASSES)
SHAPES = {
    "one question": ask("x", A, B),
    "low side deeper": ask("x", ask("y", A, B, start=0.5), C),
    "high side deeper": ask("x", C, ask("y", A, B, spread=0.3)),
    "both sides": ask("x", ask("y", A, B), ask("y", B, C, start=-1.0)),
    "one feature twice": ask("x", A, ask("x", B, A, start=1.0)),
    "three deep": ask("x", A, ask("y", ask("x", B, C), A)),
    "no question": B,
}


def data(count=14, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)).round(1), rng.integers(0, 3, count)


def gathered(shape, X, codes, most=4):
    empty = BinnedCounts(shape=shape, classes=CLASSES, hit=HIT, miss=MISS)
    return collect(empty, X, COLUMNS, codes, most)


def enumerated(binned, X, codes, asked):
    """Add up all trees by loops: (log evidence, predictions, most probable thresholds, votes)."""
    questions = list(questions_of(binned.shape))
    total, mean, best = 0.0, np.zeros((len(asked), 3)), (0.0, None)
    votes = np.zeros((len(asked), 3))
    answer_at = dict(ends(binned.shape))
    for chosen in itertools.product(*(range(len(cut)) for cut in binned.cuts)):
        thresholds = [cut[i] for cut, i in zip(binned.cuts, chosen, strict=True)]
        weight = 1.0
        for question, cut, i in zip(questions, binned.cuts, chosen, strict=True):
            weight *= share(question, cut, i)
        leaves = [leaf_of(binned.shape, thresholds, line) for line in X]
        shares = {}
        for path, answer in ends(binned.shape):
            counts = [
                sum(c == k for c, at in zip(codes, leaves, strict=True) if at == path)
                for k in range(3)
            ]
            prior = [HIT if name == answer else MISS / 2 for name in CLASSES]
            weight *= math.exp(
                log_beta([n + p for n, p in zip(counts, prior, strict=True)]) - log_beta(prior)
            )
            both = [n + p for n, p in zip(counts, prior, strict=True)]
            shares[path] = np.array(both) / sum(both)
        total += weight
        mean += weight * np.array(
            [shares[leaf_of(binned.shape, thresholds, line)] for line in asked]
        )
        for number, line in enumerate(asked):
            answer = answer_at[leaf_of(binned.shape, thresholds, line)]
            votes[number, CLASSES.index(answer)] += weight
        if weight > best[0] * (1 + 1e-9):  # of equal ones, the first counts
            best = weight, thresholds
    return math.log(total), mean / total, best[1], votes / total


def share(question, cuts, number):
    """The belief's mass around a cut, of all that lies inside the bounds."""
    edges = [question.bounds[0], *(cuts[1:] + cuts[:-1]) / 2, question.bounds[1]]
    at = [student.cdf((edge - question.start) / question.spread, 4) for edge in edges]
    return (at[number + 1] - at[number]) / (at[-1] - at[0])


def ends(shape, path=()):
    if isinstance(shape, TemplateLeaf):
        return [(path, shape.answer)]
    return ends(shape.low, (*path, 0)) + ends(shape.high, (*path, 1))


def leaf_of(shape, thresholds, line):
    """Walk one line; thresholds are in the order of the questions, the low side first."""
    path, left = (), list(zip(questions_of(shape), thresholds, strict=True))
    while not isinstance(shape, TemplateLeaf):
        threshold = left[0][1]
        inside = len(list(questions_of(shape.low)))
        if line[COLUMNS[shape.feature]] <= threshold:
            shape, left, path = shape.low, left[1 : 1 + inside], (*path, 0)
        else:
            shape, left, path = shape.high, left[1 + inside :], (*path, 1)
    return path


def log_beta(weights):
    return sum(math.lgamma(w) for w in weights) - math.lgamma(sum(weights))


def thresholds_of(node):
    if isinstance(node, Leaf):
        return []
    return [node.threshold, *thresholds_of(node.low), *thresholds_of(node.high)]


@pytest.mark.parametrize("name", SHAPES)
def test_sums_equal_brute_force(name):
    (X, codes), (asked, _) = data(), data(9, seed=1)
    binned = gathered(SHAPES[name], X, codes, most=2 if name == "three deep" else 4)
    log_evidence, mean, best, votes = enumerated(binned, X, codes, asked)
    fitted = posterior(binned)
    cells, _ = cells_of(binned, asked, COLUMNS)
    assert fitted.at(cells) == pytest.approx(mean, abs=1e-12)
    assert fitted.votes(cells) == pytest.approx(votes, abs=1e-12)
    assert fitted.log_evidence == pytest.approx(log_evidence, abs=1e-12)
    assert fitted.predict_proba(asked, COLUMNS) == pytest.approx(mean, abs=1e-12)
    assert thresholds_of(fitted.tree) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_probabilities_sum_to_one_everywhere(name):
    X, codes = data(40)
    wide = np.array([[-1e300, 1e300], [np.inf, -np.inf], [0.0, 0.0], [1e9, -3.0]])
    fitted = posterior(gathered(SHAPES[name], X, codes))
    chances = fitted.predict_proba(wide, COLUMNS)
    assert chances.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-12)
    assert chances.min() > 0
    votes = fitted.votes(cells_of(fitted.binned, wide, COLUMNS)[0])
    assert votes.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-12)
    assert votes.min() >= -1e-12  # a class without a leaf has none


def test_beyond_all_cuts_the_trees_agree():
    binned = gathered(SHAPES["one question"], *data(20))
    votes = posterior(binned).votes(np.array([[0], [len(binned.cuts[0])]]))
    assert votes == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=1e-12)


def test_the_order_of_the_groups_makes_no_difference():
    X, codes = data(30)
    mixed = np.random.default_rng(5).permutation(30)
    one, other = (
        posterior(gathered(SHAPES["both sides"], x, c))
        for x, c in ((X, codes), (X[mixed], codes[mixed]))
    )
    assert one.log_evidence == pytest.approx(other.log_evidence, abs=1e-12)


def test_continuing_is_fitting_all_groups_with_the_cuts_of_the_first():
    (X, codes), (later, labels) = data(20), data(15, seed=2)
    first = gathered(SHAPES["both sides"], X, codes)
    both = continued(first, later, COLUMNS, labels)
    log_evidence, mean, _, _ = enumerated(both, np.vstack([X, later]), [*codes, *labels], later)
    fitted = posterior(both)
    assert fitted.log_evidence == pytest.approx(log_evidence, abs=1e-12)
    assert fitted.predict_proba(later, COLUMNS) == pytest.approx(mean, abs=1e-12)


def test_merged_cells_say_the_same():
    X, codes = data(60)
    binned = gathered(SHAPES["both sides"], X.round(0), codes)
    merged = binned.merged()
    assert len(merged.cells) < len(binned.cells)
    assert merged.counts.sum(axis=0) == pytest.approx(binned.counts.sum(axis=0))
    assert posterior(merged).log_evidence == pytest.approx(posterior(binned).log_evidence)


def test_groups_with_a_missing_feature_are_left_out_and_not_judged():
    X, codes = data(20)
    X[::3, 1] = np.nan
    whole = ~np.isnan(X).any(axis=1)
    shape = SHAPES["both sides"]
    fitted, without = (
        posterior(gathered(shape, x, c)) for x, c in ((X, codes), (X[whole], codes[whole]))
    )
    assert fitted.log_evidence == without.log_evidence
    assert np.isnan(fitted.predict_proba(X, COLUMNS)).all(axis=1).tolist() == (~whole).tolist()


def test_without_data_the_belief_speaks():
    shape = ask("x", A, B)
    fitted = posterior(gathered(shape, np.empty((0, 2)), np.empty(0, dtype=int)))
    assert fitted.log_evidence == pytest.approx(0, abs=1e-12)
    low, high = fitted.predict_proba(np.array([[-2.9, 0.0], [2.9, 0.0]]), COLUMNS)
    assert low[0] == pytest.approx(high[1])
    assert low[0] > 0.6


def test_rows_that_a_cut_separates_are_told_apart():
    x = np.concatenate([np.linspace(-2, -1, 30), np.linspace(1, 2, 31)])
    X, codes = np.stack([x, x], axis=1), np.repeat([0, 1], [30, 31])
    fitted = posterior(gathered(ask("x", A, B), X, codes, most=60))
    assert fitted.predict_proba(X, COLUMNS).argmax(axis=1).tolist() == codes.tolist()
    assert -1 < fitted.tree.threshold < 1


@pytest.mark.parametrize(
    "X",
    [np.zeros((6, 2)), np.full((6, 2), 1e300), np.array([[np.inf, -np.inf]] * 6), np.zeros((2, 2))],
    ids=["equal", "huge", "infinite", "two rows"],
)
def test_poor_data_give_probabilities_all_the_same(X):
    codes = np.zeros(len(X), dtype=int)
    chances = posterior(gathered(SHAPES["both sides"], X, codes)).predict_proba(X, COLUMNS)
    assert chances.sum(axis=1) == pytest.approx(np.ones(len(X)))
    assert chances[:, 0].min() > 1 / 3
