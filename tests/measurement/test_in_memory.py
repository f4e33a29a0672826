"""Networks in memory: the numbers of files, nothing changed, and plain refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import mdtree
from mdtree.exceptions import AccuracyError, DataError, MdtreeError
from mdtree.rows import Measured

FACTS = {"learning_rate": 0.1, "batch_size": 8, "steps": 20}


def network(seed, *, width=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 3))


def items(seed, count=37):
    torch.manual_seed(seed)
    return torch.randn(count, 5), torch.randint(0, 3, (count,))


MODELS = [network(0), network(1)]
TRAIN, TEST = items(2), items(3, 23)


def measured(**given):
    given = {"models": MODELS, "train": TRAIN, "test": TEST, "facts": FACTS, **given}
    return mdtree.measure(**given)[0]


def test_error_rates_are_those_of_the_networks_themselves():
    row = measured(metrics=["error_rate"])
    for half, name in ((TRAIN, "train_error"), (TEST, "test_error")):
        x, y = half
        errors = [100 * (model.eval()(x).argmax(1) != y).float().mean().item() for model in MODELS]
        assert row.quantities[name].members == pytest.approx(errors)
    assert row.facts == {"data_amount": 37, "parameters": 39, "conv_parameters": 0, **FACTS}
    assert row.provenance.metrics == ("error_rate",)


@pytest.mark.parametrize(
    "form",
    [
        lambda half: TensorDataset(*half),
        lambda half: DataLoader(TensorDataset(*half), batch_size=10, shuffle=True),
        list,
    ],
    ids=["Dataset", "shuffling DataLoader", "list"],
)
def test_data_come_in_the_forms_that_people_have(form):
    expected = measured(metrics=["error_rate"]).quantities
    row = measured(train=form(TRAIN), test=form(TEST), metrics=["error_rate"])
    for name, value in expected.items():
        assert row.quantities[name].value == pytest.approx(value.value)


class Stream(IterableDataset):
    def __iter__(self):
        return zip(*TRAIN, strict=True)

    def __len__(self):
        return len(TRAIN[0])


@pytest.mark.parametrize("form", [Stream, lambda: DataLoader(Stream(), batch_size=10)])
def test_iterable_data_are_refused_even_if_they_tell_their_length(form):
    with pytest.raises(DataError, match=r"train must give .* numbered items.*got Stream"):
        measured(train=form(), metrics=["error_rate"])


def test_the_networks_stay_as_they_are():
    models = [network(0).train(), network(1).train()]
    states = [{name: t.clone() for name, t in model.state_dict().items()} for model in models]
    row = measured(models=models, metrics=["error_rate", "hessian", "similarity"])
    assert isinstance(row.quantities["hessian_top"], Measured)
    for model, state in zip(models, states, strict=True):
        assert model.training
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
        assert all(torch.equal(state[name], t) for name, t in model.state_dict().items())


def test_a_loss_of_ones_own():
    def loss(output, batch):
        return nn.functional.cross_entropy(output, batch[1], reduction="none") * 2

    plain, twice = (measured(loss=each, metrics=["error_rate"]) for each in ("cross_entropy", loss))
    assert twice.quantities["test_loss"].value == pytest.approx(
        2 * plain.quantities["test_loss"].value
    )


@pytest.mark.usefixtures("short_curves")
def test_a_diagnosis_measures_as_far_as_it_needs():
    (verdict,) = mdtree.diagnose(models=MODELS, train=TRAIN, test=TEST, facts=FACTS)
    assert verdict.group == "models"
    assert sum(verdict.probabilities.values()) == pytest.approx(1)


def test_an_accuracy_that_is_not_the_expected_one_stops_a_diagnosis():
    with pytest.raises(AccuracyError, match=r"models: .* but you expect 99\.0 %"):
        mdtree.diagnose(models=MODELS, train=TRAIN, test=TEST, expect=99)


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"models": [network(0), network(1, width=5)]}, MdtreeError, "have different weights"),
        ({"models": ["net.pt"]}, MdtreeError, "must be a list of torch modules, got str"),
        ({"models": []}, MdtreeError, "must be a list of torch modules, got none"),
        ({"train": None}, MdtreeError, "need data: train=..."),
        ({"train": (TRAIN[0][:0], TRAIN[1][:0])}, DataError, "empty"),
        ({"train": iter([TRAIN])}, DataError, "train must give tensors"),
        ({"loss": 3}, MdtreeError, "loss must be a name or a function, got int"),
        ({"loss": "hinge"}, MdtreeError, "hinge"),
        ({"directory": "runs"}, MdtreeError, "either a source or models in memory"),
        ({"facts": {"learning_rte": 0.1}}, MdtreeError, "did you mean 'learning_rate'"),
        ({"protocol": "standard-2"}, MdtreeError, "standard-2"),
        ({"metrics": ["hesian"]}, MdtreeError, "did you mean 'hessian'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(given, error, reason):
    with pytest.raises(error, match=reason):
        measured(**given)


def test_one_model_needs_no_list_and_a_module_may_be_the_loss():
    (row,) = mdtree.measure(
        models=MODELS[0], train=TRAIN, loss=nn.CrossEntropyLoss(), metrics=["error_rate"]
    )
    assert row.quantities["train_loss"].value == pytest.approx(
        nn.functional.cross_entropy(MODELS[0].eval()(TRAIN[0]), TRAIN[1]).item(), rel=1e-5
    )


def test_the_same_network_twice_is_not_two_seeds():
    with pytest.raises(MdtreeError, match="a model is given twice"):
        measured(models=[MODELS[0], MODELS[0]])


def test_weights_that_are_not_numbers_are_a_verdict():
    broken = network(0)
    with torch.no_grad():
        broken[0].weight[0, 0] = float("nan")
    (verdict,) = mdtree.diagnose(models=[broken, network(1)], train=TRAIN, test=TEST)
    assert verdict.mode == "temperature_high"
    assert "0.weight is NaN or infinite" in str(verdict)


def test_models_may_come_from_a_generator():
    (verdict,) = mdtree.diagnose(models=(network(s) for s in (0,)), train=TRAIN, test=TEST)
    assert verdict.group == "models"


def test_an_accuracy_is_a_percentage():
    with pytest.raises(MdtreeError, match="a percentage, 0 to 100; got nan"):
        mdtree.diagnose(models=MODELS, train=TRAIN, test=TEST, expect=float("nan"))
