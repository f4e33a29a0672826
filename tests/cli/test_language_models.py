"""What a trainer of language models leaves, measured by one command without a recipe."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.support.language import bert, gpt2, masked, ragged, transformers

pa = pytest.importorskip("pyarrow")


def write_data(folder, name, batch):
    np.savez(folder / f"{name}.npz", **{key: tensor.numpy() for key, tensor in batch.items()})
    lines = [
        {key: tensor[n].tolist() for key, tensor in batch.items()}
        for n in range(len(batch["input_ids"]))
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    table = pa.table({key: tensor.tolist() for key, tensor in batch.items()})
    (folder / f"{name}.folder").mkdir(exist_ok=True)
    with pa.ipc.new_stream(folder / f"{name}.folder/data.arrow", table.schema) as stream:
        stream.write_table(table)
    state = {"_data_files": [{"filename": "data.arrow"}]}
    (folder / f"{name}.folder/state.json").write_text(json.dumps(state))


@pytest.fixture
def runs(tmp_path):
    """Write two runs of a causal model, and data without labels."""
    for seed in (0, 1):
        gpt2(seed).save_pretrained(tmp_path / f"out/net/seed-{seed}")
    for name, seed in (("train", 0), ("test", 1)):
        write_data(tmp_path, name, ragged(24, seed))
    return tmp_path


def error_of(folder, batch):
    model = transformers().GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.no_grad():
        output = model(**batch).logits[:, :-1]
    labels, counted = batch["input_ids"][:, 1:], batch["attention_mask"][:, 1:]
    wrong = (output.argmax(-1) != labels) * counted
    return 100 * float((wrong.sum(1) / counted.sum(1)).mean())


@pytest.mark.parametrize("kind", ["npz", "jsonl", "folder"])
def test_runs_of_a_causal_model_need_their_data_only(mdtree, runs, kind):
    data = ("--data", runs / f"train.{kind}", "--data-arg", f"test={runs / f'test.{kind}'}")
    ran = mdtree("measure", runs / "out", *data, "--metrics", "error_rate")
    assert ran.code == 0
    assert "test_perplexity" in ran.out
    row = json.loads((runs / "out/rows.jsonl").read_text().splitlines()[-1])
    error = row["quantities"]["test_error"]
    expected = [error_of(runs / f"out/net/seed-{seed}", ragged(24, 1)) for seed in (0, 1)]
    assert error["members"] == pytest.approx(expected)


@pytest.mark.usefixtures("short_curves")
def test_a_causal_model_is_diagnosed_without_any_further_option(mdtree, runs):
    data = ("--data", runs / "train.npz", "--data-arg", f"test={runs / 'test.npz'}")
    ran = mdtree("diagnose", runs / "out", *data)
    assert "verdict" in ran.out
    assert "not class numbers" not in ran.out


@pytest.mark.usefixtures("short_curves")
def test_a_masked_model_needs_labels(mdtree, tmp_path):
    for seed in (0, 1):
        bert(seed=seed).save_pretrained(tmp_path / f"out/net/seed-{seed}")
    write_data(tmp_path, "train", masked(24))
    ran = mdtree(
        "measure", tmp_path / "out", "--data", tmp_path / "train.npz", "--metrics", "error_rate"
    )
    assert ran.code == 0
    assert "train_perplexity" in ran.out
    write_data(tmp_path, "train", ragged(24))
    ran = mdtree("measure", tmp_path / "out", "--data", tmp_path / "train.npz")
    assert ran.code == 1
    assert "labels are the tokens that the network sees" in " ".join((ran.out + ran.err).split())


def test_ids_of_another_tokenizer_are_told(mdtree, runs):
    batch = ragged(24)
    np.savez(runs / "train.npz", input_ids=batch["input_ids"].numpy() + 1)
    ran = mdtree("measure", runs / "out", "--data", runs / "train.npz")
    assert ran.code == 1
    assert "the network has a vocabulary of 13 tokens" in " ".join((ran.out + ran.err).split())
