"""The inquiry: metrics are measured in the order of their cost, until the verdict is settled."""

from __future__ import annotations

import json

import pytest

from mdtree.measurement import check_metrics
from mdtree.sequential_diagnosis import METRICS_BY_COST
from mdtree.trees import Split
from tests.support.inquiries import inquiry_of
from tests.support.trees import HIGH, LOW, leaf_of_ten
from tests.support.zoos import rows_of, write_zoo


def ask(folder, tree, features, **changes):
    """Run an inquiry: (stages, judge, rows)."""
    stages = []
    diagnosed = inquiry_of(folder, tree, features, announce=stages.append, **changes).run()
    return stages, diagnosed.diagnoser, diagnosed.rows


def question(feature, threshold, low, high):
    return Split(feature=feature, threshold=threshold, low=low, high=high)


def test_all_metrics_that_need_not_be_asked_for_are_stages():
    assert sorted(METRICS_BY_COST) == sorted(check_metrics(()))


def test_a_verdict_that_the_errors_settle_costs_no_more(zoo):
    tree = question(
        "train_error",
        100.0,
        leaf_of_ten(LOW),
        question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH)),
    )
    stages, diagnoser, rows = ask(zoo, tree, ("train_error", "cka"))
    assert [(stage.metric, stage.groups) for stage in stages] == [("error_rate", ("cold", "hot"))]
    assert [diagnoser(row).mode for row in rows] == [LOW, LOW]


def test_cheap_metrics_come_first_and_each_stage_says_its_cost(zoo):
    """Untrained networks are wrong for nine of ten items: the walk goes on."""
    hessian = question("log_hessian_trace", 50.0, leaf_of_ten(LOW), leaf_of_ten(HIGH))
    tree = question(
        "train_error", 1.0, leaf_of_ten(LOW), question("cka", -1.0, leaf_of_ten(LOW), hessian)
    )
    stages, diagnoser, rows = ask(zoo, tree, ("train_error", "cka", "log_hessian_trace"))
    assert [stage.metric for stage in stages] == ["error_rate", "similarity", "hessian"]
    assert all(stage.seconds > 0 for stage in stages)
    assert [stage.change is None for stage in stages] == [True, False, False]
    assert [diagnoser(row).mode for row in rows] == [LOW, LOW]
    assert rows_of(zoo / "rows.jsonl")["hot"].provenance.metrics == (
        "error_rate",
        "similarity",
        "hessian",
    )


def test_each_group_is_measured_as_far_as_it_needs(tmp_path):
    """One network alone has no pairs, and asking again would not find any."""
    folder = write_zoo(tmp_path, {"one": [0], "two": [1, 2]})
    tree = question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH))
    stages, diagnoser, rows = ask(folder, tree, ("cka",))
    assert [(s.metric, s.groups) for s in stages] == [
        ("error_rate", ("one", "two")),
        ("similarity", ("one", "two")),
    ]
    assert [[missed.metric for missed in diagnoser(row).missed] for row in rows] == [
        ["similarity"],
        [],
    ]


def test_full_measures_what_cannot_change_the_verdict_too(zoo):
    tree = question(
        "train_error",
        100.0,
        leaf_of_ten(LOW),
        question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH)),
    )
    stages, _, _ = ask(zoo, tree, ("train_error", "cka"), full=True)
    assert [stage.metric for stage in stages] == ["error_rate", "similarity"]


def test_a_second_inquiry_measures_nothing(zoo):
    tree = question(
        "train_error",
        1.0,
        leaf_of_ten(LOW),
        question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH)),
    )
    first = ask(zoo, tree, ("train_error", "cka"))
    before = (zoo / "rows.jsonl").read_bytes()
    stages, _, rows = ask(zoo, tree, ("train_error", "cka"))
    assert (stages, rows) == ([], first[2])
    assert (zoo / "rows.jsonl").read_bytes() == before


