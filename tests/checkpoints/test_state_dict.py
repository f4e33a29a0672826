from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

from mdtree.checkpoints import find_weights, load_weights
from mdtree.checkpoints.state_dict import wrapping
from mdtree.exceptions import UnreadableError

ONE, TWO = torch.ones(2), torch.zeros(3)
WEIGHTS = {"head.weight": ONE, "head.bias": TWO}
OTHER = {"head.weight": TWO, "head.bias": ONE}


def names(content, *, key=None) -> list[str]:
    return list(find_weights(content, key=key, name="x.pt").tensors)


def wrapped(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: tensor for key, tensor in WEIGHTS.items()}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.module."]
)
def test_wrappers_come_off_in_any_order(prefix):
    assert prefix == wrapping(wrapped(prefix))
    assert WEIGHTS.keys() == find_weights(wrapped(prefix), key=None, name="x").tensors.keys()


def test_a_prefix_comes_off_only_if_all_names_have_it():
    mixed = {**wrapped("module."), "scale": ONE}
    assert list(mixed) == names(mixed)
    assert names({"module.weight": ONE, "modules.bias": TWO}) == ["module.weight", "modules.bias"]
    assert wrapping([]) == ""


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module._orig_mod."])
def test_the_count_of_averaged_models_is_no_weight(prefix):
    averaged = {f"{prefix}n_averaged": torch.tensor(5), **wrapped(f"{prefix}module.")}
    assert list(WEIGHTS) == names(averaged)
    own = {"head.n_averaged": ONE, "head.weight": TWO}  # a buffer of the model
    assert list(own) == names(own)


def test_the_first_known_container_wins_and_the_choice_is_told():
    content = {"net": OTHER, "model": OTHER, "state_dict": WEIGHTS, "epoch": 3}
    loaded = find_weights(content, key=None, name="x")
    assert torch.equal(ONE, loaded.tensors["head.weight"])
    assert loaded.notes == ("weights of 'state_dict'; the file also contains net, model",)
    alone = find_weights({"model": OrderedDict(WEIGHTS)}, key=None, name="x")
    assert alone.notes == ()


@pytest.mark.parametrize("key", ["model_ema", "state_dict_ema", "ema"])
def test_averaged_weights_only_on_request(key):
    content = {"state_dict": WEIGHTS, key: {f"module.{k}": t for k, t in OTHER.items()}}
    assert torch.equal(ONE, find_weights(content, key=None, name="x").tensors["head.weight"])
    loaded = find_weights(content, key=key, name="x")
    assert torch.equal(TWO, loaded.tensors["head.weight"])
    assert loaded.notes == (f"weights of {key!r}",)
    with pytest.raises(UnreadableError, match=f"choose one with --weights-key: {key}$"):
        find_weights({key: OTHER}, key=None, name="x")


@pytest.mark.parametrize("key", ["optimizer", "epoch", "args"])
def test_what_lies_beside_the_weights_is_not_opened_as_weights(tmp_path, key):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(ONE).sum().backward()
    optimizer.step()
    torch.save(
        {"optimizer": optimizer.state_dict(), "epoch": 1, "args": {"lr": 0.1}}, tmp_path / "x.pt"
    )
    with pytest.raises(UnreadableError, match="no weights under state_dict, model_state_dict"):
        load_weights(tmp_path / "x.pt")
    with pytest.raises(UnreadableError, match=f"the entry '{key}' does not contain named weights"):
        load_weights(tmp_path / "x.pt", key=key)


def test_a_key_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(UnreadableError) as error:
        find_weights({"model": WEIGHTS, "model_ema": OTHER}, key="modelema", name="x.pt")
    assert str(error.value) == (
        "x.pt has no entry 'modelema', did you mean 'model_ema'?; "
        "it has weights under model, model_ema"
    )
    with pytest.raises(UnreadableError, match="it has weights under no entry"):
        find_weights(WEIGHTS, key="model", name="x.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([ONE], "contains a list, not named weights"),
        (ONE, "contains a Tensor, not named weights"),
        (None, "contains a NoneType, not named weights"),
        ({}, "contains nothing, but no weights under"),
        ({0: ONE}, "contains 0, but no weights under"),
        ({"model": {}}, "contains model, but no weights under"),
        ({"model": {"a": ONE, "b": 3}}, "contains model, but no weights under"),
        ({f"k{n}": n for n in range(99)}, "contains k0, k1, k2, k3, k4, k5, k6, k7, but"),
    ],
)
def test_what_holds_no_weights_is_told(content, words):
    with pytest.raises(UnreadableError, match=words):
        find_weights(content, key=None, name="x.pt")
