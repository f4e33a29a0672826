from __future__ import annotations

import csv
import random

import numpy as np
import pytest
import torch
from torch import nn

from mdtree.exceptions import RecipeError
from mdtree.models import MODELS, build_model, build_network, cnn, mlp, resnet18
from mdtree.recipes import ModelSpec, Trust
from mdtree.runtime import torchvision as vision

ANY = Trust(any_factory=True)


def build(factory: str, seed: int = 0, trust: Trust = ANY, **kwargs: object) -> nn.Module:
    return build_model(ModelSpec(factory=factory, kwargs=kwargs), trust=trust, seed=seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def resnet18_parameters(k: int, classes: int, channels: int) -> int:
    """By hand, from the architecture.

    Stem: 9ck + 2k.  Stage 1: four 3x3 convolutions k -> k and their norms: 36k^2 + 8k.  A later
    stage of m channels: 9(m/2)m + 3 * 9m^2, the shortcut (m/2)m, five norms of 2m: 32m^2 + 10m,
    for m = 2k, 4k, 8k: 2688k^2 + 140k.  Head: 8kn + n.
    """
    return 2724 * k**2 + (150 + 9 * channels + 8 * classes) * k + classes


@pytest.mark.parametrize("width", [1, 2, 3, 8, 45, 128])
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (7, 1)])
def test_resnet18_has_the_parameters_of_its_architecture(width, classes, channels):
    with torch.device("meta"):
        model = resnet18(width, classes, channels)
    assert resnet18_parameters(width, classes, channels) == count(model)


def test_resnet18_has_the_parameters_of_the_published_zoo(published_table):
    with published_table.open() as file:
        published = {int(row["width"]): int(row["para_amount"]) for row in csv.DictReader(file)}
    assert len(published) == 13
    assert (published[2], published[128]) == (11420, 44662922)
    for width, parameters in published.items():
        with torch.device("meta"):
            assert parameters == count(resnet18(width=width))
        assert parameters == resnet18_parameters(width, 10, 3)


@pytest.mark.parametrize("size", [8, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnet18_halves_the_image_at_stages_2_to_4(size, channels):
    model = resnet18(width=2, classes=5, channels=channels).eval()
    shapes = []
    for block in model.blocks:
        block.register_forward_hook(lambda m, i, y: shapes.append(tuple(y.shape)))
    with torch.no_grad():
        assert model(torch.zeros(3, channels, size, size)).shape == (3, 5)
    half, quarter, eighth = (-(-size // n) for n in (2, 4, 8))  # rounded up
    expected = [(3, 2, size, size)] * 2 + [(3, 4, half, half)] * 2
    expected += [(3, 8, quarter, quarter)] * 2 + [(3, 16, eighth, eighth)] * 2
    assert expected == shapes


def test_resnet18_computes_what_torchvisions_does_behind_another_stem():
    """Stages and head of torchvision's network, at width 64, with the same weights."""
    ours = resnet18(width=64).eval()
    theirs = vision.torchvision("torchvision.models").resnet18(num_classes=10).eval()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    given, wanted = ours.state_dict().values(), theirs.state_dict()
    assert [tensor.shape for tensor in wanted.values()] == [tensor.shape for tensor in given]
    theirs.load_state_dict(dict(zip(wanted, given, strict=True)))
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("size", [8, 28, 32])
def test_small_networks_fit_images_of_any_size(size):
    images = torch.zeros(3, 2, size, size)
    assert cnn(width=3, classes=4, channels=2)(images).shape == (3, 4)
    assert mlp(inputs=2 * size**2, width=5, depth=3, classes=4)(images).shape == (3, 4)


def test_small_networks_have_the_parameters_of_their_layers():
    w, n, c = 3, 4, 2
    expected = (9 * c * w + w) + 2 * w + (18 * w**2 + 2 * w) + 4 * w + (8 * w * n + n)
    assert expected == count(cnn(width=w, classes=n, channels=c))
    assert count(mlp(7, width=5, depth=2, classes=4)) == 7 * 5 + 5 + 5 * 5 + 5 + 5 * 4 + 4
    assert count(mlp(7, depth=0, classes=4)) == 7 * 4 + 4


@pytest.mark.parametrize("name", MODELS)
def test_own_networks_by_name(name):
    assert type(build(name)) is type(MODELS[name]())


@pytest.mark.parametrize(
    ("factory", "kind"),
    [("vgg11", "VGG"), ("mobilenet_v2", "MobileNetV2"), ("torchvision.models:resnet18", "ResNet")],
)
def test_networks_of_torchvision_by_name(factory, kind):
    model = build(factory, trust=Trust(), num_classes=3).eval()
    assert kind == type(model).__name__
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_resnet18_is_ours_and_torchvisions_needs_its_full_name():
    assert type(build("resnet18")) is not type(build("torchvision.models:resnet18"))


@pytest.mark.parametrize("name", ["resnet81", "mobilenetv2", "hugging_face"])
def test_an_unknown_name_is_told_with_the_nearest(name):
    nearest = {"resnet81": "resnet18", "mobilenetv2": "mobilenet_v2", "hugging_face": "huggingface"}
    with pytest.raises(RecipeError, match=f"{name!r} is unknown, did you mean '{nearest[name]}'"):
        build(name)


def test_networks_that_do_not_classify_are_unknown_so_none_fetches_a_backbone():
    with pytest.raises(RecipeError, match="'fcn_resnet50' is unknown"):
        build("fcn_resnet50")


@pytest.mark.parametrize("kwargs", [{"weights": "DEFAULT"}, {"pretrained": True}])
def test_weights_of_others_are_refused(kwargs):
    with pytest.raises(RecipeError, match=f"leave out {next(iter(kwargs))!r}, mdtree loads your"):
        build("vgg11", **kwargs)
    assert build("mobilenet_v2", weights=None, num_classes=2) is not None


def test_wrong_arguments_are_told_with_the_right_ones():
    with pytest.raises(RecipeError, match=r"'widht', did you mean 'width'\?.*classes, channels"):
        build("resnet18", widht=3)


def test_a_factory_must_return_a_module():
    for factory, kind in {"builtins:dict": "dict", "torch:rand": "Tensor"}.items():
        kwargs = {"size": [2]} if kind == "Tensor" else {}
        with pytest.raises(RecipeError, match=f"{factory}' must return .*Module, got a {kind}"):
            build(factory, **kwargs)


@pytest.mark.parametrize("factory", ["resnet18", "cnn", "mlp", "mobilenet_v2", "torch.nn:Linear"])
def test_first_weights_come_from_the_seed_and_global_numbers_are_left_alone(factory):
    kwargs = {"in_features": 3, "out_features": 2} if "Linear" in factory else {}
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    one, again, other = (build(factory, seed=seed, **kwargs).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()


def test_a_network_for_measuring_is_in_evaluation_mode():
    spec = ModelSpec(factory="cnn")
    assert build_model(spec, trust=ANY).training
    assert not any(part.training for part in build_network(spec, trust=ANY).module.modules())
