"""Losses of tokens: by hand, and against the losses that transformers computes itself."""

from __future__ import annotations

import math

import pytest
import torch

from mdtree.exceptions import DataError
from mdtree.losses import build_loss
from mdtree.recipes import LossSpec, Trust
from mdtree.tokens import TokenLoss
from tests.support.language import bert, gpt2, ids, masked

SHIFTED, PLAIN = TokenLoss(is_shifted=True), TokenLoss(is_shifted=False)


def probabilities(*sequences):
    return torch.tensor(sequences).log()


def test_a_sequence_has_the_mean_of_its_counted_tokens():
    output = probabilities(
        [[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]],
        [[0.25, 0.75], [0.9, 0.1], [0.3, 0.7]],
    )
    labels = torch.tensor([[0, 1, -100], [1, -100, -100]])
    expected = [-(math.log(0.5) + math.log(0.2)) / 2, -math.log(0.75)]
    assert PLAIN(output, (labels, labels)).tolist() == pytest.approx(expected)


def test_a_shifted_loss_compares_each_output_with_the_next_label():
    output = probabilities([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]])
    labels = torch.tensor([[-100, 1, 0]])  # the first label is never predicted
    expected = -(math.log(0.5) + math.log(0.8)) / 2
    assert SHIFTED(output, (labels, labels)).tolist() == pytest.approx([expected])


@pytest.mark.parametrize("loss", [SHIFTED, PLAIN])
def test_padding_alone_is_zero_and_not_nan(loss):
    labels = torch.full((2, 3), -100)
    assert loss(torch.randn(2, 3, 5), (labels, labels)).tolist() == [0, 0]


def test_another_label_may_be_the_one_that_does_not_count():
    output, labels = torch.randn(2, 3, 5), torch.tensor([[0, 1, 0], [2, 3, 4]])
    loss = TokenLoss(is_shifted=False, ignore_index=0)
    hidden = labels.masked_fill(labels == 0, -100)
    torch.testing.assert_close(PLAIN(output, (hidden, hidden)), loss(output, (labels, labels)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_sequences_of_one_length_have_the_loss_of_transformers(smoothing):
    model, tokens = gpt2(), ids()
    loss = TokenLoss(is_shifted=True, label_smoothing=smoothing)
    with torch.no_grad():
        result = model(input_ids=tokens, labels=tokens)
        ours = loss(result.logits, {"input_ids": tokens, "labels": tokens}).mean()
    if smoothing:
        logs = result.logits[:, :-1].log_softmax(-1)
        right = logs.gather(-1, tokens[:, 1:, None]).mean()
        theirs = -(1 - smoothing) * right - smoothing * logs.mean()
    else:
        theirs = result.loss
    torch.testing.assert_close(theirs, ours)


def test_each_sequence_has_the_loss_that_transformers_gives_it_alone():
    model, batch = bert(), masked()
    with torch.no_grad():
        theirs = [
            model(**{k: tensor[n : n + 1] for k, tensor in batch.items()}).loss for n in range(12)
        ]
        output = model(**{k: batch[k] for k in ("input_ids", "attention_mask")}).logits
    torch.testing.assert_close(torch.stack(theirs), PLAIN(output, batch))


def test_half_precision_is_computed_in_single():
    output, labels = torch.randn(2, 3, 5), torch.randint(0, 5, (2, 3))
    half = PLAIN(output.bfloat16(), (labels, labels))
    assert half.dtype == torch.float32
    torch.testing.assert_close(PLAIN(output.bfloat16().float(), (labels, labels)), half)


@pytest.mark.parametrize(
    ("output", "labels", "words"),
    [
        (torch.zeros(2, 3, 5), torch.zeros(2).long(), "one whole number for each token"),
        (torch.zeros(2, 3, 5), torch.zeros(2, 3), "one whole number for each token"),
        (torch.zeros(2, 3, 5), torch.zeros(2, 4).long(), "one label for each token"),
        (torch.zeros(2, 5), torch.zeros(2, 5).long(), "one label for each token"),
    ],
)
def test_labels_that_do_not_fit_are_told(output, labels, words):
    with pytest.raises(DataError, match=words):
        SHIFTED(output, (labels, labels))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("next token", TokenLoss(is_shifted=True, label_smoothing=0.1)),
        ("tokens", TokenLoss(is_shifted=False, label_smoothing=0.1)),
    ],
)
def test_cross_entropy_is_that_of_the_head(head, expected):
    spec = LossSpec(kwargs={"label_smoothing": 0.1})
    assert build_loss(spec, Trust(), head=head) == expected


def test_a_loss_that_is_named_is_never_replaced():
    spec = LossSpec(factory="token_cross_entropy")
    assert build_loss(spec, Trust(), head="next token") == PLAIN


def test_other_heads():
    output, wanted = torch.zeros(3, 1), torch.tensor([1.0, 2.0, 3.0])
    assert build_loss(LossSpec(), Trust(), head="regression")(
        output, (wanted, wanted)
    ).tolist() == [
        1,
        4,
        9,
    ]
    several = build_loss(LossSpec(), Trust(), head="several classes")
    present = torch.tensor([[1, 0], [0, 1], [1, 1]])
    told = several(torch.zeros(3, 2), (present, present))
    assert told.tolist() == pytest.approx([math.log(2)] * 3)


def test_a_network_that_does_not_say_what_it_predicts_needs_a_named_loss():
    labels = torch.zeros(2, 3).long()
    with pytest.raises(DataError, match=r"needs the loss causal_lm .* or token_cross_entropy"):
        build_loss(LossSpec(), Trust())(torch.zeros(2, 3, 5), (labels, labels))
