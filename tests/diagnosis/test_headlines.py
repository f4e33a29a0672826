"""Headlines: one sentence that says what is wrong, how sure, what next, and what that brings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import (
    CheckResult,
    DecisionStep,
    Gain,
    NextStep,
    OutOfDistribution,
    Target,
    Trajectory,
    headline,
    headline_of_all,
)
from mdtree.diagnosis.trajectory import TrajectoryStep
from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.render.verdict_words import caution
from tests.support.reports import HOSTILE, grid, judged

BROKEN = DecisionStep(
    feature="weights", value=None, stderr=None, threshold=0, went="high", says="", flips_at=None
)
FAR = OutOfDistribution(distance=2.0, limit=1.0, beyond=())
STEPS_AND_WORDS = [  # kind and names of the next step, and what the sentence makes of them
    ("add_seed", (), "train the same network once more from another random start"),
    (
        "add_seeds",
        (),
        (
            "train the same network again from other random starts or try the two changes that "
            "should bring most"
        ),
    ),
    (
        "tell_facts",
        ("steps", "learning_rate"),
        "tell mdtree more about the training (steps, learning rate)",
    ),
    ("measure", ("hessian",), "let mdtree measure more (hessian)"),
    (
        "change",
        ("raise_temperature",),
        (
            "the change to try is to train again with larger steps (learning rate 0.004 instead of "
            "0.0005), which should bring about 17.8 more right answers in every 100"
        ),
    ),
]


def gain(mode, **parts):
    remedy = next(name for name, mended in REMEDIES.items() if mended == mode)
    return Gain(**{"remedy": remedy, "mode": mode, "mean": 1.0, "low": None, "high": None, **parts})


STEPS = gain(
    "temperature_low", mean=17.83, low=8.6, high=38.7, fact="learning_rate", old=0.0005, new=0.004
)
OTHER = gain("data_small", mean=3.0)


def step(says, *, kind="change", names=()):
    return NextStep(kind=kind, names=names, says=says)


def sure(mode, *gains, **changes):
    changes = {"mode": mode, "likely": mode, "probability": 0.96, "outlier": None, **changes}
    return judged(grid()[0], gains=gains, target=None, **changes)


def test_it_says_what_is_wrong_how_sure_what_next_and_what_that_brings():
    assert headline(sure("temperature_low", STEPS)) == (
        "Training was too cautious, in steps that were too small (96 % sure), so train again with "
        "larger steps (learning rate 0.004 instead of 0.0005), which should bring about 17.8 more "
        "right answers in every 100 than the 39.4 of now (8.6 to 38.7 in four cases of five)."
    )


@pytest.mark.parametrize(
    ("mode", "fact", "words"),
    [
        ("temperature_low", "batch_size", "with fewer examples in each step (batch size 8 instead"),
        ("temperature_low", None, "with larger steps, or with fewer examples in each of them"),
        ("temperature_high", "learning_rate", "with smaller steps (learning rate 8 instead of 32)"),
        ("temperature_high", "batch_size", "with more examples in each step (batch size 8 instead"),
        ("model_small", "width", "train a larger network (width 8 instead of 32)"),
        ("data_small", "data_amount", "with more examples (data amount 8 instead of 32)"),
    ],
)
def test_the_change_is_named_by_its_fact(mode, fact, words):
    numbers = {} if fact is None else {"fact": fact, "old": 32.0, "new": 8.0}
    assert words in headline(sure(mode, gain(mode, **numbers)))


def test_a_change_of_an_unknown_fact_is_a_factor():
    text = headline(sure("model_small", gain("model_small", fact="width", factor=4.0)))
    assert "a larger network (width times 4), which should bring about 1.0 more" in text


def test_a_gain_that_nobody_knows_is_not_promised():
    assert headline(sure("model_small")).endswith("; what that brings is not known.")


def test_a_gain_at_the_end_of_its_range_has_the_other_end_told():
    most = gain("model_small", mean=17.9, low=4.4, high=17.9)
    assert headline(sure("model_small", most)).endswith(
        "which should bring about 17.9 more right answers in every 100 than the 39.4 of now (4.4 "
        "or more in nine cases of ten)."
    )


def test_where_hardly_anything_is_gained_the_fault_is_named_and_that_it_costs_little():
    """Its check is an error, at which `--fail-on error` fails: the sentence must not deny it."""
    tiny = gain("data_small", mean=0.3, low=0.0, high=0.6)
    assert headline(sure("data_small", tiny, probability=0.91)) == (
        "The network was trained on too few examples (91 % sure), but there is little left to "
        "gain: what helps most is to train again with more examples, which should bring about 0.3 "
        "more right answers in every 100 than the 39.4 of now (0.0 to 0.6 in four cases of five)."
    )
    one = gain("data_small", mean=1.0, low=0.0, high=2.0)
    assert "little left" not in headline(sure("data_small", one))


def test_another_changes_gain_is_not_that_of_the_verdict():
    assert "3.0" not in headline(sure("model_small", OTHER))


@pytest.mark.parametrize("mode", FAILURE_MODES)
@pytest.mark.parametrize("probability", [0.61, 0.9996])
def test_every_mode_is_one_sentence_without_the_words_of_the_field(mode, probability):
    known = [gain(mode)] if mode != "none" else []
    text = headline(sure(mode, *known, probability=probability))
    assert text[0].isupper()
    assert text.count(". ") == 0
    assert text.endswith(".")
    assert {0.61: "(61 % sure)", 0.9996: "(over 99 % sure)"}[probability] in text
    for word in ("temperature", "noise", "batch too", "regression", "_"):
        assert word not in text


def test_none_says_what_the_best_change_would_bring():
    assert headline(sure("none")).endswith("steps should bring nothing beyond chance.")
    best = sure("none", gain("model_small", mean=0.31), gain("data_small", mean=0.44))
    assert headline(best).endswith(
        "bring only about 0.4 more right answers in every 100 than the 39.4 of now."
    )


def test_a_target_is_what_gains_are_held_to():
    target = Target(accuracy=95.0, measured=90.0, gap=5.0, noise=0.5)
    text = headline(replace(sure("temperature_low", STEPS), target=target))
    assert (
        "17.8 more right answers in every 100 than the 39.4 of now, of the 5.0 to the target (8.6"
        in text
    )
    none = headline(replace(sure("none", gain("data_small", mean=0.4)), target=target))
    assert none == (
        "No single change closes the gap of 5.0 points to the target of 95 % right answers (96 % "
        "sure), so look at the kind of network, the data and their labels: more of the same should "
        "bring only about 0.4 more right answers in every 100 than the 39.4 of now."
    )
    reached = Target(accuracy=95.0, measured=94.8, gap=0.2, noise=0.5, is_reached=True)
    assert headline(replace(sure("none"), target=reached)) == (
        "The target of 95 % right answers is reached within the noise, with 94.8 % measured, so "
        "leave the training as it is."
    )
    unknown = Target(accuracy=95.0, missing="the test error was not measured")
    assert headline(replace(sure("none"), target=unknown)) == headline(sure("none"))


@pytest.mark.parametrize(("kind", "names", "words"), STEPS_AND_WORDS)
def test_an_unsure_verdict_gives_its_best_guess_and_how_to_find_out(kind, names, words):
    verdict = replace(
        sure("temperature_low", STEPS, OTHER),
        mode="unsure",
        probability=0.45,
        next_step=step("", kind=kind, names=names),
    )
    assert headline(verdict).startswith(
        "It is not clear yet what is wrong; the best guess (45 % sure) is that training was too "
        f"cautious, in steps that were too small, so {words}"
    )


def test_the_next_steps_of_real_verdicts_are_said_in_everyday_words():
    texts = [headline(judged(row)) for row in grid()]
    assert any("not clear yet" in text for text in texts)
    assert not any("next step is" in text for text in texts)


def test_an_answer_without_a_direction_is_a_guess():
    verdict = replace(sure("temperature"), mode="unsure", next_step=step("try both"))
    assert "the wrong size, so the next step is: try both." in headline(verdict)


def test_a_training_that_broke_down_is_called_so():
    verdict = sure("temperature_high", clues=(BROKEN,), probability=1.0)
    assert headline(verdict).startswith(
        "Training broke down, because its steps were too large (100 % sure), so train again with"
    )


def test_what_mdtree_does_not_know_is_a_hint_only():
    text = headline(sure("model_small", outlier=FAR))
    assert text.startswith("Take this as a hint only, because the network is unlike those ")
    near = replace(FAR, distance=0.5)
    assert headline(sure("model_small", outlier=near)).startswith("The network is too small")


def of_the_general_tree(outlier, *, accuracy="84.8 %", **changes):
    """Return a verdict of a tree whose accuracy on zoos left out is known."""
    verdict = sure("model_small", outlier=outlier, answers={"0.9": ("model_small",)}, **changes)
    return replace(verdict, basis=replace(verdict.basis, accuracy=accuracy))


@pytest.mark.parametrize(("distance", "is_hint"), [(1.2, False), (2.0, False), (2.1, True)])
def test_where_zoos_left_out_were_judged_as_well_it_is_more_than_a_hint(distance, is_hint):
    """Answers with a prediction set are those of the regression of gains."""
    verdict = of_the_general_tree(replace(FAR, distance=distance))
    assert verdict.is_untested is is_hint
    assert headline(verdict).startswith("Take this as a hint") is is_hint
    assert ("hint only" in (caution(verdict) or "")) is is_hint
    assert ("right as often" in (caution(verdict) or "")) is not is_hint


def test_what_was_tested_holds_for_no_other_tree_and_not_from_files_alone():
    near = replace(FAR, distance=1.2)
    assert not of_the_general_tree(near).is_untested
    assert of_the_general_tree(near, accuracy="").is_untested  # a tree of one's own
    files = CheckResult(code="MD306", status="found", message="")
    assert of_the_general_tree(near, checks=(files,)).is_untested
    assert "hint only" in (caution(of_the_general_tree(near, checks=(files,))) or "")


def test_where_to_begin_is_rather_a_group_that_is_no_mere_hint():
    far = replace(sure("temperature_low", STEPS, outlier=FAR), group="far")
    near = replace(sure("model_small", gain("model_small", mean=2.0)), group="near")
    assert "; begin with near: train a larger" in headline_of_all([far, near])
    assert "; begin with far: take this as a hint only, because" in headline_of_all([far, far])
    assert "(each over 99 % sure)" in headline_of_all([replace(near, probability=0.999)] * 2)
    assert "(each 100 % sure)" in headline_of_all([replace(near, probability=1.0)] * 2)


def test_long_names_keep_their_ends():
    near = sure("model_small", gain("model_small", mean=2.0))
    groups = [replace(near, group=f"{'width-2_' * 20}noise-0.{end}") for end in (1, 2)]
    assert "2_width-2_width-2_noise-0.1: train" in headline_of_all(groups)


def test_an_unsure_answer_does_not_look_as_if_it_were_sure_enough():
    close = replace(sure("model_small"), mode="unsure", probability=0.5966, confidence=0.6)
    assert "the best guess (59.6 % sure)" in headline(close)


def test_what_is_not_known_is_not_said():
    unknown = replace(sure("temperature_low", STEPS), test_accuracy=None)
    assert "17.8 more right answers in every 100 (8.6 to" in headline(unknown)


def test_without_running_a_network_it_is_a_hint_only():
    found = CheckResult(code="MD306", status="found", message="")
    far = sure("model_small", outlier=FAR, checks=(found,))
    assert headline(far).startswith(
        "Take this as a hint only, because no network was run and the network is unlike those "
    )
    odd = replace(
        far, outlier=None, checks=(CheckResult(code="MD405", status="found", message=""),)
    )
    assert headline(odd).startswith(
        "Take this as a hint only, because the network does worse than chance (its labels may "
    )
    fine = replace(far, outlier=None, checks=(replace(found, status="passed"),))
    assert headline(fine).startswith("The network is too small")


EARLY = (CheckResult(code="MD407", status="found", message="it rose"),)
SEEMS = "Training seems to have ended too early, so train longer "


def test_a_training_that_ended_early_goes_on_first():
    low = sure("temperature_low", STEPS, checks=EARLY)
    assert headline(low).startswith(
        f"{SEEMS}or in larger steps; as it is, training was too cautious, in steps that were too"
    )
    assert low.advice == f"train longer, or {low.next_step.says}"
    small = sure("model_small", gain("model_small", mean=9.0), checks=EARLY)
    assert headline(small).startswith(f"{SEEMS}first; as it is, the network is too small")
    assert small.advice == f"train longer first; apart from that, {small.next_step.says}"
    nothing = sure("none", gain("data_small", mean=0.4), checks=EARLY)
    assert headline(nothing).startswith(f"{SEEMS}first; as it is, no single change would help")
    assert "leave" not in headline(nothing)


@pytest.mark.parametrize(
    "changes",
    [
        {"clues": (BROKEN,)},
        {"target": Target(accuracy=55.0, measured=60.0, gap=0.0, is_reached=True)},
        {"checks": (replace(EARLY[0], status="ignored"),)},
    ],
)
def test_a_training_that_broke_down_or_is_good_enough_need_not_be_longer(changes):
    verdict = replace(sure("none"), **{"checks": EARLY, **changes})
    assert not verdict.ended_early
    assert "longer" not in headline(verdict) + verdict.advice


def test_of_several_the_most_promising_comes_first_whether_it_ended_early_or_not():
    more = gain("model_small", mean=30.0)
    most = replace(sure("model_small", more, checks=EARLY), group="most")
    less = replace(sure("model_small", gain("model_small", mean=3.0)), group="less")
    said = headline_of_all([less, most])
    assert "begin with most: train longer, and train a larger network" in said


def test_of_the_steps_of_a_run_the_one_to_keep_counts():
    early = replace(sure("temperature_low", STEPS, probability=0.99), group="run@epoch-1")
    last = replace(sure("model_small"), group="run@epoch-2")
    steps = tuple(
        TrajectoryStep(group=each.group, label="", at=at, score=None, stderr=None)
        for at, each in enumerate([early, last])
    )
    run = Trajectory(
        run="run",
        protocol=early.basis.protocol,
        axis="epoch",
        steps=steps,
        keep="run@epoch-2",
    )
    assert headline_of_all([early, last], [run]) == (
        "Of 2 checkpoints, keep run@epoch-2: the network is too small for its task (96 % sure), so "
        "train a larger network; what that brings is not known."
    )
    unknown = replace(run, keep=None)
    assert headline_of_all([early, last], [unknown]).startswith(
        "Of 2 diagnosed groups of networks: 1 "
    )
    other = replace(early, group="other")
    assert "begin with other: train again" in headline_of_all([early, last, other], [run])
    assert "Of 2 diagnosed groups" in headline_of_all([early, last, other], [run])


def test_several_are_counted_and_the_most_promising_comes_first():
    small = sure("model_small", gain("model_small", mean=2.0), probability=0.7)
    cautious = replace(sure("temperature_low", STEPS), group="b")
    unsure = replace(small, mode="unsure", probability=0.3)
    assert headline_of_all([small, cautious, small, unsure]) == (
        "Of 4 diagnosed groups of networks: 2 too small for the task, 1 trained too cautiously, 1 "
        "still unclear (each of the others at least 70 % sure); begin with b: train again with "
        "larger steps (learning rate 0.004 instead of 0.0005), which should bring about 17.8 more "
        "right answers in every 100 than the 39.4 of now (8.6 to 38.7 in four cases of five)."
    )
    assert headline_of_all([small]) == headline(small)
    assert (
        headline_of_all([unsure, unsure]) == "Of 2 diagnosed groups of networks: 2 still unclear."
    )
    assert headline_of_all([]) == "No group of networks could be diagnosed."


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_elsewhere_do_not_make_it_long_or_several_lines(name):
    """They are escaped where the sentence is shown, as all text is."""
    named = sure(name, next_step=step("wait"))
    texts = [
        headline(named),
        headline(replace(named, mode="unsure", likely=name)),
        headline(replace(named, mode="unsure", next_step=step("", kind="measure", names=(name,)))),
        headline_of_all([replace(sure("model_small", gain("model_small")), group=name)] * 2),
    ]
    for text in texts:
        assert len(text) < 400
        assert "\n" not in text
