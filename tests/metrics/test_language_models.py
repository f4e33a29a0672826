"""Every metric of tiny language models, against transformers, algebra and counts by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call

import mdtree
from mdtree.rows import Measured
from tests.support.language import VOCABULARY, bert, gpt2, ids, masked, ragged

PAIRS = {
    "gpt2": (gpt2, ragged),
    "bert": (lambda seed: bert(seed=seed), masked),
}


def measured(name, *metrics, seeds=(0, 1), **given):
    make, data = PAIRS[name]
    models = [make(seed) for seed in seeds]
    given = {"train": data(24), "test": data(12, 1), **given}
    return models, mdtree.measure(models=models, metrics=metrics, **given)[0]


def pairs_of(name, model, batch):
    """Return outputs and labels of the counted tokens of each sequence."""
    named = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        output = model(**named).logits
    if name == "gpt2":
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        output, labels = output[:, :-1], labels[:, 1:]
    else:
        labels = batch["labels"]
    return [(o[one != -100], one[one != -100]) for o, one in zip(output, labels, strict=True)]


@pytest.mark.parametrize("name", PAIRS)
def test_error_rates_losses_and_perplexity(name):
    models, row = measured(name, "error_rate")
    batch = PAIRS[name][1](12, 1)
    for place, model in enumerate(models):
        pairs = pairs_of(name, model, batch)
        wrong = [(o.argmax(1) != y).double().mean().item() for o, y in pairs]
        losses = [torch.nn.functional.cross_entropy(o, y).item() for o, y in pairs]
        mean = sum(losses) / 12
        expected = {
            "test_error": 100 * sum(wrong) / 12,
            "test_loss": mean,
            "test_perplexity": math.exp(mean),
        }
        for quantity, value in expected.items():
            assert row.quantities[quantity].members[place] == pytest.approx(value, rel=1e-5)


def test_a_single_member_has_the_standard_errors_of_its_sequences():
    (model,), row = measured("gpt2", "error_rate", seeds=[0])
    pairs = pairs_of("gpt2", model, ragged(12, 1))
    wrong = torch.tensor([(o.argmax(1) != y).double().mean() for o, y in pairs])
    losses = torch.stack([torch.nn.functional.cross_entropy(o, y) for o, y in pairs])
    error, loss = (row.quantities[f"test_{name}"] for name in ("error", "loss"))
    perplexity = row.quantities["test_perplexity"]
    assert error.stderr == pytest.approx(100 * float(wrong.std()) / math.sqrt(12), rel=1e-5)
    assert loss.stderr == pytest.approx(float(losses.std()) / math.sqrt(12), rel=1e-5)
    assert perplexity.stderr == pytest.approx(perplexity.value * loss.stderr, rel=1e-5)


def test_classes_have_no_perplexity():
    models = [bert("BertForSequenceClassification", num_labels=3)]
    data = {**ragged(12), "labels": ids(12)[:, 0] % 3}
    (row,) = mdtree.measure(models=models, train=data, metrics=["error_rate"])
    assert not any("perplexity" in name for name in row.quantities)
    assert isinstance(row.quantities["train_error"], Measured)


def test_smoothed_labels_have_no_perplexity():
    from mdtree.losses import causal_lm

    _, row = measured("gpt2", "error_rate", loss=causal_lm(label_smoothing=0.1))
    assert "smoothed labels" in row.quantities["test_perplexity"].missing


def test_chance_is_the_most_frequent_token_and_the_entropy_of_the_frequencies():
    test = {
        "input_ids": torch.tensor([[9, 1, 1, 2], [9, 1, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    }
    _, row = measured("gpt2", "error_rate", test=test)
    # predicted are 1 1 2 of the first and 1 of the second, which have the same weight
    one, two = (2 / 3 + 1) / 2, 1 / 6
    assert row.quantities["chance_error"].value == pytest.approx(100 * (1 - one))
    entropy = -one * math.log(one) - two * math.log(two)
    assert row.quantities["chance_loss"].value == pytest.approx(entropy)


def test_predictions_are_averaged_within_each_sequence():
    models, row = measured("gpt2", "predictions")
    first, second = (pairs_of("gpt2", model, ragged(12, 1)) for model in models)
    gains, gaps, surplus = [], [], []
    for (a, labels), (b, _) in zip(first, second, strict=True):
        pa, pb = a.double().softmax(1), b.double().softmax(1)
        wrong = [(p.argmax(1) != labels).double().mean() for p in (pa, pb, pa + pb)]
        gains.append((wrong[0] + wrong[1]) / 2 - wrong[2])
        gaps.append((pa.argmax(1) != pb.argmax(1)).double().mean())
        sure = [p.max(1).values.mean() for p in (pa, pb)]
        surplus.append((sure[0] - (1 - wrong[0]) + sure[1] - (1 - wrong[1])) / 2)
    for name, each in (
        ("ensemble_gain", gains),
        ("disagreement", gaps),
        ("overconfidence", surplus),
    ):
        values = torch.stack(each)
        found = row.quantities[name]
        assert found.value == pytest.approx(100 * float(values.mean()), rel=1e-4, abs=1e-6)
        assert found.stderr == pytest.approx(100 * float(values.std()) / math.sqrt(12), rel=1e-4)


def test_fewer_sequences_are_predicted_where_memory_asks_for_it(monkeypatch):
    monkeypatch.setattr("mdtree.metrics.predictions._MEMORY", 5 * 8 * VOCABULARY * 4)
    _, row = measured("gpt2", "predictions")
    notes = [note for note in row.provenance.notes if "fit into memory" in note]
    assert [note.split(": ")[1].split(",")[0] for note in notes] == [
        "on 5 of 24 train items",
        "on 5 of 12 test items",
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_similarity_is_that_of_pooled_probabilities_and_of_the_last_token(name):
    models, row = measured(name, "similarity")
    pooled, chosen, last = [], [], []
    for model in models:
        pairs = pairs_of(name, model, PAIRS[name][1](24))
        pooled.append(torch.stack([o.double().softmax(1).mean(0) for o, _ in pairs]))
        chosen.append([o.argmax(1) for o, _ in pairs])
        last.append(torch.stack([o[-1].double().softmax(0) for o, _ in pairs]))
    agree = [(a == b).double().mean().item() for a, b in zip(*chosen, strict=True)]
    assert row.quantities["agreement"].value == pytest.approx(100 * sum(agree) / 24)
    for quantity, features in (("cka", pooled), ("cka_last_token", last)):
        expected = debiased_cka(*features)
        assert row.quantities[quantity].value == pytest.approx(expected, abs=1e-4)
        assert row.quantities[quantity].stderr > 0
        assert mdtree.matrix(row, "pairs", quantity)[2][0, 1] == row.quantities[quantity].value


def debiased_cka(first, second):
    """Compute CKA with Song's estimator as it is printed, from kernels without diagonals."""

    def hsic(k, m):
        n, ones = len(k), torch.ones(len(k), dtype=torch.float64)
        total = (k.sum() * m.sum()) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (ones @ k @ m @ ones)
        return (k * m).sum() + total

    k, m = ((x @ x.T).fill_diagonal_(0) for x in (first, second))
    return float(hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt())


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_what_cannot_be_compared_is_missing_at_the_last_token_too(seeds):
    protocol = "standard-1" if len(seeds) == 1 else "paper-1"
    _, row = measured("gpt2", "similarity", seeds=seeds, protocol=protocol)
    assert row.quantities["cka_last_token"] == row.quantities["cka"]
    assert row.quantities["cka"].missing


