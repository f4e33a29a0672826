"""The regression of gains, on zoos whose gains are known functions of two features."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.failure_modes import COMPARISONS, FAILURE_MODES, REMEDIES
from mdtree.trees import walk
from mdtree.trees.estimators.gains import GainRegression

FEATURES = ("train_error_share", "error_gap", "log_noise")
CLASSES = list(FAILURE_MODES)
WIDE = {"width": 0.3, "ridge": 0.1}  # for two features; the usual ones are for fifty


def collection(zoos=5, lines=61, seed=0):
    """Underfitting asks for a larger network, a gap for more data, and small errors for nothing."""
    rng = np.random.default_rng(seed)
    count = zoos * lines
    train, gap = rng.uniform(0, 0.8, count), rng.uniform(0, 0.8, count)
    matrix = np.column_stack([train, gap, np.log(np.full(count, 0.1))])
    gains = {
        "enlarge_model": train**2,
        "add_data": gap**2,
        "lower_temperature": np.zeros(count),
        "raise_temperature": np.zeros(count),
    }
    best = np.max([gains["enlarge_model"], gains["add_data"]], axis=0)
    answers = np.where(
        best <= 0.1,
        "none",
        np.where(gains["enlarge_model"] > gains["add_data"], "model_small", "data_small"),
    )
    return matrix, answers, gains, np.repeat(np.arange(zoos), lines)


def fitted(matrix, answers, gains, zoos, **options):
    model = GainRegression(**{"features": FEATURES, **WIDE, **options})
    return model.fit(matrix, answers, gains=gains, zoos=list(zoos), classes=CLASSES)


def steps_of(tree, line):
    return walk(tree, dict(zip(FEATURES, line, strict=True)))[0]


def test_zoos_that_were_not_seen_are_answered_right():
    matrix, answers, gains, zoos = collection()
    seen = zoos < 4
    learnt = fitted(matrix[seen], answers[seen], {r: g[seen] for r, g in gains.items()}, zoos[seen])
    right = learnt.predict(matrix[~seen]) == answers[~seen]
    assert right.mean() > 0.85
    assert learnt.predict_proba(matrix).sum(axis=1) == pytest.approx(np.ones(len(matrix)))


def test_what_lies_beyond_the_end_of_a_grid_teaches_nothing():
    """Half of the gains are unknown; as zeros they would halve what is expected."""
    matrix, answers, gains, zoos = collection()
    rng = np.random.default_rng(1)
    unknown = rng.random(len(matrix)) < 0.5
    whole = fitted(matrix, answers, gains, zoos).model_.regression.values(matrix)["add_data"]
    holes = {**gains, "add_data": np.where(unknown, np.nan, gains["add_data"])}
    part = fitted(matrix, answers, holes, zoos).model_.regression.values(matrix)["add_data"]
    assert part.mean() == pytest.approx(whole.mean(), rel=0.05)


def test_a_large_zoo_weighs_no_more_than_a_small_one():
    """The same features, and gains of 0.8 in 90 groups of one zoo and of 0.2 in 30 of another."""
    matrix = np.tile([[0.5, 0.5, -2.0]], (120, 1))
    zoos = np.repeat([0, 1], [90, 30])
    gains = {"add_data": np.where(zoos == 0, 0.8, 0.2)}
    learnt = fitted(matrix, np.repeat("data_small", 120), gains, zoos)
    assert learnt.model_.regression.values(matrix)["add_data"][0] == pytest.approx(0.5, abs=1e-3)


def test_the_sets_of_answers_hold_the_right_one_about_as_often_as_they_say():
    matrix, answers, gains, zoos = collection(zoos=6, seed=3)
    learnt = fitted(matrix, answers, gains, zoos)
    others, right, _, _ = collection(zoos=8, seed=4)
    given = learnt.predict_proba(others)
    true = given[np.arange(len(right)), np.searchsorted(learnt.classes_, right)]
    for coverage, level in learnt.model_.levels.items():
        assert (true >= level).mean() >= float(coverage) - 0.08


def test_a_single_zoo_is_enough():
    matrix, answers, gains, _ = collection(zoos=1, lines=83)
    learnt = fitted(matrix, answers, gains, ["digits"] * len(matrix))
    assert (learnt.predict(matrix) == answers).mean() > 0.85


def test_the_noise_is_no_question():
    """It says how sure a gain is, and nothing of the network."""
    matrix, answers, gains, zoos = collection()
    matrix[:, 2] = np.log(gains["add_data"] + 0.01)  # it would be the best question of all
    learnt = fitted(matrix, answers, gains, zoos)
    assert set(learnt.model_.regression.columns) <= {0, 1}


def test_the_same_seed_is_the_same_regression():
    first, again = (fitted(*collection(), centres=50) for _ in range(2))
    matrix = collection(seed=9)[0]
    assert first.predict_proba(matrix) == pytest.approx(again.predict_proba(matrix), abs=1e-12)


def test_features_that_are_always_missing_do_no_harm():
    matrix, answers, gains, zoos = collection()
    matrix[:, 1] = np.nan
    assert np.isfinite(fitted(matrix, answers, gains, zoos).predict_proba(matrix)).all()


def test_few_gains_are_too_few():
    matrix, answers, _, zoos = collection(zoos=1, lines=9)
    with pytest.raises(ValueError, match="gains need 10 groups with a neighbour on the grid"):
        fitted(matrix, answers, {"add_data": np.zeros(9)}, zoos)


def test_a_remedy_of_fewer_than_ten_known_gains_is_left_out():
    matrix, answers, gains, zoos = collection(zoos=4, lines=13)
    few = np.where(np.arange(len(matrix)) < 9, gains["add_data"], np.nan)
    model = fitted(matrix, answers, {**gains, "add_data": few}, zoos).model_
    assert set(model.regression.weights) & set(REMEDIES) == set(gains) - {"add_data"}
    assert set(model.spread) == set(gains) - {"add_data"}


@pytest.mark.parametrize("knowing", [1, 2])
def test_where_few_zoos_know_a_gain_groups_are_left_out_instead(knowing):
    """Without them, nothing would be left to learn from."""
    matrix, answers, gains, zoos = collection(zoos=4)
    holes = {remedy: np.where(zoos < knowing, each, np.nan) for remedy, each in gains.items()}
    learnt = fitted(matrix, answers, holes, zoos)
    assert set(learnt.model_.levels) == {"0.8", "0.9"}
    assert (learnt.predict(matrix) == answers).mean() > 0.8


def test_a_remedy_that_one_zoo_alone_knows_is_learnt_all_the_same():
    matrix, answers, gains, zoos = collection()
    alone = {**gains, "add_data": np.where(zoos == 2, gains["add_data"], np.nan)}
    model = fitted(matrix, answers, alone, zoos).model_
    assert model.spread["add_data"] == ()  # no regression that had not seen this zoo could tell
    expected = model.regression.values(matrix)["add_data"]
    assert np.corrcoef(expected, gains["add_data"])[0, 1] > 0.9


def test_what_was_always_missing_is_never_asked_for():
    matrix, answers, gains, zoos = collection()
    matrix[:, 1] = np.nan
    learnt = fitted(matrix, answers, gains, zoos)
    assert learnt.model_.regression.columns == (0,)
    assert set(fitted(np.full_like(matrix, np.nan), answers, gains, zoos).classes_) == set(CLASSES)


def test_another_seed_is_another_regression():
    matrix = collection(seed=9)[0]
    first, other = (
        fitted(*collection(), seed=seed, centres=50).predict_proba(matrix) for seed in (0, 1)
    )
    assert np.abs(first - other).max() > 1e-4


def test_the_names_of_the_zoos_say_nothing():
    matrix, answers, gains, zoos = collection()
    numbers = fitted(matrix, answers, gains, zoos).predict_proba(matrix)
    names = [f"zoo {number}" for number in zoos]
    assert fitted(matrix, answers, gains, names).predict_proba(matrix) == pytest.approx(numbers)


@pytest.mark.parametrize("logarithm", [-36.0, np.nan, -800.0])
def test_noise_that_is_none_or_not_known_leaves_a_usual_noise(logarithm):
    """Seeds that agree but for rounding: such a scale could not be read from a file again."""
    matrix, answers, gains, zoos = collection(zoos=3, lines=31)
    matrix[:, 2] = logarithm
    scale = fitted(matrix, answers, gains, zoos).model_.scale
    assert 1e-6 <= scale.noise <= 0.05


def test_the_usual_noise_is_the_median():
    matrix, answers, gains, zoos = collection(zoos=3, lines=31)
    matrix[:, 2] = np.log(np.tile([0.01, 0.2, 0.9], 31))
    assert fitted(matrix, answers, gains, zoos).model_.scale.noise == pytest.approx(0.2)


@pytest.mark.parametrize("period", [3, 4, 5, 7, 9])
def test_the_level_of_equal_groups_is_not_above_them(period):
    """Zoos that are copies, and nothing that tells their groups apart: all sets are the same."""
    lines = 2 * period
    minority = np.tile(np.arange(lines) % period == 0, 4)
    gains = {
        "add_data": np.where(minority, 0.6, 0.1),
        "enlarge_model": np.where(minority, 0.2, 0.5),
    }
    learnt = GainRegression(features=FEATURES).fit(
        np.tile([0.5, 0.5, -4.0], (len(minority), 1)),
        np.where(minority, "data_small", "model_small"),
        gains=gains,
        zoos=list(np.repeat(range(4), lines)),
        classes=["data_small", "model_small"],
    )
    share = dict(zip(learnt.classes_, learnt.predict_proba([[0.5, 0.5, -4.0]])[0], strict=True))
    assert learnt.model_.levels["0.9"] <= share["data_small"]


def test_the_ranges_hold_four_of_five_gains_of_zoos_that_were_not_seen():
    rng = np.random.default_rng(6)
    matrix, answers, gains, zoos = collection(zoos=6, seed=6)
    noisy = np.clip(gains["add_data"] + rng.normal(0, 0.1, len(matrix)), 0, 1)
    model = fitted(matrix, answers, {**gains, "add_data": noisy}, zoos).model_
    others, _, true, _ = collection(zoos=4, seed=7)
    seen = np.clip(true["add_data"] + rng.normal(0, 0.1, len(others)), 0, 1)
    ranges = [
        model.range_of("add_data", each) for each in model.regression.values(others)["add_data"]
    ]
    inside = [part.low <= gain <= part.high for part, gain in zip(ranges, seen, strict=True)]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.08)
    ends = [part.expected for part in model.spread["add_data"]]
    assert ends == sorted(ends)


def test_answers_that_are_never_wrong_are_as_sure_as_the_scale_allows():
    """Half of the gains are unknown, and what is known leaves no doubt: no number overflows."""
    lines = np.arange(240)
    large = lines % 2 > 0
    unknown = large & (lines % 4 > 1)
    gains = {
        "enlarge_model": np.where(large, 0.9, 0.0),
        "add_data": np.where(unknown, np.nan, np.where(large, 0.0, 0.9)),
    }
    matrix = np.column_stack([large, np.zeros(240), np.full(240, np.log(0.01))]).astype(float)
    answers = np.where(large, "model_small", "data_small")
    learnt = fitted(matrix, answers, gains, lines // 60)
    assert (learnt.predict(matrix) == answers).all()
    assert learnt.predict_proba(matrix).max(axis=1) == pytest.approx(np.ones(240), abs=0.01)


def test_an_answer_with_two_directions_is_learnt_from_the_better_one():
    matrix, _, gains, zoos = collection()
    ours = {"raise_temperature": gains["add_data"], "enlarge_model": gains["enlarge_model"]}
    right = np.where(
        ours["raise_temperature"] > ours["enlarge_model"], "temperature", "model_small"
    )
    learnt = GainRegression(features=FEATURES, **WIDE).fit(
        matrix, right, gains=ours, zoos=list(zoos), classes=["model_small", "temperature"]
    )
    assert (learnt.predict(matrix) == right).mean() > 0.9


def test_without_a_column_of_noise_it_is_the_usual_one():
    matrix, answers, gains, zoos = collection(zoos=3, lines=31)
    learnt = GainRegression(features=FEATURES[:2], **WIDE)
    learnt.fit(matrix[:, :2], answers, gains=gains, zoos=list(zoos), classes=CLASSES)
    assert learnt.model_.scale.noise == pytest.approx(0.05)
    assert learnt.predict_proba(matrix[:, :2]).sum(axis=1) == pytest.approx(np.ones(len(matrix)))


def test_the_tree_that_explains_has_the_answers_of_the_regression_and_asks_for_no_noise():
    matrix, answers, gains, zoos = collection()
    learnt = fitted(matrix, answers, gains, zoos)
    explained = [
        walk(learnt.tree_, dict(zip(FEATURES, line, strict=True)))[1].answer for line in matrix
    ]
    assert (np.array(explained) == learnt.predict(matrix)).mean() > 0.9
    assert {step.feature for line in matrix for step in steps_of(learnt.tree_, line)} <= {
        *FEATURES[:2]
    }


def test_the_order_of_the_groups_changes_little():
    """But for the parts in which zoos are left out, and for rounding: all groups are centres."""
    matrix, answers, gains, zoos = collection()
    order = np.random.default_rng(8).permutation(len(matrix))
    mixed = {remedy: each[order] for remedy, each in gains.items()}
    first = fitted(matrix, answers, gains, zoos)
    other = fitted(matrix[order], answers[order], mixed, zoos[order])
    told, again = (each.model_.regression.values(matrix) for each in (first, other))
    for remedy in gains:
        assert again[remedy] == pytest.approx(told[remedy], abs=1e-4)
    assert other.predict_proba(matrix) == pytest.approx(first.predict_proba(matrix), abs=0.06)


def test_of_many_groups_so_many_are_centres_and_they_answer_nearly_as_well():
    matrix, answers, gains, zoos = collection()
    few, all_of_them = (fitted(matrix, answers, gains, zoos, centres=n) for n in (40, 600))
    assert few.model_.regression.centres.shape == (40, 2)
    assert all_of_them.model_.regression.centres.shape == (len(matrix), 2)
    told, true = (each.model_.regression.values(matrix)["add_data"] for each in (few, all_of_them))
    assert told == pytest.approx(true, abs=0.05)


def test_centres_are_drawn_from_small_zoos_as_often_as_from_large_ones():
    matrix, answers, gains, zoos = collection(zoos=2, lines=400)
    small = (zoos == 0) | (np.arange(len(matrix)) % 8 == 0)  # 400 groups of a zoo, 50 of the other
    matrix[:, 0] += zoos  # so that centres tell where they are from
    some = {remedy: each[small] for remedy, each in gains.items()}
    learnt = fitted(matrix[small], answers[small], some, zoos[small], centres=40)
    (first, *_) = learnt.model_.regression.scales.values()
    border = first(np.array([0.9]))[0]
    share = (learnt.model_.regression.centres[:, 0] > border).mean()
    assert share == pytest.approx(0.5, abs=0.2)  # by their number, it would be 0.11


def test_groups_that_nothing_tells_apart_are_expected_to_gain_what_they_gain_in_the_mean():
    matrix, answers, gains, zoos = collection()
    learnt = fitted(np.full_like(matrix, 0.5), answers, gains, zoos)
    assert learnt.model_.regression.columns == ()
    expected = learnt.model_.regression.values(matrix)
    for remedy, each in gains.items():
        assert expected[remedy] == pytest.approx(np.full(len(matrix), each.mean()), rel=1e-6)


def test_a_zoo_without_which_nothing_tells_groups_apart_is_left_out_all_the_same():
    """Four zoos, of which one alone varies."""
    matrix, answers, gains, zoos = collection(zoos=4)
    matrix[zoos != 2] = 0.5
    learnt = fitted(matrix, answers, gains, zoos)
    assert learnt.model_.regression.columns == (0, 1)
    assert set(learnt.model_.levels) == {"0.8", "0.9"}


def test_zoos_that_alone_know_gains_may_be_left_out_together():
    """Three of twenty zoos know gains, and with this seed they are in the same part of six."""
    matrix, answers, gains, zoos = collection(zoos=20, lines=4)
    parts = np.random.default_rng(23).permutation(20) % 6
    assert parts[0] == parts[1] == parts[2]
    alone = {remedy: np.where(zoos < 3, each, np.nan) for remedy, each in gains.items()}
    learnt = fitted(matrix, answers, alone, [f"zoo {n:02}" for n in zoos], seed=23)
    assert set(learnt.model_.regression.weights) & set(REMEDIES) == set(gains)


@pytest.mark.parametrize("value", [1e300, -1e300])
def test_a_number_beyond_all_measure_is_as_unknown_in_training(value):
    """And as the last of the training groups at diagnosis."""
    matrix, answers, gains, zoos = collection()
    matrix[0, 0] = value
    learnt = fitted(matrix, answers, gains, zoos)
    scale = learnt.model_.regression.scales[0]
    assert np.abs(scale.quantiles).max() <= 0.8
    others, end = collection(seed=9)[0], 0.8 if value > 0 else 0.0
    others[:, 0] = value
    far = learnt.model_.regression.values(others)["enlarge_model"]
    others[:, 0] = end
    last = learnt.model_.regression.values(others)["enlarge_model"]
    assert far == pytest.approx(last)


def twofold(telling, seed=0):
    """Metrics and a recipe, of which `telling` knows the gain; the other part is chance."""
    rng = np.random.default_rng(seed)
    count, zoos = 360, np.arange(360) % 6
    told, chance = rng.uniform(0, 0.8, (2, count))
    columns = {"recipe": chance, "metrics": chance, telling: told}
    features = ("train_error_share", "cka", "log_temperature", "log_steps")
    metric, recipe = columns["metrics"], columns["recipe"]
    matrix = np.column_stack([rng.uniform(0, 1, count), metric, recipe, 3.0 * recipe])
    gains = {"enlarge_model": told, "add_data": 0.8 - told}
    answers = np.where(told > 0.4, "model_small", "data_small")
    return features, matrix, gains, answers, zoos


WHERE = {"recipe": [2, 3], "metrics": [1]}


@pytest.mark.parametrize("telling", ["recipe", "metrics"])
def test_what_tells_is_found_and_the_other_part_may_be_missing(telling):
    features, matrix, gains, answers, zoos = twofold(telling)
    learnt = fitted(matrix, answers, gains, zoos, features=features)
    _, others, true, right, _ = twofold(telling, seed=1)
    (silent,) = set(WHERE) - {telling}
    without = others.copy()
    without[:, WHERE[silent]] = np.nan
    for given in (others, without):
        told = learnt.model_.regression.values(given)["enlarge_model"]
        assert np.corrcoef(told, true["enlarge_model"])[0, 1] > 0.9
        assert (learnt.predict(given) == right).mean() > 0.85


@pytest.mark.parametrize("telling", ["recipe", "metrics"])
def test_without_what_tells_nothing_but_the_mean_is_left(telling):
    """It has learnt from groups of which that was missing that the rest tells nothing."""
    features, matrix, gains, answers, zoos = twofold(telling)
    learnt = fitted(matrix, answers, gains, zoos, features=features)
    blind = twofold(telling, seed=1)[1]
    blind[:, WHERE[telling]] = np.nan
    told = learnt.model_.regression.values(blind)["enlarge_model"]
    assert told.mean() == pytest.approx(gains["enlarge_model"].mean(), abs=0.08)
    assert told.std() < gains["enlarge_model"].std() / 2


def test_a_group_of_which_nothing_is_known_is_expected_to_gain_the_mean():
    matrix, answers, gains, zoos = collection()
    learnt = fitted(matrix, answers, gains, zoos)
    told = learnt.model_.regression.values(np.full((1, 3), np.nan))["add_data"]
    assert told == pytest.approx([gains["add_data"].mean()], rel=1e-6)


def test_zoos_that_are_left_out_teach_nothing():
    """Their gains may be anything; the scales of the features alone are those of all groups."""
    matrix, answers, gains, zoos = collection(zoos=6, lines=14)
    out = zoos == 2
    wrong = {remedy: np.where(out, 1 - each, each) for remedy, each in gains.items()}
    told = []
    for given in (gains, wrong):
        estimator = GainRegression()
        problem = estimator.problem(
            matrix, gains=given, zoos=zoos.tolist(), classes=sorted(set(answers))
        )
        told.append(problem.model(out))
    for remedy, expected in told[0].regression.values(matrix).items():
        assert expected == pytest.approx(told[1].regression.values(matrix)[remedy], abs=1e-5)
    assert told[0].scale.trust == pytest.approx(told[1].scale.trust, rel=1e-2)


def test_few_groups_have_no_boosted_trees():
    matrix, answers, gains, zoos = collection()
    assert fitted(matrix, answers, gains, zoos).model_.boosted is None


@pytest.fixture(scope="module")
def large():
    """What was learnt from enough clear groups for boosted trees, and a zoo that was left out."""
    matrix, answers, gains, zoos = collection(zoos=8, lines=150)
    seen = zoos != 3
    learnt = fitted(
        matrix[seen],
        answers[seen],
        {remedy: each[seen] for remedy, each in gains.items()},
        zoos[seen],
        centres=100,
    )
    return learnt, matrix[~seen], answers[~seen]


def test_many_groups_have_boosted_trees_which_answer_as_well(large):
    learnt, unseen, answers = large
    model = learnt.model_
    chances = model.boosted.chances(model.regression.scaled(unseen))
    assert set(chances) <= set(CLASSES)
    alone = np.array(list(chances))[np.argmax(list(chances.values()), axis=0)]
    assert (alone == answers).mean() > 0.8
    assert (learnt.predict(unseen) == answers).mean() > 0.85


def test_how_far_a_change_goes_is_learnt():
    """Groups that underfit more need a step twice as large; where it is unknown, none is learnt."""
    matrix, answers, gains, zoos = collection()
    steps = np.where(matrix[:, 0] > 0.4, 4.0, 2.0)
    steps[::5] = np.nan
    model = GainRegression(features=FEATURES, **WIDE)
    model.fit(
        matrix,
        answers,
        gains=gains,
        doublings={"enlarge_model": steps, "add_data": np.full(len(matrix), np.nan)},
        zoos=list(zoos),
        classes=CLASSES,
    )
    asked = np.array([[0.1, 0.4, np.log(0.1)], [0.7, 0.4, np.log(0.1)]])
    told = model.model_.outcomes(asked, FEATURES, CLASSES).doublings
    assert set(told) == {"enlarge_model"}
    assert told["enlarge_model"] == pytest.approx([2.0, 4.0], abs=0.5)


def test_the_chances_are_those_of_clear_labels():
    """Where one class alone is clear everywhere, its chance is 1 and that of others is 0."""
    matrix, answers, gains, zoos = collection(zoos=5, lines=12)
    best = {
        remedy: np.where(remedy == "add_data", 0.9, 0.0) + 0 * each
        for remedy, each in gains.items()
    }
    model = fitted(matrix, answers, best, zoos).model_
    values = model.regression.values(matrix)
    assert values["data_small"] == pytest.approx(np.ones(len(matrix)), abs=0.02)
    for name in set(values) - set(REMEDIES) - set(COMPARISONS) - {"data_small"}:
        assert values[name] == pytest.approx(np.zeros(len(matrix)), abs=0.02)


def test_a_comparison_is_learnt_from_groups_whose_best_change_is_another_one():
    """Data gain most everywhere; which of the temperatures gains more is told all the same."""
    matrix, answers, gains, zoos = collection(zoos=5, lines=12)
    nothing = 0 * gains["add_data"]
    given = {
        "add_data": nothing + 0.9,
        "enlarge_model": nothing,
        "lower_temperature": nothing + 0.5,
        "raise_temperature": nothing,
    }
    model = fitted(matrix, answers, given, zoos).model_
    values = model.regression.values(matrix)
    assert values["temperature"] == pytest.approx(np.ones(len(matrix)), abs=0.02)
    assert values["resources"] == pytest.approx(np.ones(len(matrix)), abs=0.02)


def test_what_differs_by_no_more_than_the_noise_is_not_compared():
    matrix, answers, gains, zoos = collection(zoos=5, lines=12)
    nothing = 0 * gains["add_data"]
    given = {
        "add_data": nothing + 0.9,
        "lower_temperature": nothing + 1e-9,
        "raise_temperature": nothing,
    }
    targets = fitted(matrix, answers, given, zoos).model_.regression.weights
    assert "temperature" not in targets  # all differences are noise
    assert "resources" not in targets  # no group knows what a larger network would gain


def test_a_calibration_of_other_zoos_leaves_the_gains_alone():
    matrix, answers, gains, zoos = collection(zoos=6, lines=14)
    problem = GainRegression().problem(
        matrix, gains=gains, zoos=zoos.tolist(), classes=sorted(set(answers))
    )
    alone = problem.model(zoos == 2)
    together = problem.model(zoos == 2, problem.calibration((zoos == 2) | (zoos == 3)))
    for remedy, expected in alone.regression.values(matrix).items():
        assert expected == pytest.approx(together.regression.values(matrix)[remedy], abs=1e-6)
    assert together.levels != alone.levels
