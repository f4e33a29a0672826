from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mdtree.datasets import Data, TensorItems
from mdtree.exceptions import DataError
from mdtree.landscape import ModelRunner
from mdtree.losses import build_loss, head_of
from mdtree.measurement.fitting import fitted
from mdtree.models import Network
from mdtree.recipes import LossSpec, Trust
from tests.support.cases import X, Y, group
from tests.support.language import TOKENS, VOCABULARY, bert, gpt2, ids, masked, ragged, transformers


def runner(module, batch_size=5):
    return ModelRunner(
        network=Network(module.eval()),
        loss=build_loss(LossSpec(), Trust(), head=head_of(module)),
        batch_size=batch_size,
        device=torch.device("cpu"),
    )


def with_labels(batch):
    from mdtree.batch import as_batch

    return TensorItems(as_batch(batch))


def fit(module, train, test=None):
    data = Data(with_labels(train), None if test is None else with_labels(test))
    return fitted(runner(module), data)


def test_what_fits_stays_as_it_is():
    ready = fit(gpt2(), ragged(), ragged(7, 1))
    assert (len(ready.data.train), len(ready.data.test), ready.notes) == (12, 7, ())
    assert ready.runner.output_bytes == TOKENS * VOCABULARY * 4


def test_sequences_without_a_counted_token_are_left_out_with_a_note():
    train = {**masked(), "attention_mask": torch.ones(12, TOKENS).long()}
    train["labels"] = train["labels"].index_fill(0, torch.tensor([2, 7]), -100)
    ready = fit(bert(), train)
    assert len(ready.data.train) == 10
    expected = "2 of 12 training sequences have no token that counts, and are left out"
    assert ready.notes == (expected,)


def test_a_single_token_predicts_nothing_in_a_causal_model():
    mask = torch.ones(12, TOKENS).long()
    mask[3, 1:] = 0
    assert len(fit(gpt2(), {"input_ids": ids(), "attention_mask": mask}).data.train) == 11


@pytest.mark.parametrize("half", ["training", "test"])
def test_padding_alone_is_an_error(half):
    padding = {"input_ids": ids(), "attention_mask": torch.zeros(12, TOKENS).long()}
    halves = (padding,) if half == "training" else (ragged(), padding)
    with pytest.raises(DataError, match=f"no token of the {half} data counts: all labels are -100"):
        fit(gpt2(), *halves)


@pytest.mark.parametrize("wrong", [VOCABULARY, -1])
@pytest.mark.parametrize(
    "module", [gpt2, lambda: bert("BertForSequenceClassification", num_labels=3)]
)
def test_ids_outside_the_vocabulary_are_told_before_the_first_pass(module, wrong):
    tokens = ids()
    tokens[4, 2] = wrong
    with pytest.raises(DataError, match=f"has a vocabulary of {VOCABULARY} tokens"):
        fit(module(), {"input_ids": tokens, "labels": ids(1, 3)[0, :1].expand(12)})


def test_labels_of_another_length_than_the_ids_are_told():
    batch = {"input_ids": ids(), "labels": ids()[:, 1:]}
    with pytest.raises(DataError, match="there must be one label for each token"):
        fit(gpt2(), batch)


def test_labels_of_sequences_are_not_those_of_tokens():
    with pytest.raises(DataError, match="one whole number for each token"):
        fit(gpt2(), {"input_ids": ids(), "labels": torch.zeros(12).long()})


def test_entries_that_the_network_does_not_take_are_named():
    ready = fit(gpt2(), {**ragged(), "row": torch.arange(12), "text": ["a"] * 12})
    assert ready.notes == ("entries that the network does not take: row",)


def test_large_outputs_limit_the_items_of_a_pass(monkeypatch):
    monkeypatch.setattr("mdtree.measurement.fitting._OUTPUTS", 3 * TOKENS * VOCABULARY * 4)
    assert fit(gpt2(), ragged()).runner.batch_size == 3
    monkeypatch.setattr("mdtree.measurement.fitting._OUTPUTS", 1)
    assert fit(gpt2(), ragged()).runner.batch_size == 1


def test_other_networks_and_data_are_untouched():
    module, _ = group(lambda: torch.nn.Linear(5, 3), 1)
    data = Data(TensorItems((X, Y)), None)
    given = replace(runner(module), output_bytes=0)
    ready = fitted(given, data)
    assert ready.data is data
    assert ready.runner is given


def test_labels_that_are_the_tokens_themselves_are_no_task_of_a_masked_model():
    with pytest.raises(DataError, match="training labels are the tokens that the network sees"):
        fit(bert(), ragged())


def test_sequences_without_tokens_are_told_before_the_first_pass():
    empty = torch.zeros(12, 0, dtype=torch.long)
    with pytest.raises(DataError, match="input_ids of the training data hold no tokens"):
        fit(gpt2(), {"input_ids": empty})


@pytest.mark.parametrize("module", [gpt2, bert])
def test_sequences_longer_than_the_positions_are_told_before_the_first_pass(module):
    long = torch.ones(12, TOKENS + 1, dtype=torch.long)
    labels = torch.zeros(12, TOKENS + 1, dtype=torch.long)
    with pytest.raises(DataError, match=rf"{TOKENS + 1} tokens, but .* positions for {TOKENS}:"):
        fit(module(), {"input_ids": long, "labels": labels})


def network_of(kind, config, **settings):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    known = transformers()
    torch.manual_seed(0)
    return getattr(known, kind)(getattr(known, config)(vocab_size=VOCABULARY, **sizes, **settings))


def test_positions_that_a_network_keeps_for_padding_are_not_counted():
    sizes = {"intermediate_size": 8, "max_position_embeddings": TOKENS + 2}
    roberta = network_of("RobertaForMaskedLM", "RobertaConfig", **sizes, pad_token_id=1)
    sizes = {"ffn_dim": 8, "max_position_embeddings": TOKENS, "word_embed_proj_dim": 8}
    opt = network_of("OPTForCausalLM", "OPTConfig", **sizes)
    for network in (roberta, opt):
        tokens = {"input_ids": ids(12) % 9 + 3, "labels": ids(12, 1)}
        assert len(fit(network, tokens).data.train) == 12
        long = {name: torch.cat([value, value[:, :1]], 1) for name, value in tokens.items()}
        with pytest.raises(DataError, match=f"positions for {TOKENS}:"):
            fit(network, long)


def test_rotary_positions_go_on_beyond_those_of_the_config():
    sizes = {"intermediate_size": 8, "max_position_embeddings": 4, "num_key_value_heads": 2}
    llama = network_of("LlamaForCausalLM", "LlamaConfig", **sizes)
    assert len(fit(llama, {"input_ids": ids()}).data.train) == 12


def test_an_entry_with_a_line_break_in_its_name_is_escaped():
    ready = fit(gpt2(), {**ragged(), "a\nb": torch.ones(12)})
    assert ready.notes == (r"entries that the network does not take: a\nb",)
