from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn, tensor

from mdtree.exceptions import RecipeError, UntrustedError
from mdtree.losses import LOSSES, build_loss, head_of
from mdtree.recipes import LossSpec, Trust
from tests.support.language import bert, gpt2

OWN = Trust(any_factory=True)


def weighted(power: float = 1.0):
    """A loss factory as a user writes it."""
    return lambda output, batch: output.abs().pow(power).sum(1)


def not_a_loss():
    return 3


def loss(factory, trust=OWN, **kwargs):
    return build_loss(LossSpec(factory=factory, kwargs=kwargs), trust)


def test_cross_entropy_is_minus_the_log_of_the_softmax_at_the_label():
    output, labels = tensor([[0.0, math.log(3)], [math.log(4), 0.0]]), tensor([1, 1])

    each = loss("cross_entropy")(output, (torch.zeros(2, 5), labels))

    assert each.shape == (2,)
    assert [-math.log(3 / 4), -math.log(1 / 5)] == pytest.approx(each.tolist())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_agrees_with_torch(smoothing):
    output, labels = torch.randn(7, 5), torch.randint(0, 5, (7,))
    rival = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)

    each = loss("cross_entropy", label_smoothing=smoothing)(output, {"labels": labels})

    torch.testing.assert_close(rival(output, labels), each.mean())


def test_binary_cross_entropy_agrees_with_torch():
    output, present = torch.randn(7, 5), torch.randint(0, 2, (7, 5))
    rival = torch.nn.BCEWithLogitsLoss()

    each = loss("binary_cross_entropy")(output, {"labels": present})

    assert each.shape == (7,)
    torch.testing.assert_close(rival(output, present.float()), each.mean())


def test_mse_is_the_mean_of_squares_of_each_item():
    output, wanted = tensor([[1.0, 2.0], [0.0, 4.0]]), tensor([[1.0, 0.0], [3.0, 4.0]])

    assert loss("mse")(output, (output, wanted)).tolist() == [2.0, 4.5]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3), (4, 2, 3)])
@pytest.mark.parametrize("flat", [False, True])
def test_mse_agrees_with_torch_in_any_shape_of_the_targets(shape, flat):
    output, wanted = torch.randn(shape), torch.randn(shape).double()
    given = wanted.reshape(-1) if flat and len(shape) == 2 and shape[1] == 1 else wanted

    each = loss("mse")(output, (output, given))

    assert each.shape == (4,)
    torch.testing.assert_close(F.mse_loss(output, wanted.float()), each.mean())


def test_a_loss_of_your_own_is_made_by_its_factory():
    output = tensor([[1.0, -2.0], [3.0, 0.0]])

    assert loss("tests.test_losses:weighted", power=2)(output, None).tolist() == [5.0, 9.0]


@pytest.mark.parametrize(
    ("factory", "kwargs", "words"),
    [
        ("cross_entrop", {}, ["'cross_entrop' is unknown", "did you mean 'cross_entropy'?"]),
        (
            "hinge",
            {},
            [
                "known: cross_entropy, mse, binary_cross_entropy, causal_lm, ",
                "token_cross_entropy, or pkg.module:name",
            ],
        ),
        ("mse", {"reduction": "sum"}, ["reduction", "takes nothing"]),
        ("cross_entropy", {"label_smothing": 1}, ["did you mean 'label_smoothing'?"]),
        ("tests.test_losses:not_a_loss", {}, ["function of (output, batch)", "got a int"]),
        ("tests.test_losses:wighted", {}, ["did you mean 'weighted'?"]),
    ],
)
def test_what_is_no_loss_is_told_with_what_would_be(factory, kwargs, words):
    with pytest.raises(RecipeError) as caught:
        loss(factory, **kwargs)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_recipe_found_beside_checkpoints_may_not_name_a_loss_of_its_own():
    with pytest.raises(UntrustedError, match="--trust tests"):
        loss("tests.test_losses:weighted", trust=Trust())


def test_the_table_of_losses_is_what_the_message_names():
    assert list(LOSSES) == [
        "cross_entropy",
        "mse",
        "binary_cross_entropy",
        "causal_lm",
        "token_cross_entropy",
    ]


# what a network predicts


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
