"""What a confirmed change teaches: a label where the gain stands out, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.confirmation.learning import label_of, teach
from mdtree.confirmation.result import Change, Confirmed
from mdtree.confirmation.settings import ConfirmationSettings
from mdtree.diagnosis import Diagnoser, compare_pair
from mdtree.rows import GroupFailure, mean_over_members, read_rows, write_rows
from tests.support.confirming import advising
from tests.support.rows import row


def trained(group, rate, errors, **facts):
    error = mean_over_members(errors, single_stderr=None)
    known = {"learning_rate": rate, "width": 8, "data_amount": 200, **facts}
    return row(group, known, test_error=error, train_error=error)


COLD = trained("cold", 0.001, [60.0, 61.0])
WARM = trained("warm", 0.008, [20.0, 21.0])


def label(before, after, remedy="raise_temperature"):
    found = compare_pair(before, after, Diagnoser(advising(), name="by hand"))
    return label_of(before, after, remedy, found.real)


def test_a_gain_beyond_the_noise_is_a_label():
    assert label(COLD, WARM) == ("temperature_low", None)


def test_facts_of_the_rows_do_not_hide_the_pair():
    one = replace(COLD, facts={**COLD.facts, "zoo": "a", "test_accuracy": 90.0})
    other = replace(WARM, facts={**WARM.facts, "zoo": "b"})
    assert label(one, other)[0] == "temperature_low"


def test_a_gain_in_the_noise_a_loss_and_a_failure_are_no_labels():
    mode, why = label(COLD, trained("near", 0.008, [58.0, 60.5]))
    assert mode is None
    # t = 1.25 / sqrt(0.5^2 + 1.25^2), with 1.3 degrees of freedom
    assert "does not stand clear of the noise between seeds (p = 0.49, and a label takes p" in why
    mode, why = label(WARM, trained("far", 0.01, [90.0, 91.0]))
    assert (mode, why) == (
        None,
        "nothing was gained, which shows what was not wrong, and not what was",
    )
    lost = row("lost", WARM.facts, failure=GroupFailure(kind="DivergedError", reason="NaN"))
    mode, why = label(COLD, lost)
    assert mode is None
    assert why == "what was gained is not known: test_error was not measured after"


def test_a_large_gain_whose_p_value_is_large_is_no_label():
    """The rule of `mdtree zoo label` would take it, but the text beside it calls it noise."""
    before, after = trained("a", 0.001, [50.0, 60.0]), trained("b", 0.001, [46.0, 50.0], width=32)
    mode, why = label(before, after, "enlarge_model")
    assert mode is None
    assert "p = 0.31" in why


@pytest.mark.parametrize(
    ("before", "after", "sides"),
    [([60.0], [20.0], "before and after"), ([60.0, 61.0], [20.0], "after")],
)
def test_a_single_network_shows_no_noise_and_gives_no_label(before, after, sides):
    mode, why = label(trained("a", 0.001, before), trained("b", 0.008, after))
    assert mode is None
    assert why.startswith(f"there is a single network {sides}, so the noise between seeds is not")
    assert "--seeds 3" in why


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_networks_that_are_all_alike_are_judged_by_the_noise_of_others(seeds):
    before, after = trained("a", 0.001, [60.0] * seeds), trained("b", 0.008, [20.0] * seeds)
    assert label(before, after) == ("temperature_low", None)
    mode, why = label(before, trained("b", 0.008, [59.0] * seeds))
    assert mode is None
    assert "p = 0." in why


def test_two_networks_a_side_give_a_label_where_the_gain_is_large():
    before, after = trained("a", 0.001, [60.0, 62.0]), trained("b", 0.008, [20.0, 20.0])
    assert label(before, after) == ("temperature_low", None)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "zoo").mkdir()
    return ConfirmationSettings(directory=tmp_path / "zoo", out=tmp_path / "out")


def taught(settings, before, after, remedy):
    (settings.place).mkdir(exist_ok=True)
    write_rows(settings.place / "rows.jsonl", [before, after])
    diagnoser = Diagnoser(advising(), name="by hand")
    mode, why = label(before, after, remedy)
    change = Change(
        before=before.group,
        after=after.group,
        remedy=remedy,
        fact="learning_rate",
        old=1.0,
        new=2.0,
        folder="f",
        trained=2,
        already=0,
        diverged=(),
        label=mode,
        why_no_label=why,
        notes=(),
    )
    found = Confirmed(change=change, comparison=compare_pair(before, after, diagnoser))
    lesson = teach(settings, diagnoser, [found])
    path = settings.place / "labelled.jsonl"
    labels = {r.group: r.facts["label"] for r in read_rows(path)} if path.exists() else {}
    return lesson, labels


def test_of_several_changes_of_a_group_the_one_that_gains_most_is_its_label(settings):
    wide = trained("wide", 0.001, [40.0, 41.0], width=32)
    assert taught(settings, COLD, wide, "enlarge_model")[1] == {"zoo/cold": "model_small"}
    assert taught(settings, COLD, WARM, "raise_temperature")[1] == {"zoo/cold": "temperature_low"}
    assert taught(settings, COLD, wide, "enlarge_model")[1] == {"zoo/cold": "temperature_low"}
    near = trained("near", 0.001, [59.0, 61.5], data_amount=400)
    assert taught(settings, COLD, near, "add_data")[1] == {"zoo/cold": "temperature_low"}


def test_a_label_goes_where_more_seeds_of_the_same_change_take_it_back(settings):
    lesson, labels = taught(settings, COLD, WARM, "raise_temperature")
    assert (lesson.labels, labels) == (1, {"zoo/cold": "temperature_low"})
    worse = trained("warm", 0.008, [20.0, 99.0, 60.0])
    lesson, labels = taught(settings, COLD, worse, "raise_temperature")
    assert (lesson.labels, lesson.path, lesson.command, labels) == (0, None, None, {})
    assert not Path(settings.place / "labelled.jsonl").exists()


def test_without_a_tree_that_can_be_adapted_the_reason_is_said(settings, monkeypatch):
    monkeypatch.setattr("mdtree.confirmation.learning.shipped_trees", dict)
    lesson, _ = taught(settings, COLD, WARM, "raise_temperature")
    assert lesson.command is None
    assert lesson.why_not == "no tree for protocol standard-1 has a posterior to adapt"
