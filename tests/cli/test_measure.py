"""`mdtree measure` as users call it, with the real thing behind it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from mdtree.datasets import load_data
from mdtree.models import cnn
from mdtree.recipes import Digits, Trust
from mdtree.rows import Missing, Store
from tests.support.zoos import change_recipe, rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("error_rates_only")

# 50 training and 597 test items for each of four networks
PASSES = 4 * (50 + 597)


def untouched(folder):
    return not [path for path in folder.iterdir() if "rows" in path.name]


def test_every_group_becomes_a_row_with_the_right_numbers(mdtree, zoo):
    ran = mdtree("measure", zoo)

    assert (ran.code, ran.err) == (0, "")
    assert "2 measured, 0 already there, 0 failed" in ran.out
    rows = rows_of(zoo / "rows.jsonl")
    assert {"hot", "cold"} == rows.keys()
    x, y = load_data(Digits(), zoo, trust=Trust()).test.all
    for group, row in rows.items():
        errors = []
        for file in sorted((zoo / group).iterdir()):
            model = cnn(width=2).eval()
            model.load_state_dict(load_file(file))
            errors.append(100 * float((model(x).argmax(1) != y).double().mean()))
        assert tuple(errors) == row.quantities["test_error"].members
        assert f"{np.mean(errors):.1f}"[:3] in ran.out
        assert row.facts["data_amount"] == 50
        assert sum(p.numel() for p in model.parameters()) == row.facts["parameters"]


def test_json_is_json_and_nothing_else(mdtree, zoo):
    ran = mdtree("measure", zoo, "--json")
    content = json.loads(ran.out)

    assert (ran.code, ran.err) == (0, "")
    assert tuple(content[k] for k in ("measured", "already", "failed", "damaged")) == (2, 0, [], [])
    lines = (zoo / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == content["rows"]


def test_fewer_metrics_with_other_settings_take_nothing_of_what_was_measured(mdtree, zoo):
    assert mdtree("measure", zoo, "--metrics", "error_rate,similarity").code == 0
    before = (zoo / "rows.jsonl").read_text().splitlines()
    ran = mdtree("measure", zoo, "--metrics", "error_rate", "--seed", 1)
    assert ran.code == 0
    assert "2 groups measured before with other settings: the earlier rows also stay in" in ran.err
    lines = (zoo / "rows.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert set(before) < set(lines)
    assert {row.provenance.seed for row in rows_of(zoo / "rows.jsonl").values()} == {1}


def test_metrics_that_are_named_one_by_one_add_up(mdtree, zoo):
    named = ("--metrics", "error_rate", "--metrics", "similarity,error_rate")
    ran = mdtree("measure", zoo, *named, "--layers", "--dry-run", "--json")
    asked = [group["metrics"] for group in json.loads(ran.out)["groups"]]
    assert asked == [["error_rate", "similarity", "layers"]] * 2


def test_a_dry_run_writes_nothing_and_counts_the_forward_passes(mdtree, zoo):
    ran = mdtree("measure", zoo, "--dry-run")
    assert ran.code == 0
    assert "new" in ran.out
    assert f"2 groups, {PASSES:,} forward passes" in ran.out

    content = json.loads(mdtree("measure", zoo, "--dry-run", "--json").out)
    assert content["total"]["forward_passes"] == PASSES
    assert content["total"]["seconds"] > 0
    assert [group["group"] for group in content["groups"]] == ["cold", "hot"]
    assert content["groups"][0]["checkpoints"] == ["seed-2.safetensors", "seed-3.safetensors"]
    assert untouched(zoo)

    mdtree("measure", zoo)
    content = json.loads(mdtree("measure", zoo, "--dry-run", "--json").out)
    assert {"measured"} == {group["state"] for group in content["groups"]}
    assert content["total"] == {"forward_passes": 0, "seconds": 0}


def test_without_a_recipe_the_command_line_can_say_it(mdtree, tmp_path):
    write_zoo(tmp_path, {"seeds": [0, 1]})
    rng = np.random.default_rng(0)
    for name, count in (("train.npz", 7), ("test.npz", 5)):
        x, y = rng.random((count, 1, 8, 8)), rng.integers(0, 10, count)
        np.savez(tmp_path / name, x=x, y=y)
    words = ["--model", "cnn", "--model-arg", "width=2", "--data", tmp_path / "train.npz"]
    out = ["--out", tmp_path / "rows.jsonl"]

    assert mdtree("measure", tmp_path / "seeds", *words, *out, "--fact", "epochs=3").code == 0
    row = rows_of(tmp_path / "rows.jsonl")["seeds"]
    assert (row.facts["data_amount"], row.facts["epochs"]) == (7, 3)
    assert Missing(missing="the recipe has no test data") == row.quantities["test_error"]

    more = ["--data-arg", f"test={tmp_path / 'test.npz'}", "--batch-size", 3, "--loss", "mse"]
    ran = mdtree("measure", tmp_path / "seeds", *words, *out, *more)
    assert ran.code == 1  # a mean squared error of ten outputs and one class number
    assert "the loss fails on the output float32[3, 10]" in ran.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--model", "cnn", "--recipe", "r.yaml"],
            "--recipe and --model both describe the network",
        ),
        (["--model-arg", "width=2"], "--model-arg: needs --model"),
        (["--data", "digits", "--loss", "mse"], "--data, --loss: needs --model"),
        (
            ["--model", "cnn", "--data", "digits", "--model-arg", "width"],
            "expected key=value, got 'width'",
        ),
        (["--model", "cnn", "--data", "digits", "--model-arg", "widht=2"], "did you mean 'width'"),
        (["--model", "cnn"], "--model needs --data"),
        (["--model", "cn", "--data", "digits"], "model 'cn' is unknown, did you mean 'cnn'"),
        (["--model", "cnn", "--data", "digts"], "did you mean 'digits'"),
        (["--metrics", "error_rat"], "'error_rat' is unknown, did you mean 'error_rate'"),
        (["--protocol", "standart-1"], "standard-1"),
        (["--device", "gpu"], "device 'gpu' cannot be used"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used"),
        (["--workers", "0"], "0 is not in the range"),
        (["--batch-size", "no"], "'no' is not a valid integer"),
        (["--fact", "widht=3"], "fact 'widht' is unknown, did you mean 'width'"),
        (["--fact", "width=wide"], "fact 'width' must be a number"),
        (["--recipe", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--recepi", "r.yaml"], "--recipe"),
    ],
)
def test_wrong_use_is_exit_code_2_with_advice(mdtree, zoo, args, words):
    ran = mdtree("measure", zoo, *args)

    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("name", "recipe", "words"),
    [
        ("nowhere", None, "nowhere does not exist"),
        ("empty", None, "has no mdtree.yaml"),
        ("empty", "model: cnn", "holds no weights files"),
        ("empty", "model: cnn\ngroups: [{name: a, files: [x/*.pt]}]", "no file matches 'x/*.pt'"),
    ],
)
def test_a_directory_without_anything_to_measure_is_told_and_left_alone(
    mdtree, tmp_path, name, recipe, words
):
    (tmp_path / "empty").mkdir()
    if recipe:
        (tmp_path / "empty" / "mdtree.yaml").write_text(recipe)

    ran = mdtree("measure", tmp_path / name)

    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert untouched(tmp_path / "empty")


def test_a_file_of_measurements_may_be_asked_to_lie_anywhere(mdtree, zoo, tmp_path):
    out = tmp_path / "new" / "folder" / "r.jsonl"
    assert mdtree("measure", zoo, "--out", out).code == 0
    assert {"hot", "cold"} == rows_of(out).keys()
    assert untouched(zoo)


def test_what_cannot_be_written_is_exit_code_5(mdtree, zoo):
    ran = mdtree("measure", zoo, "--out", zoo / "mdtree.yaml" / "rows.jsonl")
    assert ran.code == 5
    assert "cannot be written" in ran.err
    assert "--out" in ran.err


@pytest.mark.parametrize(("command", "option"), [("measure", "--out"), ("diagnose", "--rows")])
def test_packed_rows_are_refused_before_anything_is_measured(mdtree, zoo, command, option):
    ran = mdtree(command, zoo, option, zoo / "x.jsonl.gz")
    assert (ran.code, ran.out) == (5, "")
    said = " ".join(ran.err.split())
    assert said.startswith("error: ")
    assert "rows are written plain: name a file that does not end in .gz, such as" in said
    assert said.endswith("x.jsonl")
    assert "measuring" not in said


def test_what_another_process_writes_is_exit_code_4(mdtree, zoo):
    with Store(zoo / "rows.jsonl"):
        ran = mdtree("measure", zoo)
    assert ran.code == 4
    assert "is being written by another mdtree" in ran.err
    assert mdtree("measure", zoo).code == 0


def test_a_run_shows_the_rows_of_its_own_protocol(mdtree, zoo):
    mdtree("measure", zoo, "--protocol", "paper-1")
    content = json.loads(mdtree("measure", zoo, "--json").out)

    assert [row["protocol"] for row in content["rows"]] == ["standard-1"] * 2
    assert len((zoo / "rows.jsonl").read_text().splitlines()) == 4
    assert "paper-1" in mdtree("rows", "show", zoo / "rows.jsonl").out


def test_a_recipe_beside_the_weights_runs_nothing_of_its_own(mdtree, zoo):
    mark = zoo / "mark"
    change_recipe(zoo, model={"factory": "os:system", "kwargs": {"command": f"touch {mark}"}})

    ran = mdtree("measure", zoo)

    assert ran.code == 2
    assert "'os:system'" in ran.err
    assert "--trust" in ran.err
    assert not mark.exists()

    ran = mdtree("measure", zoo, "--recipe", zoo / "mdtree.yaml")  # the user's own word
    assert ran.code == 2
    assert "must return a torch.nn.Module, got a int" in ran.err
    assert mark.exists()


def test_trust_admits_a_module_of_the_current_folder_and_two_workers_measure_what_one_does(
    mdtree, zoo, tmp_path, monkeypatch
):
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "from mdtree.models import cnn\ndef net(width): return cnn(width=width)\n"
    )
    monkeypatch.chdir(tmp_path)
    change_recipe(zoo, model={"factory": f"{name}:net", "kwargs": {"width": 2}})

    ran = mdtree("measure", zoo)
    assert ran.code == 2
    assert f"--trust {name}" in ran.err
    assert name not in sys.modules

    trusted = ("measure", zoo, "--trust", name, "--out")
    assert mdtree(*trusted, "one.jsonl").code == 0
    assert mdtree(*trusted, "two.jsonl", "--workers", 2).code == 0
    one, two = rows_of(tmp_path / "one.jsonl"), rows_of(tmp_path / "two.jsonl")
    assert one.keys() == two.keys() == {"hot", "cold"}
    for group, row in one.items():
        assert row.provenance.weights == two[group].provenance.weights
        for quantity, value in row.quantities.items():
            others = two[group].quantities[quantity].members
            assert value.members == pytest.approx(others, abs=1e-6)
