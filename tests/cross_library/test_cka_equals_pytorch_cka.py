"""CKA of features, and of all layers of two networks, is that of pytorch-cka."""

from __future__ import annotations

import pytest

from mdtree.landscape import Kernel, cka
from mdtree.metrics.layers import LAYERS
from mdtree.models import cnn
from tests.support.cases import IMAGES, Y, group, subject
from tests.support.similarity import SHAPES, features


@pytest.fixture
def rival():
    return pytest.importorskip("cka", reason="needs a rival: pip install pytorch-cka")


@SHAPES
def test_features_are_as_similar_as_pytorch_cka_finds_them(rival, n, d, e):
    x, y = features(n, d, e)

    theirs = float(rival.cka_from_features(x, y))  # which cuts what is below 0
    assert theirs == pytest.approx(max(0.0, cka(Kernel.of(x), Kernel.of(y), debiased=True)))


def test_layers_are_as_similar_as_pytorch_cka_finds_them(rival):
    make = lambda: cnn(width=2, classes=3)  # noqa: E731
    module, members = group(make, 2)

    result = LAYERS.compute(subject(module, members, (IMAGES, Y)))

    columns = result.details["layers"].columns
    keys = zip(columns["row"], columns["column"], strict=True)
    similarities = dict(zip(keys, columns["cka"], strict=True))
    models = [make(), make()]
    for model, weights in zip(models, members, strict=True):
        model.load_state_dict(weights)
    (theirs,) = rival.compute_cka(*models, [[(IMAGES, Y)]], progress=False, device="cpu")
    names = [name for name, _ in module.named_modules() if name]
    assert [(row, column) for row in names for column in names] == list(similarities)
    assert theirs.flatten().tolist() == pytest.approx(  # cut below 0, in float32, not centred
        [max(0.0, value) for value in similarities.values()], abs=2e-3
    )