@pytest.mark.parametrize("known", [{}, {"weight_decay": 0.1}])
def test_facts_join_the_rows_that_are_judged_and_not_the_file(zoo, known):
    _, _, rows = ask(zoo, leaf_of_ten(LOW), ("cka",), facts=known)
    assert [row.facts.get("weight_decay") for row in rows] == [known.get("weight_decay")] * 2
    assert "weight_decay" not in rows_of(zoo / "rows.jsonl")["hot"].facts


def test_a_group_that_fails_is_left_alone(zoo):
    (zoo / "hot" / "seed-0.safetensors").write_bytes(b"broken")
    tree = question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH))
    stages, _, rows = ask(zoo, tree, ("cka",))
    assert [(s.metric, s.groups) for s in stages] == [
        ("error_rate", ("cold", "hot")),
        ("similarity", ("cold",)),
    ]
    assert {row.group: row.failure is None for row in rows} == {"cold": True, "hot": False}


def test_a_group_that_fails_now_is_judged_by_what_was_measured_before(zoo):
    tree = question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH))
    _, _, before = ask(zoo, tree, ("cka",))
    file = zoo / "hot" / "seed-0.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"broken")

    stages, diagnoser, rows = ask(zoo, tree, ("cka",))

    assert [(s.metric, s.groups) for s in stages] == [("error_rate", ("hot",))]
    assert [row.quantities for row in rows] == [row.quantities for row in before]
    assert [row.failure is None for row in rows] == [True, False]
    assert "a later attempt failed" in diagnoser(rows[1]).basis.warnings[0]
    file.write_bytes(whole)
    assert ask(zoo, tree, ("cka",))[::2] == ([], before)


def test_what_failed_in_an_earlier_run_does_not_keep_a_group_from_being_measured_further(zoo):
    ask(zoo, leaf_of_ten(LOW), ("train_error",))
    file = zoo / "hot" / "seed-0.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"broken")
    ask(zoo, leaf_of_ten(LOW), ("train_error",))
    file.write_bytes(whole)

    stages, _, rows = ask(zoo, question("cka", 0.5, leaf_of_ten(LOW), leaf_of_ten(HIGH)), ("cka",))

    assert [(s.metric, s.groups) for s in stages] == [("similarity", ("cold", "hot"))]
    assert [row.failure for row in rows] == [None, None]


COUNTING = """
import collections, json, sys
opened, listed, root = collections.Counter(), collections.Counter(), ""
def hook(event, args):
    name = str(args[0]) if args else ""
    if event == "open" and name.endswith(".safetensors"):
        opened[name] += 1
    if event == "os.scandir" and name.startswith(root):
        listed[name] += 1
sys.addaudithook(hook)
from mdtree.cli import main
from mdtree.metrics import METRICS
from tests.support.valleys import few_steps
METRICS["connectivity"] = few_steps(steps=12, epochs=2)
counted = []
for words in json.loads(sys.argv[1]):
    root = words[-1]
    opened.clear(), listed.clear()
    try:
        main(words)
    except SystemExit as stop:
        counted.append([stop.code, max(opened.values()), max(listed.values())])
print(json.dumps(counted), file=sys.stderr)
"""


def test_a_run_is_planned_once_and_reads_each_checkpoint_once(tmp_path, ready_code):
    """Each opening counts twice: a path is opened, and then what was opened is looked at.

    One of them looks for the arguments of a training script, which may be facts.
    """
    zoos = [write_zoo(tmp_path / name, {"hot": [0, 1], "cold": [2, 3]}) for name in "ab"]
    measure = ["measure", "--metrics", "error_rate,predictions,similarity", str(zoos[0])]
    diagnose = ["diagnose", "--stage", "full", str(zoos[1])]
    ran = ready_code(COUNTING, json.dumps([measure, diagnose]))
    assert ran.returncode == 0, ran.stderr
    (measured, opens, walks), of_diagnose = json.loads(ran.stderr.splitlines()[-1])
    assert measured == 0
    assert opens <= 8
    assert walks <= 4
    diagnosed, opens, walks = of_diagnose
    assert diagnosed == 0
    assert opens <= 10
    assert walks <= 2  # once for all six stages
