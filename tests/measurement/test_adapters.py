"""Adapters are measured like the models that they make of their base."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

import mdtree
from mdtree.checkpoints import file_digest, list_tensors
from mdtree.runtime import torchvision as vision
from tests.support.adapters import halves, write_adapter

QUERY = "bert.encoder.layer.0.attention.self.query"
SIZE = 8


@pytest.fixture
def base(tmp_path):
    """A tiny BERT without a head, as pretraining leaves it."""
    with vision.usable():
        transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=SIZE,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def data(tmp_path):
    torch.manual_seed(0)
    ids = torch.randint(11, (30, 5))
    torch.save({"input_ids": ids, "labels": ids[:, 0] % 3}, tmp_path / "data.pt")
    return tmp_path / "data.pt"


def seed(folder, number, **config):
    """An adapter for three classes."""
    torch.manual_seed(number)
    tensors = {
        **halves(QUERY, SIZE, 2, SIZE, seed=number),
        "classifier.weight": torch.randn(3, SIZE),
        "classifier.bias": torch.randn(3),
    }
    settings = {"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"], **config}
    return write_adapter(folder / f"seed-{number}", tensors, **settings)


def recipe(data, **kwargs):
    from mdtree.recipes import Recipe

    return Recipe.model_validate(
        {
            "model": {"factory": "huggingface", "kwargs": kwargs},
            "data": {"source": "tensors", "train": str(data)},
        }
    )


def measured(folder, data, **kwargs):
    rows = mdtree.measure(
        folder, recipe=recipe(data, **kwargs), metrics=["error_rate"], device="cpu"
    )
    (row,) = rows
    return row


def test_an_adapter_is_measured_as_its_merged_model(tmp_path, base, data):
    for number in (0, 1):
        path = seed(tmp_path / "runs" / "lora", number, base_model_name_or_path=str(base))
        # the same, merged beforehand and saved with its own head
        weights = list_tensors(path, base=base / "model.safetensors").tensors
        with vision.usable():
            import transformers
        config = transformers.BertConfig.from_pretrained(base, num_labels=3)
        whole = transformers.BertForSequenceClassification(config)
        whole.load_state_dict({each.name: each.load() for each in weights})
        whole.save_pretrained(tmp_path / "whole" / "merged" / f"seed-{number}")
    row, other = measured(tmp_path / "runs", data), measured(tmp_path / "whole", data)
    assert row.failure is None
    assert row.group == "lora"
    ours, theirs = (r.quantities["train_loss"].members for r in (row, other))
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert row.facts["parameters"] == other.facts["parameters"]
    assert any("the adapter is merged into" in note for note in row.provenance.notes)


def test_the_user_may_name_the_base(tmp_path, base, data, monkeypatch):
    seed(tmp_path / "runs" / "lora", 0, base_model_name_or_path="bert-base-uncased")
    row = measured(tmp_path / "runs", data)
    assert "changes the model 'bert-base-uncased', which is not here" in row.failure.reason
    monkeypatch.chdir(tmp_path)  # a recipe in memory begins here
    assert measured(tmp_path / "runs", data, base="base").failure is None


def test_another_base_is_measured_anew(tmp_path, base, data):
    seed(tmp_path / "runs" / "lora", 0, base_model_name_or_path=str(base))
    first = measured(tmp_path / "runs", data)
    assert measured(tmp_path / "runs", data) == first
    weights = load_file(base / "model.safetensors")
    save_file({n: t * 1.5 for n, t in weights.items()}, base / "model.safetensors")
    assert measured(tmp_path / "runs", data).quantities != first.quantities


def test_an_adapter_for_another_base_fails_with_the_reason(tmp_path, base, data):
    write_adapter(
        tmp_path / "runs" / "lora",
        halves("transformer.h.0.attn.c_attn", 24, 2, 8),
        base_model_name_or_path=str(base),
    )
    reason = measured(tmp_path / "runs", data).failure.reason
    assert "is an adapter for another base" in reason
    assert "the base has no transformer.h.0.attn.c_attn.weight" in reason


def test_the_last_checkpoint_of_a_run_is_measured(tmp_path, base, data):
    for step in (5, 10):
        path = seed(tmp_path, step, base_model_name_or_path=str(base))
        path.parent.rename(tmp_path / f"checkpoint-{step}")
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / f"checkpoint-{step}").rename(tmp_path / "run" / f"checkpoint-{step}")
    row = measured(tmp_path / "run", data)
    (weights,) = row.provenance.weights.values()
    assert weights == file_digest(tmp_path / "run" / "checkpoint-10" / "adapter_model.safetensors")
    assert "last of 2 checkpoints that one run saved" in row.provenance.notes


def test_files_alone_give_a_first_answer_where_the_base_is_in_the_directory(
    mdtree, tmp_path, base, data
):
    seed(tmp_path / "lora", 0, base_model_name_or_path=str(base))
    ran = mdtree("diagnose", tmp_path / "lora")
    assert "is outside" in ran.err
    assert "name it yourself" in ran.err
    data.unlink()
    ran = mdtree("diagnose", tmp_path, "--group", "lora")
    assert "group: lora" in ran.out


def test_shared_weights_are_told(tmp_path, data):
    with vision.usable():
        transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=1, n_embd=8, n_head=2, vocab_size=11, n_positions=8, bos_token_id=0, eos_token_id=0
    )
    from mdtree.checkpoints import load_checkpoint

    network = transformers.GPT2LMHeadModel(config)
    network.save_pretrained(tmp_path / "gpt")
    path = write_adapter(
        tmp_path / "lora",
        {
            "transformer.wte.lora_embedding_A": torch.randn(2, 11),
            "transformer.wte.lora_embedding_B": torch.randn(8, 2),
        },
    )
    loaded = load_checkpoint(path, network, name="lora", base=tmp_path / "gpt")
    assert any("is also lm_head.weight: the adapter changes both" in n for n in loaded.notes)
