"""Adapters that PEFT saved are merged here as PEFT merges them, and have the same intruders."""

from __future__ import annotations

import re

import pytest
import torch

from mdtree.checkpoints import list_tensors
from mdtree.runtime import torchvision as vision
from mdtree.spectra import WeightOptions, compare

with vision.usable():
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")

pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT's own advice

GPT = {"target_modules": ["c_attn", "c_proj", "c_fc"], "task_type": "CAUSAL_LM"}
BERT = {"target_modules": ["query", "dense"], "task_type": "SEQ_CLS"}
CASES = {
    "linear": ("bert", BERT),
    "stabilised": ("bert", {**BERT, "use_rslora": True, "r": 3, "lora_alpha": 5}),
    "patterns": (
        "bert",
        {
            **BERT,
            "rank_pattern": {r"layer\.\d.attention.self.query": 3, "query": 4},
            "alpha_pattern": {"attention.self.query": 7, "0.output.dense": 9, "que.*": 1},
        },
    ),
    "biases": ("bert", {**BERT, "bias": "all"}),
    "Conv1D": ("gpt", GPT),
    "embedding": ("gpt", {**GPT, "target_modules": ["wpe", "c_fc"]}),
    "mixed": ("untied", {**GPT, "target_modules": ["c_proj", "lm_head"]}),
    "biases of layers": ("gpt", {**GPT, "bias": "lora_only"}),
}


def network(kind):
    torch.manual_seed(0)
    if kind == "bert":
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        config = transformers.BertConfig(
            **sizes, intermediate_size=20, vocab_size=11, max_position_embeddings=8
        )
        return transformers.BertForSequenceClassification(config)
    config = transformers.GPT2Config(
        n_layer=2,
        n_embd=16,
        n_head=2,
        vocab_size=40,
        n_positions=8,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=kind != "untied",
    )
    return transformers.GPT2LMHeadModel(config)


def adapted(folder, kind, config):
    """Save a base, and an adapter with random numbers on it."""
    network(kind).save_pretrained(folder / "base")
    whole = network(kind)
    model = peft.get_peft_model(whole, peft.LoraConfig(**{"r": 2, **config}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    model.save_pretrained(folder / "lora")
    return model


@pytest.mark.parametrize("name", CASES)
def test_the_merged_weights_are_those_of_peft(tmp_path, name):
    kind, config = CASES[name]
    model = adapted(tmp_path, kind, config)
    ours = list_tensors(
        tmp_path / "lora" / "adapter_model.safetensors",
        base=tmp_path / "base" / "model.safetensors",
    )
    theirs = model.merge_and_unload().state_dict()
    assert len(ours.tensors) > 20
    for stored in ours.tensors:
        torch.testing.assert_close(stored.load(), theirs[stored.name], rtol=1e-5, atol=1e-6)


def test_the_intruders_are_those_of_peft(tmp_path):
    model = adapted(tmp_path, *CASES["Conv1D"])
    said: list[str] = []
    intruders = pytest.importorskip("peft.tuners.lora.intruders")
    intruders.reduce_intruder_dimension(model, logging_sink=said.append)
    theirs = {}
    for line in said:
        layer, _, rest = line.partition(": ")
        count = re.search(r"\d+", rest)
        theirs[layer.removeprefix("base_model.model.") + ".weight"] = int(count[0]) if count else 0
    report = compare(tmp_path / "base", tmp_path / "lora", WeightOptions())
    # the parts of fused attention are compared here one by one
    ours = {u.name: u.intruders for u in report.updates if u.name in theirs}
    assert len(ours) == 6
    assert sum(ours.values()) > 0
    assert ours == {name: theirs[name] for name in ours}


def test_methods_that_change_more_than_a_sum_are_refused(tmp_path):
    from mdtree.exceptions import UnreadableError

    adapted(tmp_path, "bert", {**BERT, "use_dora": True})
    with pytest.raises(UnreadableError, match="merge_and_unload"):
        list_tensors(
            tmp_path / "lora" / "adapter_model.safetensors",
            base=tmp_path / "base" / "model.safetensors",
        )
