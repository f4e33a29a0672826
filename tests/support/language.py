"""Tiny language models of transformers, with random weights, and sequences for them."""

from __future__ import annotations

import pytest
import torch

from mdtree.runtime import torchvision as vision

VOCABULARY = 13
TOKENS = 8


def transformers():
    with vision.usable():
        return pytest.importorskip("transformers")


def gpt2(seed=0):
    config = transformers().GPT2Config(
        vocab_size=VOCABULARY, n_positions=TOKENS, n_embd=8, n_layer=1, n_head=2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(seed)
    return transformers().GPT2LMHeadModel(config).eval()


def bert(head="BertForMaskedLM", seed=0, **settings):
    config = transformers().BertConfig(
        vocab_size=VOCABULARY, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=TOKENS, **settings,
    )  # fmt: skip
    torch.manual_seed(seed)
    return getattr(transformers(), head)(config).eval()


def ids(count=12, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (count, TOKENS), generator=source)


def ragged(count=12, seed=0):
    """Return sequences of 3 to 8 tokens, padded on the right."""
    sequences = ids(count, seed)
    lengths = torch.arange(count) % 6 + 3
    mask = (torch.arange(TOKENS) < lengths[:, None]).long()
    return {"input_ids": sequences * mask, "attention_mask": mask}


def masked(count=12, seed=0):
    """Return sequences of which every third token is to be guessed."""
    batch = ragged(count, seed)
    hidden = (torch.arange(TOKENS) % 3 == 1) & batch["attention_mask"].bool()
    labels = batch["input_ids"].masked_fill(~hidden, -100)
    return {**batch, "input_ids": batch["input_ids"].masked_fill(hidden, 1), "labels": labels}
