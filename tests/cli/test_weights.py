"""`mdtree weights` as users call it."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mdtree.models import cnn
from tests.support.zoos import write_zoo


def trained_like(rows=96, columns=64, seed=0, scale=1.0):
    """A matrix whose spectrum has a heavy tail."""
    torch.manual_seed(seed)
    u, _ = torch.linalg.qr(torch.randn(rows, columns))
    v, _ = torch.linalg.qr(torch.randn(columns, columns))
    values = torch.distributions.Pareto(1.0, 4.0).sample((columns,))
    return scale * (u * values) @ v


@pytest.fixture
def file(tmp_path):
    """A checkpoint of six layers, one random, and things that are no layers."""
    weights = {f"layers.{n}.weight": trained_like(seed=n) for n in (0, 1, 2, 10)}
    weights["layers.3.weight"] = torch.randn(96, 64)
    weights["word_embeddings.weight"] = torch.randn(200, 64)
    weights["layers.0.bias"] = torch.zeros(96)
    weights["packed"] = torch.zeros(8, 8, dtype=torch.int8)
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    return path


def test_every_layer_and_every_tensor_that_is_none_is_told(mdtree, file):
    ran = mdtree("weights", file)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    names = [line.split()[0] for line in lines[2:8]]
    assert names == [
        "word_embeddings.weight",
        *(f"layers.{n}.weight" for n in (0, 1, 2, 3, 10)),
    ]
    assert lines[6].endswith("random-like")
    assert "not analysed: 2 tensors" in ran.out
    assert "layers.0.bias" in ran.out
    assert "int8" in ran.out
    assert "5 layers (embeddings left out)" in ran.out
    assert "Correlation Flow" in ran.out
    assert "convention: the eigenvalues of all slices" in ran.out


def test_json_holds_all_of_it(mdtree, file):
    content = json.loads(mdtree("weights", file, "--json").out)
    (checkpoint,) = content["checkpoints"]
    assert content["format"] == 1
    assert checkpoint["checkpoint"] == "model.safetensors"
    assert len(checkpoint["layers"]) == 6
    assert {skipped["name"] for skipped in checkpoint["skipped"]} == {"layers.0.bias", "packed"}
    alphas = [x["alpha"] for x in checkpoint["layers"] if x["kind"] != "embedding"]
    assert checkpoint["mean"]["alpha"] == pytest.approx(sum(alphas) / 5)
    assert sum(checkpoint["states"].values()) == 5
    assert checkpoint["flow"]["layers"] == 5


def test_embeddings_are_counted_on_request(mdtree, file):
    content = json.loads(mdtree("weights", file, "--json", "--embeddings").out)
    assert sum(content["checkpoints"][0]["states"].values()) == 6


def test_conventions_differ_for_convolutions_and_are_printed(mdtree, tmp_path):
    save_file(cnn(width=16).state_dict(), tmp_path / "cnn.safetensors")
    norms = set()
    for convention, words in {
        "pooled": "of all slices",
        "slices": "by itself",
        "flatten": "as one matrix",
    }.items():
        ran = mdtree("weights", tmp_path / "cnn.safetensors", "--convention", convention)
        assert words in ran.out
        content = json.loads(
            mdtree(
                "weights", tmp_path / "cnn.safetensors", "--convention", convention, "--json"
            ).out
        )
        norms.add(round(content["checkpoints"][0]["mean"]["log_spectral_norm"], 6))
    assert len(norms) == 3
    ran = mdtree("weights", tmp_path / "cnn.safetensors", "--ww-compat")
    assert "as in WeightWatcher" in ran.out


def test_a_directory_gives_a_line_for_each_checkpoint(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1], "b": [2]}, width=8)
    (root / "b" / "broken.safetensors").write_bytes(b"\x08" + b"\0" * 30)
    ran = mdtree("weights", root)
    assert ran.code == 1
    assert [line.split()[0] for line in ran.out.splitlines()[2:5]] == [
        "a/seed-0.safetensors",
        "a/seed-1.safetensors",
        "b/seed-2.safetensors",
    ]
    assert "note: b/broken.safetensors: " in ran.out


def test_a_layer_that_changed_in_size_unlike_the_others(mdtree, tmp_path, file):
    weights = {f"layers.{n}.weight": 1.1 * trained_like(seed=n) for n in (0, 1, 2, 10)}
    weights["layers.2.weight"] *= 0.05
    save_file(weights, tmp_path / "after.safetensors")
    ran = mdtree("weights", file, "--against", tmp_path / "after.safetensors")
    first, second = ran.out.splitlines()[2:4]
    assert first.startswith("layers.2.weight")
    assert first.endswith("SCALE COLLAPSE")
    assert "COLLAPSE" not in second
    assert "1 of 4 layers changed in scale unlike the others" in ran.out
    content = json.loads(
        mdtree("weights", file, "--against", tmp_path / "after.safetensors", "--json").out
    )
    assert [x["name"] for x in content["changes"] if x["collapsed"]] == ["layers.2.weight"]
    assert [x["alpha"] for x in content["changes"]] == pytest.approx([0] * 4, abs=1e-3)


def test_the_same_checkpoint_against_itself_has_not_changed(mdtree, file):
    ran = mdtree("weights", file, "--against", file)
    assert "no scale collapse: the spectrum of no layer changed (6 layers compared)" in ran.out


def test_how_many_layers_changed_is_told_where_none_stands_out(mdtree, tmp_path, file):
    weights = load_file(file)
    weights["layers.2.weight"] *= 1.05
    save_file(weights, tmp_path / "after.safetensors")
    ran = mdtree("weights", file, "--against", tmp_path / "after.safetensors")
    assert "no scale collapse: no layer stands out (1 of 6 layers changed)" in ran.out


def series(tmp_path, lines):
    path = tmp_path / "series.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows(lines)
    return path


def test_a_series_of_checkpoints_is_analysed_and_ranked(mdtree, tmp_path):
    lines = [["model", "family", "accuracy"]]
    for number in range(5):
        weights = {f"{n}.weight": trained_like(seed=n, scale=1.5**number) for n in range(3)}
        save_file(weights, tmp_path / f"m{number}.safetensors")
        lines.append([f"m{number}.safetensors", "toy", 90 - number])
    ran = mdtree("weights", "--series", series(tmp_path, lines))
    assert ran.code == 0
    (norm,) = [line for line in ran.out.splitlines() if line.startswith("log_spectral_norm")]
    assert norm.split() == [
        "log_spectral_norm",
        "toy",
        "5",
        "+1.00",
        "0.017",
        "1.00",
        *norm.split()[6:],
    ]
    assert "fewer than five" not in ran.out


def test_a_series_may_bring_its_own_numbers(mdtree, tmp_path):
    table = series(
        tmp_path,
        [["model", "error", "alpha", "alpha_hat"], ["a", 3, 2.5, 1], ["b", 2, 2.4, 2],
         ["c", 1, 2.2, ""]],
    )  # fmt: skip
    content = json.loads(mdtree("weights", "--series", table, "--json").out)
    rankings = {ranking["number"]: ranking for ranking in content["rankings"]}
    assert rankings["alpha"]["tau"] == pytest.approx(1)
    assert rankings["alpha_hat"]["reason"] == "needs 3 models, found 2"
    text = mdtree("weights", "--series", table).out
    assert "fewer than five models: all" in text


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([], "columns none"),
        ([["name", "error"], ["a", 1]], "columns name, error; it needs model"),
        ([["model", "alpha"], ["a", 1]], "it needs model"),
        ([["model", "error"]], "no lines below its header"),
        ([["model", "error", "alpha"], ["a", "x", 1]], "line 2: error is 'x', not a number"),
        ([["model", "error", "alpha"], ["a", "", 1]], "line 2: has neither error nor accuracy"),
        ([["model", "error"], ["absent.pt", 1]], "absent.pt does not exist"),
    ],
)
def test_a_series_that_is_wrong_is_told(mdtree, tmp_path, lines, fault):
    ran = mdtree("weights", "--series", series(tmp_path, lines))
    assert (ran.code, ran.out) == (2, "")
    assert fault in ran.err


def test_wrong_use_is_told(mdtree, tmp_path, file):
    table = series(tmp_path, [["model", "error"]])
    for args, fault in {
        (): "give either a checkpoint",
        (file, "--series", table): "give either a checkpoint",
        ("--series", table, "--against", file): "use only one",
        (tmp_path / "absent",): "absent does not exist",
        (file, "--convention", "other"): "pooled",
        (file, "--against", tmp_path / "absent"): "absent does not exist",
        (file, "--weights-key", "ema"): "ema",
    }.items():
        ran = mdtree("weights", *args)
        assert ran.code == 2, args
        assert fault in ran.err, args


def test_a_directory_without_weights_or_with_several_where_one_is_compared(mdtree, tmp_path, file):
    (tmp_path / "empty").mkdir()
    assert "holds no weights files" in mdtree("weights", tmp_path / "empty").err
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1]})
    assert "2 checkpoints: name one" in mdtree("weights", root, "--against", file).err


def test_files_that_hold_no_matrix_say_what_they_hold(mdtree, tmp_path):
    save_file({"a.lora_A.weight": torch.ones(4, 8)}, tmp_path / "adapter.safetensors")
    ran = mdtree("weights", tmp_path / "adapter.safetensors")
    assert ran.code == 2
    assert "half of an adapter" in ran.err
    (tmp_path / "empty.safetensors").write_bytes(b"")
    assert mdtree("weights", tmp_path / "empty.safetensors").code == 2
    module = nn.Linear(4, 4)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    ran = mdtree("weights", tmp_path / "optimizer.pt")
    assert ran.code == 2
    assert "optimi" in ran.err


def test_checkpoints_of_other_networks_cannot_be_compared(mdtree, tmp_path, file):
    save_file({"other": torch.randn(9, 9)}, tmp_path / "other.safetensors")
    ran = mdtree("weights", file, "--against", tmp_path / "other.safetensors")
    assert ran.code == 2
    assert "no layers with the same name and size" in ran.err


def test_the_seed_decides_the_traps_and_nothing_else(mdtree, file):
    def scores(seed):
        out = mdtree("weights", file, "--traps", "--json", "--seed", seed).out
        return [x["trap_score"] for x in json.loads(out)["checkpoints"][0]["layers"]]

    assert scores(0) == scores(0)
    assert scores(0) != scores(1)
