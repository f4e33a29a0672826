"""Judging: the verdict, what makes it unsure, and what it says it rests on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mdtree.diagnosis import UNSURE, Diagnoser, with_facts
from mdtree.exceptions import ProtocolError, TreeError
from mdtree.rows import GroupFailure, Measured, Missing, Provenance, Row
from mdtree.trees import probabilities
from mdtree.trees.fit import fit_tree

# What a group of each mode looks like: the questions of the task `failure`, answered clearly.
TYPICAL = {
    "data_small": {"connectivity_peak": -30.0, "hessian_top": 3.0, "hessian_trace": 60.0},
    "model_small": {"connectivity_peak": -30.0, "hessian_top": 150.0, "hessian_trace": 900.0},
    "temperature_low": {"connectivity_peak": -0.2, "hessian_top": 150.0, "hessian_trace": 3000.0},
    "temperature_high": {"connectivity_peak": -0.9, "hessian_top": 40.0, "hessian_trace": 600.0},
}
REST = {"train_error": 5.0, "train_loss": 0.2, "connectivity": 0.5, "cka": 0.7}


def group(mode, *, factor=1.0, stderr=None, facts=None, **changed):
    numbers = {**REST, **TYPICAL[mode]}
    if mode == "temperature_low":
        numbers["train_error"] = 0.02
    values = {
        n: Measured(value=v * factor, stderr=stderr and stderr * v) for n, v in numbers.items()
    }
    values.update({n: v if v is None else Measured(value=v) for n, v in changed.items()})
    known = {name: value for name, value in values.items() if value is not None}
    return Row(format=1, group=mode, protocol="paper-1", facts=facts or {}, quantities=known)


@pytest.fixture(scope="module")
def saved():
    """A posterior fitted on 25 groups of each mode, all alike but for a tenth."""
    rng = np.random.default_rng(0)
    rows = [
        replace(
            group(mode, factor=float(rng.normal(1, 0.1)), facts={"label": mode}),
            group=f"{mode}-{n}",
        )
        for n in range(25)
        for mode in TYPICAL
    ]
    return fit_tree(rows, task="failure", method="posterior", provenance={"data": "typical groups"})


@pytest.fixture(scope="module")
def diagnoser(saved):
    return Diagnoser(saved, name="typical")


@pytest.mark.parametrize("mode", TYPICAL)
def test_a_typical_group_gets_its_mode(diagnoser, saved, mode):
    verdict = diagnoser(group(mode))
    assert (verdict.mode, verdict.likely, verdict.sure, verdict.why_unsure) == (
        mode,
        mode,
        True,
        (),
    )
    expected = probabilities(saved, diagnoser.line(group(mode))[None])[0]
    assert list(verdict.probabilities) == list(saved.classes)
    assert list(verdict.probabilities.values()) == pytest.approx(expected)
    assert verdict.probability == max(verdict.probabilities.values())
    assert 0.5 < verdict.agreement <= 1
    assert verdict.missed == ()
    assert not verdict.outlier.outside
    assert verdict.clues[-1].went in ("low", "high")


@pytest.mark.parametrize("confidence", [0.0, 0.55, 1.0])
def test_below_the_confidence_a_verdict_is_unsure(saved, confidence):
    diagnoser = Diagnoser(saved, name="t", confidence=confidence)
    verdict = diagnoser(group("model_small", cka=None))
    sure = verdict.probability >= confidence
    assert diagnoser.mode(np.array(list(verdict.probabilities.values()))) == verdict.mode
    assert verdict.mode == ("model_small" if sure else UNSURE)
    assert verdict.likely == "model_small"
    if not sure:
        assert verdict.why_unsure[0].startswith("model_small is the most probable answer (")
        assert "a verdict needs 100 %" in verdict.why_unsure[0]


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_a_confidence_is_a_probability(saved, confidence):
    with pytest.raises(TreeError, match="must be a probability, 0 to 1; got"):
        Diagnoser(saved, name="t", confidence=confidence)


def test_without_error_bars_there_is_no_stability(diagnoser):
    assert diagnoser(group("data_small")).stability is None
    assert diagnoser(group("data_small", stderr=0.0)).stability is None


def test_large_error_bars_make_an_answer_less_stable_and_the_seed_decides_how_much(
    diagnoser, saved
):
    small, large = (diagnoser(group("temperature_high", stderr=error)) for error in (0.01, 2.0))
    assert small.stability == 1 > large.stability > 0.1
    assert large == diagnoser(group("temperature_high", stderr=2.0))
    other = Diagnoser(saved, name="typical", seed=1)(group("temperature_high", stderr=2.0))
    assert other.stability != large.stability
    assert other.probabilities == large.probabilities
    barred = [step for step in large.clues if step.stderr is not None]
    assert barred
    assert all(step.flips_at is not None for step in barred)


def test_a_group_unlike_the_training_groups_is_flagged_with_the_features_beyond_them(diagnoser):
    outlier = diagnoser(group("model_small", train_error=80.0, cka=0.69)).outlier
    assert outlier.outside
    assert outlier.distance > outlier.limit > 0
    assert "train_error" in outlier.beyond
    assert "cka" not in outlier.beyond


def test_a_tree_without_a_population_flags_nothing(saved):
    verdict = Diagnoser(replace(saved, population=None), name="t")(group("data_small", cka=1e300))
    assert verdict.outlier is None


def test_rows_of_another_protocol_are_refused_or_warned_of(saved):
    row = replace(group("data_small"), protocol="standard-1")
    with pytest.raises(ProtocolError, match="--allow-protocol-mismatch"):
        Diagnoser(saved, name="t")(row)
    verdict = Diagnoser(saved, name="t", allow_protocol_mismatch=True)(row)
    assert verdict.mode == "data_small"
    assert verdict.basis.warnings == (
        "the tree was fitted to protocol paper-1, but the row has protocol standard-1",
    )


def test_a_row_in_which_nothing_was_measured_is_unsure(diagnoser):
    bare = Row(
        format=1,
        group="broken",
        protocol="paper-1",
        facts={},
        quantities={"cka": Missing(missing="needs 2 checkpoints, found 1")},
        failure=GroupFailure(kind="CheckpointError", reason="seed-0.pt is cut off"),
    )
    for row in (bare, replace(bare, quantities={})):
        verdict = Diagnoser(diagnoser.saved, name="t", confidence=0.0)(row)
        assert verdict.mode == UNSURE
        assert verdict.why_unsure == ("nothing that the tree asks for was measured",)
        assert verdict.basis.warnings == (
            "the group was only partly measured: seed-0.pt is cut off",
        )
        assert verdict.outlier is None
        assert sum(verdict.probabilities.values()) == pytest.approx(1)
        assert {step.value for step in verdict.clues} == {None}


def test_the_verdict_says_what_it_rests_on(saved):
    row = replace(
        group("data_small"),
        provenance=Provenance(
            weights={}, recipe="", metrics=(), seed=0, device="cpu", seconds=1,
            versions={"torch": "2.6", "mdtree": "0.0.1"},
        ),
    )  # fmt: skip
    tree = replace(saved, provenance={**saved.provenance, "WARNING": "mixed", "accuracy": "70 %"})
    basis = Diagnoser(tree, name="mine.json", chosen="it is the nearest")(row).basis
    assert (basis.tree, basis.chosen) == ("mine.json", "it is the nearest")
    assert (basis.task, basis.method, basis.protocol) == ("failure", "posterior", "paper-1")
    assert (basis.groups, basis.data, basis.accuracy) == (100, "typical groups", "70 %")
    assert basis.warnings == ("mixed",)
    assert basis.versions["torch"] == "2.6"
    assert basis.versions["mdtree"] != "0.0.1"  # the one that judges


def test_facts_of_the_user_replace_those_of_the_row():
    row = group("data_small", facts={"width": 2, "depth": 3})
    assert with_facts(row, {"width": 4}).facts == {"width": 4, "depth": 3}
    assert with_facts(row, {}) is row


@pytest.mark.parametrize("method", ["cart", "mdtree", "posterior"])
def test_every_method_judges_rows_in_which_anything_is_missing(method):
    rows = [
        replace(group(mode, factor=1 + n / 50, facts={"label": mode}), group=f"{mode}-{n}")
        for n in range(9)
        for mode in ("temperature_low", "temperature_high")
    ]
    diagnoser = Diagnoser(fit_tree(rows, task="temperature", method=method), name="t")
    whole = group("temperature_low", stderr=0.1)
    assert diagnoser(whole).mode == "temperature_low"
    for name in whole.quantities:
        less = {n: v for n, v in whole.quantities.items() if n != name}
        verdict = diagnoser(replace(whole, quantities=less))
        assert sum(verdict.probabilities.values()) == pytest.approx(1)
        assert verdict.advice


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-300, 0.0])
@pytest.mark.parametrize("stderr", [None, 1e-300, 1.7e308, -1.0])
def test_hostile_numbers_get_a_verdict_with_finite_numbers(diagnoser, value, stderr):
    row = group("data_small")
    hostile = Measured(value=value, stderr=stderr)
    verdict = diagnoser(replace(row, quantities=dict.fromkeys(row.quantities, hostile)))
    numbers = [
        verdict.probability,
        verdict.agreement,
        verdict.outlier.distance,
        verdict.outlier.limit,
    ]
    numbers += [number for step in verdict.clues for number in (step.value, step.stderr)]
    assert all(math.isfinite(number) for number in numbers if number is not None)
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
