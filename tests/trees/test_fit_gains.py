"""Fitting gains to grids: what is known of each remedy, and what is not."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from mdtree.exceptions import MdtreeError, TreeError
from mdtree.failure_modes import COMPARISONS, REMEDIES, TASKS, RoomForImprovement
from mdtree.labelling import label_rows, room_for_improvement
from mdtree.rows import Measured, Row
from mdtree.trees import (
    COMPARABLE,
    TRAINING,
    feature_matrix,
    leaves,
    probabilities,
    read_tree,
    write_tree,
)
from mdtree.trees.bundled import reference_collection, shipped_rows
from mdtree.trees.estimators.known_gains import KnownGains
from mdtree.trees.fit import fit_tree, relative_gains, relative_margins
from mdtree.trees.gain_model import NOISE, STEPS, noise_of

BATCHES, WIDTHS, AMOUNTS = (16, 64, 256), (4, 8, 16), (100, 200, 400)
FEATURES = ("train_error_share", "error_gap")


def row(error, *, zoo="a", train=0.0, stderr=0.5, **facts):
    quantities = {
        "test_error": Measured(value=error, stderr=stderr),
        "train_error": Measured(value=train),
        "chance_error": Measured(value=80.0),
    }
    name = ",".join(f"{key}={value}" for key, value in facts.items())
    facts = {"zoo": zoo, **facts}
    return Row(
        format=1, group=f"{zoo}/{name}", protocol="standard-1", facts=facts, quantities=quantities
    )


def grid(zoo, *, floor):
    """Half of the training error goes with each doubling of the width, of the gap with the data.

    The largest batch loses a point, and no larger batch gains any.
    """
    rows = []
    for batch, width, amount in itertools.product(BATCHES, WIDTHS, AMOUNTS):
        train, gap = 100 / width, 2400 / amount
        error = floor + train + gap + (batch == max(BATCHES))
        facts = {"batch_size": batch, "width": width, "data_amount": amount}
        rows.append(row(error, zoo=zoo, train=train, parameters=100 * width**2, **facts))
    return rows


@pytest.fixture(scope="module")
def rows():
    return [each for number, zoo in enumerate("abcd") for each in grid(zoo, floor=1.0 + number)]


@pytest.fixture(scope="module")
def saved(rows):
    return fit_tree(rows, task="failure", method="gains", features=FEATURES)


def test_relative_gains_by_hand():
    """Errors of 20, 15 and 5 %: the first may gain 5 or 15 of 20, and beyond 16 nobody looked."""
    rows = [row(error, width=width) for error, width in ((20, 4), (15, 8), (5, 16))]
    gains = relative_gains(rows, room_for_improvement(rows))
    assert gains["enlarge_model"] == pytest.approx([15 / 20, 10 / 15, math.nan], nan_ok=True)
    for remedy in set(REMEDIES) - {"enlarge_model"}:
        assert np.isnan(gains[remedy]).all()


def test_where_nothing_helps_the_gain_is_known_to_be_zero():
    rows = [row(error, width=width) for error, width in ((5, 4), (15, 8), (20, 16))]
    gains = relative_gains(rows, room_for_improvement(rows))["enlarge_model"]
    assert gains == pytest.approx([0, 0, math.nan], nan_ok=True)


def test_a_network_without_test_errors_has_nothing_to_gain():
    rows = [row(error, width=width) for error, width in ((0, 4), (0, 8), (3, 16))]
    gains = relative_gains(rows, room_for_improvement(rows))["enlarge_model"]
    assert gains == pytest.approx([0, 0, math.nan], nan_ok=True)


def test_a_gain_is_at_most_the_whole_error():
    """Points that were told by hand can be more than a network could gain."""
    room = RoomForImprovement(gains={"add_data": 30.0, "enlarge_model": -3.0}, step={}, margin=0.5)
    gains = relative_gains([row(20.0)], [room])
    assert gains["add_data"] == pytest.approx([1.0])
    assert gains["enlarge_model"] == pytest.approx([0.0])


def test_relative_margins_by_hand():
    """Two points of 20 and of 5 %; what hides gains is told; without errors nothing is a gain."""
    rooms = [
        RoomForImprovement(gains={}, step={}, margin=2.0, noisy=noisy)
        for noisy in (False, True, False)
    ]
    margins = relative_margins([row(20.0), row(5.0), row(0.0)], rooms)
    assert margins.least[:2] == pytest.approx([0.1, 0.4])
    assert margins.least[2] > 1
    assert margins.hiding.tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["animals-cnn", "phoneme-rate", "mixture-noisy"])
def test_the_answers_that_are_learnt_are_those_of_the_labels(name):
    """Also where two seeds agree by chance, so that their own noise is below the usual one."""
    rows = reference_collection()[name]
    labels, rooms = label_rows(rows), room_for_improvement(rows)
    classes = TASKS["failure"].classes
    known = KnownGains(
        gains=relative_gains(rows, rooms),
        noise=noise_of(feature_matrix(rows, [NOISE]), [NOISE]),
        classes=classes,
        margins=relative_margins(rows, rooms),
    )
    clear = np.array([label.is_clear for label in labels])
    answers = [classes[number] for number in known.answers[1]]

    assert known.clear.tolist() == clear.tolist()
    learnt = [answer for answer, counts in zip(answers, clear, strict=True) if counts]
    assert learnt == [label.mode for label in labels if label.is_clear]
    assert {"none"} < set(learnt)
    alone = replace(known, margins=None)
    assert alone.clear.tolist() != clear.tolist()


def test_the_ends_of_a_grid_teach_nothing(saved, rows):
    """As zeros they would be a third of all groups, and lower what is expected."""
    expected = saved.gain_model.regression.values(saved.matrix(rows))
    true = relative_gains(rows, room_for_improvement(rows))
    for remedy in ("enlarge_model", "add_data"):
        known = np.isfinite(true[remedy])
        assert known.mean() == pytest.approx(2 / 3)
        assert expected[remedy][known].mean() == pytest.approx(true[remedy][known].mean(), rel=0.1)
    assert expected["lower_temperature"] == pytest.approx(np.zeros(len(rows)))


def test_groups_are_told_the_largest_of_their_gains(saved, rows):
    """Where both gains are known, and far enough apart."""
    true = relative_gains(rows, room_for_improvement(rows))
    data, model = true["add_data"], true["enlarge_model"]
    clear = np.abs(data - model) > 0.15
    chances = probabilities(saved, saved.matrix(rows))
    given = np.array(saved.classes)[chances.argmax(axis=1)]
    right = np.where(data > model, "data_small", "model_small")
    assert clear.sum() > 20
    assert (given[clear] == right[clear]).mean() > 0.9


def test_a_tree_of_gains_remembers_what_it_rests_on(saved, rows):
    assert (saved.task, saved.method, saved.protocol) == ("failure", "gains", "standard-1")
    assert saved.features == (*FEATURES, "log_noise")
    assert saved.groups == len(rows) == 108
    assert set(saved.classes) == set(TASKS["failure"].classes)
    assert saved.components == ()
    learnt = set(saved.gain_model.regression.weights)
    steps = {STEPS["enlarge_model"], STEPS["add_data"]}
    assert learnt - set(COMPARISONS) - set(STEPS.values()) == {*REMEDIES, *TASKS["failure"].classes}
    assert steps <= learnt
    assert "resources" in learnt
    assert saved.ranges["train_error_share"] == pytest.approx((6.25 / 80, 25 / 80))
    assert set(saved.population.quantiles) == set(saved.features)
    assert {leaf.answer for leaf in leaves(saved.tree)} <= set(saved.classes)


def test_without_names_it_learns_from_what_is_comparable(rows):
    saved = fit_tree(rows, task="failure", method="gains")
    assert saved.features == (*COMPARABLE, "log_noise")
    assert not {"parameters", "data_amount"} & set(saved.features)
    asked = {saved.features[column] for column in saved.gain_model.regression.columns}
    assert asked <= {"train_error_share", "test_error_share", "error_gap"}


def test_with_facts_it_may_ask_for_them_and_a_name_twice_is_one_column(rows):
    named = (*FEATURES, "log_noise", "log_parameters")
    saved = fit_tree(rows, task="failure", method="gains", features=named, facts=True)
    assert sorted(saved.features) == sorted({*FEATURES, "log_noise", *TRAINING})


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_answered_from_the_same_gains(rows, task):
    """By the best remedy of each answer, also where the tree's own groups had none."""
    saved = fit_tree(rows, task=task, method="gains", features=FEATURES)
    assert set(saved.classes) == set(TASKS[task].classes)
    matrix = saved.matrix(rows)
    shares = probabilities(saved, matrix)
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    gains = saved.gain_model.regression.values(matrix)
    if task == "resources":
        place = saved.classes.index("data_small")
        more = gains["add_data"] - gains["enlarge_model"]
        assert (np.sign(shares[:, place] - 0.5) == np.sign(more))[np.abs(more) > 1e-9].all()