def test_classes_have_no_last_token():
    models = [bert("BertForSequenceClassification", num_labels=3, seed=seed) for seed in (0, 1)]
    data = {**ragged(12), "labels": ids(12)[:, 0] % 3}
    (row,) = mdtree.measure(models=models, train=data, metrics=["similarity"])
    assert "cka_last_token" not in row.quantities
    assert "cka_last_token" not in row.details["pairs"].columns


@pytest.mark.parametrize("name", PAIRS)
def test_the_hessian_is_that_of_the_mean_loss(name):
    """Only the layer norms are trained, so that the whole Hessian can be computed."""
    make, data = PAIRS[name]
    model = make(0).double()
    for key, parameter in model.named_parameters():
        parameter.requires_grad_("ln" in key.lower() or "layernorm" in key.lower())
    train = data(24)
    (row,) = mdtree.measure(models=[model], train=train, metrics=["hessian"])

    trained = {key: p.detach() for key, p in model.named_parameters() if p.requires_grad}
    sizes = [p.numel() for p in trained.values()]
    named = {key: train[key] for key in ("input_ids", "attention_mask")}
    labels = train.get("labels")
    if labels is None:
        hidden = train["input_ids"].masked_fill(train["attention_mask"] == 0, -100)
        labels = torch.cat([hidden[:, 1:], torch.full((24, 1), -100)], 1)

    def loss(vector):
        parts = torch.split(vector, sizes)
        weights = {k: v.view_as(trained[k]) for k, v in zip(trained, parts, strict=True)}
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            output = functional_call(model, weights, (), named).logits
        logs = output.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None]).squeeze(-1)
        counted = labels != -100
        return -((logs * counted).sum(1) / counted.sum(1)).mean()

    matrix = hessian(loss, torch.cat([p.reshape(-1) for p in trained.values()]))
    values = torch.linalg.eigvalsh((matrix + matrix.T).double() / 2)
    top, trace = (row.quantities[f"hessian_{name}"] for name in ("top", "trace"))
    assert top.value == pytest.approx(float(values[-1]), rel=0.02)
    assert abs(trace.value - float(values.sum())) < max(6 * trace.stderr, 0.02 * trace.value)


@pytest.mark.usefixtures("short_curves")
@pytest.mark.parametrize("name", PAIRS)
def test_curves_have_errors_of_tokens(name):
    models, row = measured(name, "connectivity")
    errors = [
        100 * sum((o.argmax(1) != y).double().mean().item() for o, y in pairs) / 24
        for pairs in (pairs_of(name, model, PAIRS[name][1](24)) for model in models)
    ]
    curve = row.details["curve"].columns
    assert [curve["train_error"][0], curve["train_error"][-1]] == pytest.approx(errors)
    for quantity in ("connectivity", "barrier", "linear_barrier", "linear_barrier_loss"):
        assert isinstance(row.quantities[quantity], Measured)


@pytest.mark.usefixtures("short_curves")
def test_a_diagnosis_of_language_models():
    models = [gpt2(0), gpt2(1)]
    (verdict,) = mdtree.diagnose(models=models, train=ragged(24), test=ragged(12, 1))
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
