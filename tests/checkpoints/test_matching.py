from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from mdtree.checkpoints import matching
from mdtree.checkpoints.matching import matched
from mdtree.exceptions import DivergedError, MismatchError
from mdtree.models import cnn, mlp


def check_refused(tensors, model, *words: str) -> str:
    with pytest.raises(MismatchError) as error:
        matched(tensors, model, name="seed-0.pt")
    for word in ("seed-0.pt", *words):
        assert word in str(error.value)
    return str(error.value)


def test_gives_all_parameters_and_buffers_in_the_order_of_the_model():
    model = cnn(width=2)
    given = dict(reversed(cnn(width=2).state_dict().items()))
    weights = matched(given, model, name="x")
    assert list(model.state_dict()) == list(weights)
    assert all(torch.equal(given[key], weights[key]) for key in given)


@pytest.mark.parametrize("prefix", ["net.", "model.net.", "0.", "net.0."])
def test_one_common_prefix_comes_off(prefix):
    model = mlp()
    given = {prefix + key: tensor for key, tensor in mlp().state_dict().items()}
    weights = matched(given, model, name="x")
    assert all(torch.equal(given[prefix + key], weights[key]) for key in weights)


def test_a_prefix_that_does_not_help_stays():
    check_refused(mlp(depth=2).state_dict(), nn.Linear(3, 2), "unexpected: 1.weight")
    given = {"a.weight": torch.ones(2, 3), "b.bias": torch.ones(2)}
    check_refused(given, nn.Linear(3, 2), "missing: weight, bias", "unexpected: a.weight")


def test_names_that_fit_are_left_as_they_are():
    given = nn.Sequential(nn.Linear(3, 2)).state_dict()
    assert given.keys() == matched(given, nn.Sequential(nn.Linear(3, 2)), name="x").keys()


def test_names_are_told_without_a_prefix_that_fits():
    given = {f"net.{key}": tensor for key, tensor in mlp().state_dict().items() if key != "3.bias"}
    text = check_refused(given, mlp(), "missing: 3.bias")
    assert "unexpected" not in text


def test_missing_and_unexpected_names_with_a_suggestion():
    given = mlp().state_dict()
    given["3.wieght"] = given.pop("3.weight")
    given["extra"] = torch.ones(1)
    text = check_refused(given, mlp(), "missing: 3.weight;")
    assert "unexpected: 3.wieght, did you mean '3.weight'?, extra" in text


def test_long_lists_are_cut_and_counted(monkeypatch):
    """Suggestions cost time for each name: they are sought for those alone that are shown."""
    sought = []
    monkeypatch.setattr(matching, "nearest", lambda word, known: sought.append(word) or "")
    given = {f"layer{n}.w": torch.ones(1) for n in range(200)}
    model = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(300)])
    check_refused(given, model, "4.weight, and 295 more;", "layer4.w, and 195 more")
    assert len(sought) <= 5


@pytest.mark.parametrize("classes", [3, 100])
def test_another_number_of_classes_names_both_numbers(classes):
    text = check_refused(cnn(width=2, classes=classes).state_dict(), cnn(width=2, classes=10))
    assert f"the file has {classes} classes and the model 10, so set the number of cl" in text
    assert f"9.weight is ({classes}, 16) in the file and (10, 16) in the model" in text


def test_another_width_is_not_taken_for_classes():
    text = check_refused(
        cnn(width=4).state_dict(), cnn(width=2), "is the width right? It is set with"
    )
    assert "--model-arg width=..., or model.kwargs in a recipe" in text
    assert "classes" not in text
    assert re.search(r"0\.weight is \(4, 1, 3, 3\) in the file and \(2, 1, 3, 3\)", text)


@pytest.mark.parametrize("key", ["weight", "bias"])
@pytest.mark.parametrize("shape", [(), (2, 5), (2, 3, 1)])
def test_an_odd_last_layer_is_not_taken_for_classes(key, shape):
    given = {**nn.Linear(3, 2).state_dict(), key: torch.ones(shape)}
    text = check_refused(given, nn.Linear(3, 2), "width", f"{key} is {shape} in the file")
    assert "classes" not in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinite_weights_are_counted_by_name(value):
    given = cnn(width=2).state_dict()
    given["0.weight"].view(-1)[[0, 7]] = value
    given["1.running_var"][1] = value
    text = check_refused(given, cnn(width=2), "NaN or infinite weights", "diverged")
    assert text.endswith("0.weight (2 of 18), 1.running_var (1 of 2)")


def test_what_overflows_in_the_precision_of_the_model_is_infinite_there():
    given = {"weight": torch.full((1, 1), 1e39, dtype=torch.float64), "bias": torch.ones(1)}
    check_refused(given, nn.Linear(1, 1), "weight (1 of 1)")
    weights = matched(given, nn.Linear(1, 1).double(), name="x")
    assert weights["weight"].item() == 1e39


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_take_the_types_of_the_model_and_counts_stay_counts(dtype):
    given = {key: tensor.to(dtype) for key, tensor in cnn(width=2).state_dict().items()}
    model = cnn(width=2)
    weights = matched(given, model, name="x")
    assert all(tensor.dtype == weights[key].dtype for key, tensor in model.state_dict().items())
    assert all(torch.equal(given[key].to(weights[key].dtype), weights[key]) for key in weights)


ODD = {
    "on the meta device": torch.ones(2, 3, device="meta"),
    "sparse": torch.ones(2, 3).to_sparse(),
    "int8": torch.ones(2, 3, dtype=torch.int8),
    "complex64": torch.ones(2, 3, dtype=torch.complex64),
    "bool": torch.ones(2, 3, dtype=torch.bool),
}


@pytest.mark.parametrize("words", ODD)
def test_what_does_not_hold_the_numbers_of_the_network_is_told(words):
    given = {"weight": ODD[words], "bias": torch.ones(2)}
    check_refused(given, nn.Linear(3, 2), f"not plain numbers: weight is {words}")


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize("left_out", [None, "0.weight", "1.weight"])
@pytest.mark.parametrize("prefix", ["", "net."])
def test_tied_weights_may_be_stored_under_any_of_their_names(left_out, prefix):
    full = tied().state_dict()
    given = {prefix + key: tensor for key, tensor in full.items() if key != left_out}
    weights = matched(given, tied(), name="x")
    assert list(weights) == ["0.weight", "0.bias", "1.bias"]
    assert all(torch.equal(full[key], weights[key]) for key in weights)


def test_tied_weights_that_differ_in_the_file_are_refused():
    given = tied().state_dict()
    given["1.weight"] = given["1.weight"] + 1
    check_refused(given, tied(), "different weights for 0.weight and 1.weight")
    del given["0.weight"], given["1.weight"]
    check_refused(given, tied(), "missing: 0.weight, 1.weight")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("layer", ["0.weight", "1.weight"], ids=["large", "small"])
def test_one_bad_number_is_found_in_tensors_of_any_size(value, layer):
    model = nn.Sequential(nn.Linear(300, 100), nn.Linear(100, 2))
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given[layer].view(-1)[17] = value
    with pytest.raises(DivergedError, match=rf"{layer} \(1 of"):
        matched(given, model, name="x")