def test_what_was_written_and_read_says_the_same(saved, rows, tmp_path):
    write_tree(tmp_path / "tree.json", saved)
    read = read_tree(tmp_path / "tree.json")
    matrix = np.concatenate([saved.matrix(rows), np.full((1, 3), np.nan)])
    assert probabilities(read, matrix) == pytest.approx(probabilities(saved, matrix), abs=1e-12)
    ours, theirs = (each.gain_model.regression.values(matrix) for each in (saved, read))
    for remedy in REMEDIES:
        assert theirs[remedy] == pytest.approx(ours[remedy], abs=1e-12)
    assert read.gain_model.scale == saved.gain_model.scale
    write_tree(tmp_path / "again.json", read)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tree.json").read_bytes()


def with_loss(rows, unit):
    """Give each row a training loss: its training error in another unit."""
    changed = []
    for each in rows:
        loss = Measured(value=unit * each.quantities["train_error"].value)
        changed.append(replace(each, quantities={**each.quantities, "train_loss": loss}))
    return changed


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_a_feature_changes_no_gain_also_after_reading(rows, tmp_path, unit):
    """The training loss of a fitted network has many zeros behind its point."""
    told = []
    for given in (with_loss(rows, 1.0), with_loss(rows, unit)):
        saved = fit_tree(given, task="failure", method="gains", features=("train_loss",))
        write_tree(tmp_path / "tree.json", saved)
        model = read_tree(tmp_path / "tree.json").gain_model
        told.append(model.regression.values(saved.matrix(given))["enlarge_model"])
    assert told[1] == pytest.approx(told[0], abs=1e-6)
    assert told[0].max() - told[0].min() > 0.1  # they tell the widths apart


