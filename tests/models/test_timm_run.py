"""`--model timm`: what args.yaml names, and nothing beyond timm's own networks."""

from __future__ import annotations

import pytest
import torch

from mdtree.exceptions import RecipeError, UntrustedError
from mdtree.models import build_network
from mdtree.models.timm_run import network_of_run
from mdtree.recipes import ModelSpec, Trust
from mdtree.runtime.torchvision import usable


@pytest.mark.parametrize(
    ("settings", "stated", "factory", "words"),
    [
        ("model: resnet50.a1_in1k\nnum_classes: null\ngp: null", {}, "resnet50", {}),
        (
            "model: test_vit\nnum_classes: 10\nin_chans: 1\nmodel_kwargs: {img_size: 32}",
            {},
            "test_vit",
            {"num_classes": 10, "in_chans": 1, "img_size": 32},
        ),
        (
            "model: resnet18\ninput_size: [1, 28, 28]\nnum_classes: 5",
            {"num_classes": 7},
            "resnet18",
            {"in_chans": 1, "num_classes": 7},
        ),
    ],
    ids=["a tag of weights", "further arguments", "an input size, and what the user states"],
)
def test_settings_of_the_script_become_arguments(tmp_path, settings, stated, factory, words):
    (tmp_path / "args.yaml").write_text(settings)
    assert network_of_run(tmp_path, stated) == (f"timm.models:{factory}", words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("model: hf-hub:someone/net", "not one of timm's own"),
        ("model: local-dir:/etc", "not one of timm's own"),
        ("lr: 0.1", "names the model None"),
        ("- model", "does not hold the settings"),
        ("model: resnet18\nmodel_kwargs: [1]", "model_kwargs must be a mapping"),
        ("model: [", "line"),
        (None, "cannot be read"),
    ],
)
def test_a_run_that_names_no_network_of_timm_is_refused(tmp_path, settings, words):
    if settings is not None:
        (tmp_path / "args.yaml").write_text(settings)
    with pytest.raises(RecipeError, match=words):
        network_of_run(tmp_path, {})


def test_without_a_folder_there_is_nothing_to_read():
    with pytest.raises(RecipeError, match=r"args\.yaml"):
        network_of_run(None, {})


def _built(folder, settings):
    (folder / "args.yaml").write_text(settings)
    return build_network(ModelSpec(factory="timm"), trust=Trust(), folder=folder).module


def test_the_network_is_that_of_timm(tmp_path):
    with usable():
        timm = pytest.importorskip("timm")
    settings = "model: test_resnet\nnum_classes: 3\nin_chans: 1"
    ours = _built(tmp_path, settings)
    theirs = timm.create_model("test_resnet", num_classes=3, in_chans=1).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    "settings",
    [
        "model: load_checkpoint",
        "model: test_resnet\nmodel_kwargs: {pretrained: true}",
        "model: test_resnet\nmodel_kwargs: {pretrained_cfg: {file: /etc/passwd}}",
    ],
)
def test_settings_reach_no_other_function_and_no_file(tmp_path, settings):
    with usable():
        pytest.importorskip("timm")
    with pytest.raises((RecipeError, UntrustedError)):
        _built(tmp_path, settings)
