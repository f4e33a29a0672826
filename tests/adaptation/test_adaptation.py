"""Calibration: what a tree learns from a user's groups, and when that may be called a gain.

Most trees here ask one question with one threshold, so all probabilities follow by hand: a leaf
with n groups, n_c of them of class c, says (n_c + a_c) / (n + 3), where a is 2 for the leaf's own
class and 1 for the other.
"""

from __future__ import annotations

import dataclasses
from math import log

import numpy as np
import pytest

from mdtree.adaptation import adapt
from mdtree.exceptions import ProtocolError, RowsError, TreeError
from mdtree.rows import Measured, Missing, Row
from mdtree.trees import Leaf, SavedTree, Split, probabilities
from mdtree.trees.binning import BinnedCounts
from mdtree.trees.fit import fit_tree
from mdtree.trees.template import Question, TemplateLeaf

HIGH, LOW = "temperature_high", "temperature_low"


def tree(low=(1, 6), high=(6, 1), *, protocol="standard-1", **given):
    """Interpolating networks (training error up to 1 %) were LOW, others HIGH: seven each."""
    evidence = BinnedCounts(
        shape=Question(
            feature="train_error",
            start=1.0,
            bounds=(0.0, 100.0),
            low=TemplateLeaf(LOW),
            high=TemplateLeaf(HIGH),
        ),
        classes=(HIGH, LOW),
        hit=2.0,
        miss=1.0,
        cuts=(np.array([1.0]),),
        cells=np.array([[0], [1]]),
        counts=np.array([low, high], dtype=float),
    )
    leaves = [
        Leaf(answer=answer, counts=dict(zip((HIGH, LOW), map(float, counts), strict=True)))
        for answer, counts in ((LOW, low), (HIGH, high))
    ]
    return SavedTree(
        **{
            "task": "temperature",
            "method": "posterior",
            "protocol": protocol,
            "classes": (HIGH, LOW),
            "features": ("train_error",),
            "groups": sum(low) + sum(high),
            "ranges": {"train_error": (0.0, 30.0)},
            "provenance": {"mdtree": "0.0.1", "data": "fourteen groups", "accuracy": "86 %"},
            "tree": Split(feature="train_error", threshold=1.0, low=leaves[0], high=leaves[1]),
            "components": ((1.0, evidence),),
            **given,
        }
    )


def runs(*labels, error=10.0, protocol="standard-1"):
    """Labelled groups that do not interpolate, so the tree calls them HIGH."""
    return [
        Row(
            format=1,
            group=f"run {number}",
            protocol=protocol,
            facts={"label": label},
            quantities={"train_error": Measured(value=error)},
        )
        for number, label in enumerate(labels)
    ]


def test_a_shifted_population_is_learnt_and_the_gain_is_claimed():
    adaptation = adapt(runs(*[LOW] * 8), tree(), name="theirs")
    before, after = 2 / 10, (1 + 7 + 1) / (7 + 7 + 3)  # seven others were learnt from
    assert [group.before[LOW] for group in adaptation.judged] == pytest.approx([before] * 8)
    assert [group.after[LOW] for group in adaptation.judged] == pytest.approx([after] * 8)
    assert (
        adaptation.gain == adaptation.low == adaptation.high == pytest.approx(log(after / before))
    )
    assert (adaptation.before.accuracy, adaptation.after.accuracy) == (0, 100)
    assert adaptation.before.log_loss == pytest.approx(-log(before))
    assert adaptation.after.brier == pytest.approx(2 * (1 - after) ** 2)
    assert adaptation.chance == 1 / 2001  # eight of 0.2 each: none of two thousand draws
    assert adaptation.better
    assert adaptation.says.startswith(
        "better: the log loss goes from 1.609 to 0.636, a gain of 0.973"
    )


def test_groups_that_all_agree_with_the_tree_are_luck_though_their_interval_shuts_out_zero():
    adaptation = adapt(runs(*[HIGH] * 8), tree(), name="theirs")
    assert adaptation.low == adaptation.gain == pytest.approx(log(15 / 17 / 0.8))
    assert adaptation.low > 0
    assert adaptation.chance == pytest.approx(0.8**8, abs=0.03)
    assert not adaptation.better
    assert adaptation.says.startswith("no gain that stands out from the noise: ")
    assert "by chance with a probability of 1" in adaptation.says