def test_the_same_rows_are_the_same_file(rows, tmp_path):
    for name in ("one", "other"):
        saved = fit_tree(rows, task="failure", method="gains", features=FEATURES)
        write_tree(tmp_path / name, saved)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_single_row_beside_two_others_spoils_no_grid(rows):
    """Three zoos of which one is a grid: it alone knows gains."""
    strange = [row(9.0, zoo=zoo, width=4, batch_size=16, data_amount=100) for zoo in "xy"]
    saved = fit_tree([*rows[:27], *strange], task="failure", method="gains", features=FEATURES)
    assert saved.groups == 29
    assert set(saved.gain_model.levels) == {"0.8", "0.9"}


def test_seeds_that_agree_but_for_rounding_make_a_file_that_can_be_read(rows, tmp_path):
    agreed = [row(each.quantities["test_error"].value, stderr=3e-15, **each.facts) for each in rows]
    write_tree(tmp_path / "tree.json", fit_tree(agreed, task="failure", method="gains"))
    errors = [each.quantities["test_error"].value for each in rows]
    least = np.median([2 * np.sqrt(2) * 0.05 / error for error in errors])
    scale = read_tree(tmp_path / "tree.json").gain_model.scale
    assert scale.noise == pytest.approx(least, rel=1e-3)


def test_rows_from_before_the_new_quantities_ask_for_what_they_have():
    old = shipped_rows("digits-standard-1")
    saved = fit_tree(old, task="failure", method="gains")
    asked = {saved.features[column] for column in saved.gain_model.regression.columns}
    assert asked
    assert not {name for name in asked if name.endswith("_share") and "hessian" not in name}
    true = relative_gains(old, room_for_improvement(old))["enlarge_model"]
    given = saved.gain_model.regression.values(saved.matrix(old))["enlarge_model"]
    known = np.isfinite(true)
    assert np.corrcoef(given[known], true[known])[0, 1] > 0.7


@pytest.mark.parametrize("task", ["temperature", "failure"])
def test_labels_without_a_grid_are_no_gains(task):
    labelled = [
        row(20.0, width=4, label="temperature_low", zoo=f"z{number}") for number in range(12)
    ]
    with pytest.raises(TreeError, match="gains are learnt from a grid"):
        fit_tree(labelled, task=task, method="gains")


def test_a_small_grid_is_refused():
    few = [row(20.0 - n, width=2**n, batch_size=16) for n in range(9)]
    with pytest.raises(TreeError, match="gains need 10 groups"):
        fit_tree(few, task="failure", method="gains")


def test_a_tree_of_gains_continues_no_prior_and_knows_its_features(rows, saved):
    with pytest.raises(TreeError, match="only a posterior can start from a prior"):
        fit_tree(rows, task="failure", method="gains", prior=saved)
    with pytest.raises(TreeError, match="the prior must be a posterior too"):
        fit_tree(rows, task="failure", prior=saved)
    with pytest.raises(MdtreeError, match="feature 'error_gaps' is unknown, did you mean"):
        fit_tree(rows, task="failure", method="gains", features=("error_gaps",))


def test_the_order_of_the_rows_changes_nothing(rows):
    mixed = [rows[number] for number in np.random.default_rng(3).permutation(len(rows))]
    one, other = (fit_tree(given, task="failure", method="gains") for given in (rows, mixed))
    assert one.gain_model.scale == other.gain_model.scale
    matrix = one.matrix(rows)
    for remedy, gains in one.gain_model.regression.values(matrix).items():
        assert gains == pytest.approx(other.gain_model.regression.values(matrix)[remedy], abs=1e-9)


def test_labels_of_rows_are_refused_where_gains_are_learnt(rows):
    named = [replace(row, facts={**row.facts, "label": "data_small"}) for row in rows[:3]]
    with pytest.raises(TreeError, match="3 of 108 rows have the fact 'label'"):
        fit_tree([*named, *rows[3:]], task="failure", method="gains")
