"""Diagnosis measures as precisely as the verdict needs, and `measure` to the tolerances."""

from __future__ import annotations

import functools
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.diagnosis import Diagnoser, to_plain_data
from mdtree.executors import ExecutorConfig
from mdtree.measurement import dry_run, measure
from mdtree.measurement.group import measure_or_fail
from mdtree.render.terminal_verdict import verdict_text
from mdtree.rows import coarse_metrics
from tests.support.inquiries import inquiry_of
from tests.support.trees import HIGH, LOW, leaf_of_ten, small_tree, split
from tests.support.zoos import GROUPS, lines_of, rows_of, write_zoo

FEATURES = ("log_hessian_trace",)
BOTH = ("hessian_top", "hessian_trace")


def by_trace(threshold):
    return split("log_hessian_trace", threshold, leaf_of_ten(LOW), leaf_of_ten(HIGH))


FAR = by_trace(50.0)  # out of reach of any trace


def diagnose(folder, tree=FAR, **changes):
    """Diagnose: the stages, the diagnoser, and the rows that are judged."""
    stages = []
    usual = {"full": True, "announce": stages.append}
    found = inquiry_of(folder, tree, FEATURES, **{**usual, **changes}).run()
    return stages, found.diagnoser, found.rows


def names_of(stages):
    return [(stage.metric, stage.again) for stage in stages]


@functools.cache
def full_rows():
    """Measure the networks of `zoo` once as `measure` does: their rows."""
    with tempfile.TemporaryDirectory() as folder:
        zoo = write_zoo(Path(folder) / "zoo", GROUPS)
        request = replace(inquiry_of(zoo, FAR, FEATURES).request, metrics=("error_rate", "hessian"))
        measure(request, out=zoo / "full.jsonl")
        return rows_of(zoo / "full.jsonl")


def test_a_verdict_stops_the_hessian_and_the_row_says_so(zoo):
    _, diagnoser, rows = diagnose(zoo)
    full = full_rows()
    for row in rows:
        provenance = row.provenance
        assert provenance.stopped == dict.fromkeys(BOTH, "verdict")
        assert set(provenance.reach) == set(BOTH)
        assert provenance.passes < full[row.group].provenance.passes
        assert diagnoser(row).coarse == BOTH
        assert diagnoser(row).mode == diagnoser(full[row.group]).mode == LOW
    assert full["hot"].provenance.reach is None
    assert set(full["hot"].provenance.stopped.values()) <= {"tolerance", "budget"}


def test_measuring_is_not_content_with_less_than_the_tolerance(zoo):
    _, _, rows = diagnose(zoo)
    request = replace(inquiry_of(zoo, FAR, FEATURES).request, metrics=("error_rate", "hessian"))
    out = zoo / "rows.jsonl"
    planned = dry_run(request, out=out).planned
    assert [(each.state, each.task.metrics) for each in planned] == [
        ("more metrics", ("hessian",))
    ] * 2

    measure(request, out=out)

    full = full_rows()
    for group, row in rows_of(out).items():
        assert row.quantities == full[group].quantities
        assert row.provenance.metrics == ("error_rate", "hessian")
        assert row.provenance.stopped == full[group].provenance.stopped
        assert coarse_metrics(row) == ()
    assert [each.state for each in dry_run(request, out=out).planned] == ["measured"] * 2
    assert coarse_metrics(rows[0]) == ("hessian",)


def test_a_second_diagnosis_is_content_with_what_the_first_left(zoo):
    first = diagnose(zoo)
    before = (zoo / "rows.jsonl").read_bytes()
    stages, _, rows = diagnose(zoo)
    assert (stages, rows) == ([], first[2])
    assert (zoo / "rows.jsonl").read_bytes() == before


def test_another_tree_may_need_more(zoo):
    """Its threshold is within reach of what the first tree left."""
    _, _, rows = diagnose(zoo)
    reach = rows[0].provenance.reach["hessian_trace"]
    assert reach[0] != reach[1]
    value = rows[0].quantities["hessian_trace"].value
    assert value > 0
    stages, _, again = diagnose(zoo, by_trace(math.log(value)))
    assert ("hessian", True) in names_of(stages)
    trace, full = (
        each.quantities["hessian_trace"] for each in (again[0], full_rows()[again[0].group])
    )
    assert trace.iterations > rows[0].quantities["hessian_trace"].iterations
    low, high = again[0].provenance.reach["hessian_trace"] if coarse_metrics(again[0]) else (0, 1e9)
    assert low <= full.value <= high


def diagnose_by_two_trees(folder, **changes):
    """Diagnose by a tree that needs little of the Hessian, then by one that needs all: the rows."""
    seen = []

    def choose(rows):
        known = rows[0].quantities.get("hessian_trace")
        if known is not None and not seen:
            seen.append(rows[0])
        threshold = math.log(known.value) if seen and known is not None else 50.0
        return Diagnoser(small_tree(by_trace(threshold), FEATURES), name="t")

    inquiry = inquiry_of(folder, FAR, FEATURES, full=True, **changes)
    rows = replace(inquiry, choose_diagnoser=choose).run().rows
    return seen[0], rows[0]


