"""The methods: baselines by hand, and what happens where one cannot run."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.evaluation import CASES, METHODS, evaluate
from mdtree.evaluation.benchmark import allowed
from mdtree.progress import Silent
from mdtree.rows import FACTS, rows_from_csv
from mdtree.trees import FACT_FEATURES, FEATURES, feature_matrix
from mdtree.trees.examples import labelled

NAMES = [
    "majority",
    "always_smaller_batch",
    "random",
    "no_fit",
    "cart_hyperparameters",
    "cart_validation",
    "cart_landscape",
    "forest_landscape",
    "published",
    "posterior",
    "grown",
    "posterior_facts",
]
TEST_FIGURES = {"test_error", "test_loss", "test_accuracy"}


@pytest.fixture(scope="module")
def table(published_table):
    return rows_from_csv(published_table, protocol="paper-1").rows


def test_the_table_of_methods_is_complete_and_explains_itself():
    assert list(METHODS) == NAMES
    for name, method in METHODS.items():
        assert method.name == name
        assert method.meaning


@pytest.mark.parametrize("task", ["temperature", "width", "data"])
def test_ours_may_ask_neither_test_figures_nor_without_saying_so_facts(task):
    asked = {
        name: {need for feature in METHODS[name].features(task) for need in FEATURES[feature].needs}
        for name in ("posterior", "posterior_facts", "published", "cart_landscape")
    }
    assert not any(needs & TEST_FIGURES for needs in asked.values())
    assert all(not needs & FACTS.keys() for name, needs in asked.items() if "facts" not in name)
    assert asked["posterior_facts"] & FACTS.keys() == {"parameters", "data_amount"}


def test_the_hyperparameter_baseline_knows_what_the_published_one_knew():
    features = METHODS["cart_hyperparameters"].features
    assert features("temperature") == FACT_FEATURES
    assert features("width") == ("log_data_amount",)
    assert features("data") == ("log_parameters",)


@pytest.mark.parametrize("name", ["2", "5", "data"])
def test_always_smaller_batch_is_right_as_often_as_that_is_the_answer(table, name):
    rows, answers, _ = labelled(table, CASES[name].task)
    part = allowed(CASES[name], rows)
    always = "temperature_low" if CASES[name].task == "temperature" else "temperature"
    (result,) = evaluate(table, table, cases=[name], methods=["always_smaller_batch"])
    share = (np.array(answers)[part] == always).mean()
    outcome = result.methods["always_smaller_batch"]
    assert outcome.scores.accuracy == pytest.approx(100 * share)
    assert outcome.sd == pytest.approx(0, abs=1e-9)
    assert outcome.scores.ece == pytest.approx(1 - share)


def test_the_majority_is_that_of_the_training_rows(table):
    rows, answers, _ = labelled(table, "temperature")
    y = np.array(answers)
    least = np.array([row.facts["width"] for row in rows]) == 2
    names, counts = np.unique(y[least], return_counts=True)
    (result,) = evaluate(table, table, cases=["3"], methods=["majority"])
    expected = 100 * (y == names[counts.argmax()]).mean()
    assert result.methods["majority"].scores.accuracy == pytest.approx(expected)


def test_no_fit_is_the_published_rule_with_its_starting_thresholds(table):
    rows, answers, _ = labelled(table, "temperature")
    error, peak, trace = feature_matrix(
        rows, ["train_error", "connectivity_peak", "log_hessian_trace"]
    ).T
    low = (error <= 0.5) | ((peak <= -10) & (trace > 7))
    right = np.where(low, "temperature_low", "temperature_high") == np.array(answers)
    (result,) = evaluate(table, table, cases=["1"], methods=["no_fit"])
    assert result.methods["no_fit"].scores.accuracy == pytest.approx(100 * right.mean())
    assert result.methods["no_fit"].sd == pytest.approx(0, abs=1e-9)


def test_the_random_answer_is_seeded_even_and_honest(table):
    one, two = (
        evaluate(table, table, cases=["1"], methods=["random"])[0].methods["random"]
        for _ in range(2)
    )
    assert one == two
    assert one.scores.accuracy == pytest.approx(50, abs=3)
    assert one.scores.log_loss == pytest.approx(np.log(2))


def test_a_method_that_cannot_run_says_why_and_the_others_run(tmp_path, published_table, mdtree):
    table = tmp_path / "bare.csv"
    lines = published_table.read_text().splitlines()
    keep = [lines[0].split(",").index(c) for c in ("width", "data_amount", "bs", "test_acc")]
    cells = [[line.split(",")[n] for n in keep] for line in lines]
    table.write_text("\n".join(",".join([*line, "0"]) for line in cells).replace(",0", ",cka", 1))
    rows = rows_from_csv(table, protocol="paper-1").rows
    methods = ["majority", "posterior", "published"]
    (result,) = evaluate(rows, rows, cases=["2"], methods=methods)
    assert "no line has all features of a shape" in result.methods["posterior"]
    assert "no line has all of train_error" in result.methods["published"]
    assert result.methods["majority"].scores.accuracy > 0
    call = ("evaluate", "--train", table, "--test", table, "--cases", "2")
    shown = mdtree(*call, "--methods", "majority", "--methods", "posterior")
    assert shown.code == 0
    assert "posterior did not run: no line has all features" in shown.out
    assert (
        '"posterior": {"missing": "no line has'
        in mdtree(*call, "--methods", "posterior", "--json").out
    )


def test_progress_counts_every_method_of_every_case(table):
    class Watch(Silent):
        def __init__(self):
            self.total, self.steps = 0, []

        def start(self, total, stage=""):
            self.total = total

        def step(self, done):
            self.steps.append(done)

    watch = Watch()
    evaluate(table, table, cases=["2", "3"], methods=["random", "no_fit"], progress=watch)
    assert watch.total == 4
    assert watch.steps == [
        "case 2, random",
        "case 2, no_fit",
        "case 3, random",
        "case 3, no_fit",
    ]
