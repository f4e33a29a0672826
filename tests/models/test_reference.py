"""Networks of the reference collection: sizes counted by hand, outputs, and second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.models import build_network, mlp
from mdtree.models import reference as r
from mdtree.models.reference import Patches
from mdtree.recipes import ModelSpec, Trust

SIGNAL = torch.linspace(-1, 1, 3 * 20).reshape(3, 20)
PICTURE = torch.linspace(-1, 1, 3 * 12 * 12).reshape(3, 1, 12, 12)
IDS = torch.arange(3 * 6).reshape(3, 6) % 5

# factory -> arguments, inputs, parameters counted by hand
CASES = {
    "plain_cnn": ({"width": 2, "classes": 4}, PICTURE, (18 + 2) + (72 + 4) + (144 + 4)),
    "resnet8": (
        {"width": 1, "classes": 4},
        PICTURE,
        # stem; blocks of 1, 2 and 4 channels: two convolutions, two norms, a shortcut; head
        (9 + 2)
        + (9 + 2 + 9 + 2)
        + (18 + 4 + 36 + 4 + 2 + 4)
        + (72 + 8 + 144 + 8 + 8 + 8)
        + (16 + 4),
    ),
    "conv1d": ({"width": 2, "classes": 4}, SIGNAL, (14 + 2) + (56 + 4) + (16 + 4)),
    "embedded_mlp": (
        {"width": 2, "classes": 4, "vocabulary": 5, "length": 6},
        IDS,
        10 + (48 + 4) + (16 + 4),
    ),
    "gru": ({"width": 2, "classes": 4, "vocabulary": 5}, IDS, 10 + 2 * (12 + 6) + (8 + 4)),
    "lstm": ({"width": 2, "classes": 4, "vocabulary": 5}, IDS, 10 + 2 * (16 + 8) + (8 + 4)),
    "transformer": (
        {"width": 2, "classes": 4, "vocabulary": 5, "length": 6},
        IDS,
        # ids, places; norms, attention in and out, mlp; norm, head
        10 + 12 + (8 + 18 + 6 + 12 + 10) + 4 + 12,
    ),
    "vit": (
        {"width": 2, "classes": 4, "side": 12, "patch": 6, "depth": 1},
        PICTURE,
        (72 + 2) + 8 + (8 + 18 + 6 + 12 + 10) + 4 + 12,
    ),
    "mixer": (
        {"width": 2, "classes": 4, "side": 12, "patch": 6, "depth": 1},
        PICTURE,
        (72 + 2) + 8 + (8 + (32 + 8 + 32 + 4) + (8 + 4 + 8 + 2)) + 4 + 12,
    ),
}


def made(name):
    kwargs, inputs, _ = CASES[name]
    spec = ModelSpec(factory=f"mdtree.models.reference:{name}", kwargs=kwargs)
    return build_network(spec, trust=Trust()).module, inputs  # no trust is needed for our own


def test_every_factory_is_tested():
    assert set(CASES) == set(r.__all__)


@pytest.mark.parametrize("name", CASES)
def test_parameters_are_as_many_as_counted_by_hand(name):
    module, _ = made(name)
    assert sum(parameter.numel() for parameter in module.parameters()) == CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_an_output_for_each_item_and_class(name):
    module, inputs = made(name)
    assert module(inputs).shape == (3, 4)


@pytest.mark.parametrize("name", CASES)
def test_an_item_does_not_depend_on_those_beside_it(name):
    module, inputs = made(name)
    assert torch.allclose(module(inputs)[1:2], module(inputs[1:2]), atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_hessian_times_a_direction_is_the_change_of_the_gradient(name):
    """The second derivative against the difference of first ones, in double precision."""
    module, inputs = made(name)
    module = module.double()
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    labels = torch.tensor([0, 3, 1])
    weights = list(module.parameters())
    random = torch.Generator().manual_seed(0)

    def drawn():
        return [torch.randn(w.shape, generator=random, dtype=torch.float64) for w in weights]

    def gradient(*, create_graph=False):
        loss = nn.functional.cross_entropy(module(inputs), labels)
        return torch.autograd.grad(loss, weights, create_graph=create_graph)

    def moved(step, direction):
        with torch.no_grad():
            torch._foreach_add_(weights, direction, alpha=step)

    moved(0.1, drawn())  # away from biases of 0, where a ReLU has its kink
    direction = drawn()
    along = sum((g * d).sum() for g, d in zip(gradient(create_graph=True), direction, strict=True))
    product = torch.autograd.grad(along, weights)
    step, ends = 1e-6, []
    for sign in (1, -1):
        moved(sign * step, direction)
        ends.append(gradient())
        moved(-sign * step, direction)
    for exact, after, before in zip(product, *ends, strict=True):
        assert torch.allclose(exact, (after - before) / (2 * step), atol=1e-6, rtol=1e-4)


def test_the_gru_is_torchs_with_its_gates_in_its_order():
    module = r.gru(width=3, classes=2, vocabulary=5)
    torchs = nn.GRU(3, 3, batch_first=True)
    with torch.no_grad():
        torchs.weight_ih_l0.copy_(module.inward.weight)
        torchs.weight_hh_l0.copy_(module.onward.weight)
        torchs.bias_ih_l0.copy_(module.inward.bias)
        torchs.bias_hh_l0.copy_(module.onward.bias)
    last = torchs(module.embedding(IDS))[0][:, -1]
    assert torch.allclose(module(IDS), module.head(last), atol=1e-6)


def test_the_lstm_is_torchs_with_its_gates_in_another_order():
    module = r.lstm(width=3, classes=2, vocabulary=5)
    torchs = nn.LSTM(3, 3, batch_first=True)

    def theirs(ours):  # admit, forget, show, new -> input, forget, cell, output
        admit, forget, show, new = ours.chunk(4)
        return torch.cat([admit, forget, new, show])

    with torch.no_grad():
        torchs.weight_ih_l0.copy_(theirs(module.inward.weight))
        torchs.weight_hh_l0.copy_(theirs(module.onward.weight))
        torchs.bias_ih_l0.copy_(theirs(module.inward.bias))
        torchs.bias_hh_l0.copy_(theirs(module.onward.bias))
    last = torchs(module.embedding(IDS))[0][:, -1]
    assert torch.allclose(module(IDS), module.head(last), atol=1e-6)


def test_attention_is_torchs():
    ours = r.Attention(4, heads=2)
    torchs = nn.MultiheadAttention(4, 2, batch_first=True)
    with torch.no_grad():
        torchs.in_proj_weight.copy_(ours.inward.weight)
        torchs.in_proj_bias.copy_(ours.inward.bias)
        torchs.out_proj.load_state_dict(ours.outward.state_dict())
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours(x), torchs(x, x, x)[0], atol=1e-6)


def test_patches_are_pieces_of_the_picture_row_by_row():
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    expected = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert Patches(2)(picture).tolist() == [expected]


def test_places_tell_one_order_of_ids_from_another():
    module = r.transformer(width=4, classes=4, vocabulary=5, length=6)
    assert not torch.allclose(module(IDS), module(IDS.flip(1)), atol=1e-4)


def test_an_mlp_of_any_depth_is_there_already():
    assert mlp(inputs=20, width=2, depth=2, classes=4)(SIGNAL).shape == (3, 4)