def test_groups_as_the_tree_expects_them_are_no_gain():
    adaptation = adapt(runs(*[HIGH] * 8, *[LOW] * 2), tree(), name="theirs")
    right, wrong = (6 + 7 + 2) / (7 + 9 + 3), (1 + 1 + 1) / (7 + 9 + 3)
    assert [group.after[group.answer] for group in adaptation.judged] == pytest.approx(
        [right] * 8 + [wrong] * 2
    )
    assert adaptation.gain == pytest.approx((8 * log(right / 0.8) + 2 * log(wrong / 0.2)) / 10)
    assert adaptation.high < 0
    assert not adaptation.better
    assert "the original tree was better" in adaptation.says


def test_an_interval_with_zero_is_no_gain_though_the_tree_alone_would_hardly_show_it():
    adaptation = adapt(runs(*[LOW] * 7, *[HIGH] * 7), tree(), name="theirs")
    assert adaptation.chance < 0.025  # seven or more LOW of fourteen: 1.2 %
    assert (
        adaptation.low < 0 < adaptation.gain == pytest.approx(log(8 / 23 / 0.2 * 14 / 23 / 0.8) / 2)
    )
    assert not adaptation.better
    assert "its interval includes zero" in adaptation.says


def test_what_the_tree_s_own_population_brings_by_chance_is_hardly_ever_claimed():
    """Labels drawn from the tree itself: all six agree with it in a quarter of the draws."""
    rng = np.random.default_rng(0)
    claims = intervals = 0
    for _ in range(60):
        labels = np.where(rng.random(6) < 0.8, HIGH, LOW)
        adaptation = adapt(runs(*labels), tree(), name="theirs")
        claims += adaptation.better
        intervals += adaptation.low > 0
    assert claims <= 4  # 2.5 % of 60 are 1.5
    assert intervals > 10  # so the interval alone would not do


@pytest.mark.parametrize(("count", "folds"), [(4, 4), (20, 20), (21, 10), (37, 10)])
def test_every_group_is_judged_by_a_tree_that_learnt_from_all_other_folds_alone(count, folds):
    """The evidence is counted: the leaf holds the groups of the prior and of other folds."""
    labels = [LOW if number % 3 == 0 else HIGH for number in range(count)]
    adaptation = adapt(runs(*labels), tree(), name="theirs")
    assert (adaptation.groups, adaptation.folds) == (count, folds)
    sizes = np.bincount([group.fold for group in adaptation.judged])
    assert (sizes.sum(), sizes.max() - sizes.min() <= 1) == (count, True)
    for group in adaptation.judged:
        others = [other.answer for other in adaptation.judged if other.fold != group.fold]
        learnt = 6 + others.count(HIGH) + 2, 7 + len(others) + 3
        assert group.after[HIGH] == pytest.approx(learnt[0] / learnt[1], abs=1e-12)


def test_folds_have_their_share_of_each_class():
    adaptation = adapt(runs(*[LOW] * 20, *[HIGH] * 10), tree(), name="theirs")
    for label, share in ((LOW, 2), (HIGH, 1)):
        folds = [group.fold for group in adaptation.judged if group.answer == label]
        assert np.bincount(folds, minlength=10).tolist() == [share] * 10


def test_the_own_label_of_a_group_does_not_move_what_is_said_of_it():
    labels = [LOW, HIGH, LOW, HIGH, HIGH, LOW]
    one, other = (
        adapt(runs(first, *labels), tree(), name="theirs").judged for first in (LOW, HIGH)
    )
    assert one[0].after == other[0].after
    assert one[1].after != other[1].after  # the others did learn from it


def test_a_real_posterior_with_several_shapes_is_continued_as_fitting_continues_it():
    def group(number, error):
        values = {
            "train_error": error,
            "connectivity": error - 5,
            "connectivity_peak": -5.0 + number % 3,
            "hessian_trace": 200.0 + 10 * number,
        }
        return Row(
            format=1,
            group=f"g{number}",
            protocol="standard-1",
            facts={"label": HIGH if error > 3 else LOW},
            quantities={name: Measured(value=value) for name, value in values.items()},
        )

    prior = fit_tree([group(n, 1.5 * n) for n in range(9)], method="posterior")
    own = [group(n, 1.1 * n) for n in range(7)]
    adaptation = adapt(own, prior, name="theirs")
    assert len(prior.components) == 3
    for number, row in enumerate(own):
        others = fit_tree([*own[:number], *own[number + 1 :]], prior=prior)
        expected = probabilities(others, others.matrix([row]))[0]
        assert [*adaptation.judged[number].after.values()] == pytest.approx(expected, abs=1e-12)


