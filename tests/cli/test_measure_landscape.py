"""`mdtree measure` with all metrics, and the flags that belong to them."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from safetensors.torch import load_file, save_file

from mdtree.cli import main
from mdtree.datasets import load_data
from mdtree.losses import build_loss
from mdtree.metrics import METRICS
from mdtree.models import cnn
from mdtree.recipes import Digits, LossSpec, Trust
from mdtree.rows import QUANTITIES, Measured, Missing
from mdtree.training.loop import Training, train
from tests.support.zoos import change_recipe, rows_of, write_zoo

USUAL = [name for name, metric in METRICS.items() if not metric.on_request]
TRAINING = {"learning_rate": 0.05, "batch_size": 16}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Write a pair and a single network, trained on the 50 items of their recipe."""
    root = write_zoo(tmp_path_factory.mktemp("all") / "zoo", {"pair": [0, 1], "single": [2]})
    items = load_data(Digits(amount=50), None, trust=Trust()).train
    how = Training(batch_size=10, learning_rate=0.05, epochs=10)
    for path in sorted(root.glob("*/*.safetensors")):
        module = cnn(width=2)
        module.load_state_dict(load_file(path))
        save_file(train(module, items, build_loss(LossSpec(), Trust()), how), path)
    return root


@pytest.fixture(scope="module")
def printed(measured):
    """What the command that did it has printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as stop:
        main(["measure", str(measured)])
    assert not stop.value.code
    return out.getvalue()


def quantities_of(*metrics):
    return {name for metric in metrics for name in METRICS[metric].quantities}


def test_all_usual_metrics_are_measured_and_shown(printed, measured):
    rows = rows_of(measured / "rows.jsonl")
    assert set(rows) == {"pair", "single"}
    for row in rows.values():
        assert row.provenance.metrics == tuple(USUAL)
        assert set(row.quantities) == quantities_of(*USUAL)
        assert row.provenance.passes > 0
    for heading in ("hessian_top", "connectivity", "cka"):
        assert heading in printed
    assert rows["pair"].details["curve"].columns["pair"][0].startswith("seed-0")


@pytest.mark.usefixtures("printed")
def test_a_pair_has_all_its_quantities(measured):
    row = rows_of(measured / "rows.jsonl")["pair"]
    for name in ("hessian_trace", "connectivity", "barrier", "linear_barrier", "cka", "agreement"):
        assert isinstance(row.quantities[name], Measured), name
        assert row.quantities[name].value == row.quantities[name].value


def test_one_checkpoint_has_a_hessian_and_says_what_pairs_need(printed, measured):
    row = rows_of(measured / "rows.jsonl")["single"]
    assert isinstance(row.quantities["hessian_trace"], Measured)
    for name in quantities_of("connectivity", "similarity"):
        assert row.quantities[name] == Missing(missing="needs 2 checkpoints, found 1")
    assert "needs 2 checkpoints, found 1" in printed


@pytest.mark.usefixtures("printed")
def test_the_cost_told_before_is_within_a_factor_of_two_of_what_is_used(mdtree, measured):
    rows = rows_of(measured / "rows.jsonl")
    plan = json.loads(mdtree("measure", measured, "--out", measured / "x.jsonl", "--dry-run",
                             "--json").out)  # fmt: skip
    for group in plan["groups"]:
        used = rows[group["group"]].provenance.passes
        assert used / 2 <= group["forward_passes"] <= 2 * used, (group, used)
    assert not (measured / "x.jsonl").exists()


def test_fork_is_added_to_a_row_that_has_the_rest(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0]})
    change_recipe(root, training=TRAINING)
    assert mdtree("measure", root, "--metrics", "error_rate").code == 0
    ran = mdtree("measure", root, "--metrics", "error_rate", "--fork")
    row = rows_of(root / "rows.jsonl")["a"]
    assert (ran.code, ran.err) == (0, "")
    assert row.provenance.metrics == ("error_rate", "fork")
    assert isinstance(row.quantities["fork_barrier"], Measured)
    assert isinstance(row.quantities["fork_cka"], Measured)
    assert "fork_barrier" in ran.out


def test_fork_without_a_training_recipe_says_what_to_add(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0]})
    ran = mdtree("measure", root, "--metrics", "fork")
    missing = rows_of(root / "rows.jsonl")["a"].quantities["fork_barrier"]
    assert ran.code == 0
    assert "`training` in the recipe" in missing.missing
    assert "`training` in the recipe" in " ".join(ran.out.split())


def test_another_training_recipe_measures_the_fork_again(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0]})
    args = ("measure", root, "--metrics", "fork", "--json")
    change_recipe(root, training=TRAINING)
    assert json.loads(mdtree(*args).out)["measured"] == 1
    assert json.loads(mdtree(*args).out)["measured"] == 0
    change_recipe(root, training={**TRAINING, "learning_rate": 0.1})
    assert json.loads(mdtree(*args).out)["measured"] == 1


@pytest.mark.parametrize(
    ("training", "fault"),
    [({"learning_rate": 0.1}, "batch_size"), ({**TRAINING, "epochs": "many"}, "training.epochs")],
)
def test_a_training_recipe_that_is_wrong_is_told(mdtree, tmp_path, training, fault):
    root = write_zoo(tmp_path / "zoo", {"a": [0]})
    change_recipe(root, training=training)
    ran = mdtree("measure", root, "--fork")
    assert ran.code == 2
    assert fault in ran.err


def test_layers_are_compared_on_request(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1]})
    ran = mdtree("measure", root, "--metrics", "error_rate", "--layers")
    row = rows_of(root / "rows.jsonl")["a"]
    assert ran.code == 0
    assert row.provenance.metrics == ("error_rate", "layers")
    assert set(row.details) == {"layers"}
    columns = row.details["layers"].columns
    assert len({len(column) for column in columns.values()}) == 1


def test_double_precision_gives_other_digits_of_the_same_number(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1]})
    values = []
    for dtype in ("float32", "float64"):
        out = root / f"{dtype}.jsonl"
        args = ("--metrics", "similarity", "--dtype", dtype, "--out", out)
        assert mdtree("measure", root, *args).code == 0
        values.append(rows_of(out)["a"].quantities["cka"].value)
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], abs=1e-4)


def test_a_row_of_another_precision_is_measured_again(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0]})
    args = ("measure", root, "--metrics", "error_rate", "--json")
    assert json.loads(mdtree(*args).out)["measured"] == 1
    assert json.loads(mdtree(*args, "--dtype", "float64").out)["measured"] == 1
    assert json.loads(mdtree(*args, "--dtype", "float64").out)["measured"] == 0


def test_a_precision_that_there_is_not(mdtree, zoo):
    ran = mdtree("measure", zoo, "--dtype", "float16")
    assert ran.code == 2
    assert "float32" in ran.err


def test_every_quantity_of_the_vocabulary_that_has_a_metric_is_measured_by_it():
    for metric in METRICS.values():
        for name in metric.quantities:
            assert QUANTITIES[name].metric == metric.name