@pytest.mark.usefixtures("ready_workers")
@pytest.mark.parametrize("workers", [1, 2])
def test_within_one_diagnosis_the_hessian_goes_on_where_it_stopped(tmp_path, monkeypatch, workers):
    zoo = write_zoo(tmp_path / "zoo", {"hot": GROUPS["hot"]})  # a process is started for each group
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    few, many = diagnose_by_two_trees(zoo, executor=ExecutorConfig(workers=workers))
    full = full_rows()[many.group]
    assert few.provenance.passes < 0.3 * full.provenance.passes
    assert few.provenance.passes < many.provenance.passes
    # each part differentiates once more, which takes less than two of a hundred products
    assert many.provenance.passes <= 1.1 * full.provenance.passes
    trace = many.quantities["hessian_trace"]
    assert trace.iterations > few.quantities["hessian_trace"].iterations
    assert list(temporary.iterdir()) == []


def test_full_precision_is_what_it_says(zoo):
    stages, diagnoser, rows = diagnose(zoo, full_precision=True)
    full = full_rows()
    assert names_of(stages) == [("error_rate", False), ("hessian", False)]
    assert [row.quantities for row in rows] == [full[row.group].quantities for row in rows]
    assert diagnoser(rows[0]).coarse == ()


def test_full_precision_refines_what_is_coarse(zoo):
    diagnose(zoo)
    stages, _, rows = diagnose(zoo, full_precision=True)
    assert names_of(stages) == [("hessian", True)]
    assert [coarse_metrics(row) for row in rows] == [(), ()]


@pytest.mark.usefixtures("ready_workers")
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_ask_the_same_judge(tmp_path, workers):
    zoo = write_zoo(tmp_path / "zoo", {"hot": GROUPS["hot"]})  # a process is started for each group
    diagnose(zoo)
    alone = sorted(lines_of(zoo / "rows.jsonl"), key=lambda line: line["group"])
    (zoo / "rows.jsonl").unlink()
    diagnose(zoo, executor=ExecutorConfig(workers=workers))
    together = sorted(lines_of(zoo / "rows.jsonl"), key=lambda line: line["group"])
    for mine, theirs in zip(alone, together, strict=True):
        assert mine["provenance"]["stopped"] == theirs["provenance"]["stopped"]
        assert mine["quantities"].keys() == theirs["quantities"].keys()


def test_an_interrupted_diagnosis_goes_on(zoo):
    def stop(stage):
        if stage.metric == "hessian":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diagnose(zoo, announce=stop)
    stages, _, rows = diagnose(zoo)
    assert names_of(stages) == [("hessian", False)]
    assert [coarse_metrics(row) for row in rows] == [("hessian",)] * 2


def test_refining_that_fails_loses_nothing(zoo):
    _, _, before = diagnose(zoo)
    hot = zoo / "hot" / "seed-0.safetensors"
    whole = hot.read_bytes()
    request = replace(inquiry_of(zoo, FAR, FEATURES).request, metrics=("hessian",))
    known = {row.group: row for row in before}
    planned = {each.task.group: each for each in dry_run(request, out=zoo / "rows.jsonl").planned}
    hot.write_bytes(b"broken")
    row = measure_or_fail(planned["hot"].task).row

    assert row.failure is not None
    assert row.quantities == known["hot"].quantities
    assert coarse_metrics(row) == ("hessian",)
    hot.write_bytes(whole)


def test_the_verdict_names_what_is_less_precise(zoo):
    _, diagnoser, rows = diagnose(zoo)
    text = verdict_text(diagnoser(rows[0]))
    assert "as precise as the verdict needs: hessian top, hessian trace (--full-precision" in text
    assert to_plain_data(diagnoser(rows[0]))["coarse"] == list(BOTH)
    assert "coarse" not in to_plain_data(diagnoser(full_rows()[rows[0].group]))


def test_a_verdict_stops_the_curve_and_measuring_trains_it_to_its_end(zoo):
    """No curve comes near the threshold, so that the straight line is enough."""
    names = ("connectivity", "connectivity_peak", "barrier", "barrier_loss")
    tree = split("connectivity", 500.0, leaf_of_ten(LOW), leaf_of_ten(HIGH))
    inquiry = inquiry_of(zoo, tree, names[:1], full=True)
    found = inquiry.run()
    coarse = found.rows[0]
    assert coarse.provenance.stopped == dict.fromkeys(names, "verdict")
    assert found.diagnoser(coarse).coarse == names
    assert coarse.quantities["barrier"].iterations == 0

    request = replace(inquiry.request, metrics=("error_rate", "connectivity"))
    measure(request, out=zoo / "rows.jsonl")

    whole = rows_of(zoo / "rows.jsonl")[coarse.group]
    assert coarse_metrics(whole) == ()
    assert whole.quantities["barrier"].iterations > 0
    for name, reach in coarse.provenance.reach.items():
        low, high = sorted(reach)
        assert low <= whole.quantities[name].value <= high