def test_the_new_tree_holds_the_groups_of_the_prior_and_all_own_ones():
    adaptation = adapt(runs(*[LOW] * 5, HIGH), tree(), name="theirs", provenance={"own rows": "r"})
    ((_, binned),) = adaptation.tree.components
    assert binned.merged().counts.tolist() == [[1, 6], [6 + 1, 1 + 5]]
    assert adaptation.tree.groups == 14 + 6
    provenance = adaptation.tree.provenance
    assert (provenance["continues"], provenance["own groups"]) == ("theirs (14 groups)", "6")
    assert (provenance["data"], provenance["own rows"]) == (
        "fourteen groups; and 6 own groups",
        "r",
    )
    assert (
        provenance["accuracy"]
        == f"{adaptation.after.accuracy:.1f} % (of 6 own groups, cross-validated)"
    )
    assert provenance["mdtree"] != "0.0.1"
    again = adapt(runs(*[LOW] * 4), adaptation.tree, name="mine").tree.provenance
    assert again["continues"] == "mine (20 groups) <- theirs (14 groups)"
    unsaid = adapt(runs(*[LOW] * 4), tree(provenance={}), name="theirs").tree.provenance
    assert unsaid["data"] == "14 groups of theirs; and 4 own groups"


def test_the_same_seed_gives_the_same_numbers_and_another_one_other_folds():
    rows = runs(*[LOW, HIGH, HIGH] * 8)
    first, same, other = (adapt(rows, tree(), name="t", seed=s) for s in (3, 3, 4))
    assert (first.judged, first.low, first.chance) == (same.judged, same.low, same.chance)
    assert [group.fold for group in first.judged] != [group.fold for group in other.judged]


def test_groups_that_lack_what_the_tree_asks_for_are_judged_and_teach_nothing():
    rows = runs(*[LOW] * 5)
    rows[0] = dataclasses.replace(rows[0], quantities={"train_error": Missing(missing="no")})
    adaptation = adapt(rows, tree(), name="theirs")
    assert adaptation.groups == 5
    assert adaptation.judged[1].after[LOW] == pytest.approx((1 + 3 + 1) / (7 + 3 + 3))
    assert "1 group tested but not learnt from" in adaptation.notes[0]
    assert "(train_error)" in adaptation.notes[0]


def test_labels_of_one_class_are_allowed_and_said():
    (note,) = adapt(runs(*[LOW] * 4), tree(), name="theirs").notes
    assert note.startswith(f"all groups are labelled {LOW}")
    assert not adapt(runs(*[LOW] * 4, HIGH), tree(), name="theirs").notes


def test_rows_that_have_no_answer_to_the_task_are_left_out_and_said():
    adaptation = adapt(runs(LOW, HIGH, HIGH, LOW, "none", "data_small"), tree(), name="theirs")
    assert adaptation.groups == 4
    assert adaptation.notes == ("2 rows left out: no answer to the task 'temperature'",)


def unlabelled():
    return [dataclasses.replace(row, facts={"test_accuracy": 9}) for row in runs(*[LOW] * 5)]


def blind():
    nothing = {"train_error": Missing(missing="not today")}
    return [dataclasses.replace(row, quantities=nothing) for row in runs(*[LOW] * 5)]


@pytest.mark.parametrize(
    ("rows", "given", "error", "message"),
    [
        (
            runs(LOW, LOW, HIGH),
            {},
            TreeError,
            r"takes at least 4 rows .*, got 3: .*fit --task temp",
        ),
        (runs(*["none"] * 5), {}, TreeError, "no row has an answer to the task 'temperature'"),
        (runs(*[LOW] * 5), {"components": ()}, TreeError, r"`mdtree fit --tree posterior`"),
        (unlabelled(), {}, RowsError, "need a grid: .*need the fact 'label' in every row"),
        ([*runs(*[LOW] * 5), *unlabelled()[:1]], {}, RowsError, "'run 0' has 2 rows"),
        (blind(), {}, TreeError, r"nothing can be learnt: .*\(train_error\); measure them"),
        (runs(*[LOW] * 5, protocol="paper-1"), {}, ProtocolError, "'standard-1' .* 'paper-1'"),
        (runs(*[LOW] * 5), {"task": "weather"}, TreeError, "task 'weather' is unknown"),
        ([], {}, TreeError, "there are no rows to learn from"),
    ],
)
def test_what_cannot_be_judged_is_refused(rows, given, error, message):
    with pytest.raises(error, match=message):
        adapt(rows, tree(**given), name="theirs")
