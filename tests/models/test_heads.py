from __future__ import annotations

import pytest
from torch import nn

from mdtree.models.heads import head_of
from tests.support.language import bert, gpt2


@pytest.mark.parametrize(
    ("head", "settings", "expected"),
    [
        ("BertForMaskedLM", {}, "tokens"),
        ("BertForTokenClassification", {"num_labels": 3}, "tokens"),
        ("BertLMHeadModel", {"is_decoder": True}, "next token"),
        ("BertForSequenceClassification", {"num_labels": 3}, "class"),
        ("BertForSequenceClassification", {"num_labels": 1}, "regression"),
        ("BertForSequenceClassification", {"problem_type": "regression"}, "regression"),
        (
            "BertForSequenceClassification",
            {"problem_type": "multi_label_classification"},
            "several classes",
        ),
        ("BertModel", {}, None),
        ("BertForQuestionAnswering", {}, None),
    ],
)
def test_the_name_of_a_network_says_what_it_predicts(head, settings, expected):
    assert head_of(bert(head, **settings)) == expected


def test_causal_language_models():
    assert head_of(gpt2()) == "next token"


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("LlamaForCausalLM", {}, "next token"),
        ("PeftModelForCausalLM", {}, "next token"),
        ("T5ForConditionalGeneration", {"is_encoder_decoder": True}, "tokens"),
        ("BartForCausalLM", {"is_encoder_decoder": True}, "tokens"),
        ("XLNetLMHeadModel", {}, "tokens"),
        ("ViTForImageClassification", {"num_labels": 10}, "class"),
        ("ForCausalLMs", {}, None),
    ],
)
def test_names_of_other_families(name, config, expected):
    kind = type(name, (nn.Module,), {})
    module = kind()
    module.config = type("Config", (), config)()
    assert head_of(module) == expected


def test_a_module_without_a_config_says_nothing():
    assert head_of(type("GPTForCausalLM", (nn.Module,), {})()) is None
