"""Files really written by the libraries that write checkpoints, loaded with every value equal."""

from __future__ import annotations

import argparse
import json
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mdtree.checkpoints import Checkpoint, load_checkpoint
from mdtree.models import build_model, cnn
from mdtree.recipes import ModelSpec, Trust
from mdtree.runtime import torchvision as vision

IMAGES = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def trained(seed: int = 1) -> nn.Module:
    """A network whose weights and running statistics are nobody's first ones."""
    torch.manual_seed(seed)
    model = cnn(width=2)
    optimizer = torch.optim.Adam(model.parameters())
    for images in IMAGES.split([3, 4]):
        model(images).square().mean().backward()
        optimizer.step()
    return model


def check_loads(path: Path, weights: dict[str, torch.Tensor], **options: object) -> Checkpoint:
    checkpoint = load_checkpoint(path, cnn(width=2), name="it", **options)
    assert list(weights) == list(checkpoint.weights)
    for name, tensor in weights.items():
        torch.testing.assert_close(checkpoint.weights[name], tensor.detach(), rtol=0, atol=0)
    return checkpoint


def test_safetensors(tmp_path):
    weights = trained().state_dict()
    save_file(weights, tmp_path / "any.name", metadata={"format": "pt"})
    check_loads(tmp_path / "any.name", weights)


def test_safetensors_in_shards_with_an_index(tmp_path):
    weights = trained().state_dict()
    names = list(weights)
    parts = {
        "model-00001-of-00002.safetensors": names[:5],
        "model-00002-of-00002.safetensors": names[5:],
    }
    for file, keys in parts.items():
        save_file({key: weights[key] for key in keys}, tmp_path / file)
    index = {"metadata": {}, "weight_map": {k: file for file, keys in parts.items() for k in keys}}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    check_loads(path, weights)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", ["x.pt", "x.safetensors", "x"])
def test_torch_save_under_any_name(tmp_path, zipped, name):
    weights = trained().state_dict()
    torch.save(weights, tmp_path / name, _use_new_zipfile_serialization=zipped)
    assert zipped == zipfile.is_zipfile(tmp_path / name)
    check_loads(tmp_path / name, weights)


def test_a_dictionary_of_parameters_loads_without_gradients(tmp_path):
    model = trained()
    torch.save(model.state_dict(keep_vars=True), tmp_path / "x.pt")
    checkpoint = check_loads(tmp_path / "x.pt", model.state_dict())
    assert not any(tensor.requires_grad for tensor in checkpoint.weights.values())


WRAPPERS = {
    "compile": torch.compile,
    "parallel": nn.DataParallel,
    "compiled parallel": lambda model: torch.compile(nn.DataParallel(model)),
    "parallel compiled": lambda model: nn.DataParallel(torch.compile(model)),
    "averaged": AveragedModel,
    "averaged parallel": lambda model: AveragedModel(nn.DataParallel(model)),
    "compiled averaged": lambda model: torch.compile(AveragedModel(model)),
}


# torch imports its own deprecated parts when something is compiled first
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_come_off(tmp_path, wrapper):
    model = trained()
    wrapped = WRAPPERS[wrapper](model).state_dict()
    assert not wrapped.keys() & model.state_dict().keys()
    torch.save(wrapped, tmp_path / "x.pt")
    check_loads(tmp_path / "x.pt", model.state_dict())


def test_a_model_with_an_attribute_called_module_keeps_it(tmp_path):
    model = nn.Sequential()
    model.module = trained()
    torch.save(model.state_dict(), tmp_path / "x.pt")
    torch.save(nn.DataParallel(model).state_dict(), tmp_path / "parallel.pt")
    for name in ("x.pt", "parallel.pt"):
        other = nn.Sequential()
        other.module = cnn(width=2)
        weights = load_checkpoint(tmp_path / name, other, name="it").weights
        assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


# Lightning calls what torch has deprecated
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
def test_lightning(tmp_path, compiled):
    with vision.usable():
        import lightning

    class Lit(lightning.LightningModule):
        def __init__(self, lr=0.1, where=None):
            super().__init__()
            self.save_hyperparameters()
            self.net = torch.compile(cnn(width=2), backend="eager") if compiled else cnn(width=2)

        def training_step(self, batch, _):
            return self.net(batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

    lit = Lit(lr=0.01, where=tmp_path)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        log_every_n_steps=1,
    )
    trainer.fit(lit, torch.utils.data.DataLoader(IMAGES, batch_size=4))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    written = [*tmp_path.glob("checkpoints/*.ckpt"), tmp_path / "x.ckpt"]
    assert len(written) == 2
    net = lit.net._orig_mod if compiled else lit.net
    for path in written:
        check_loads(path, net.state_dict())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_torchvision_reference_script(tmp_path, zipped):
    model, average = trained(1), AveragedModel(trained(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1).state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, data_path=Path("/data"), device="cuda"),
        "model_ema": average.state_dict(),
    }
    torch.save(content, tmp_path / "m.pth", _use_new_zipfile_serialization=zipped)
    plain = check_loads(tmp_path / "m.pth", model.state_dict())
    assert plain.notes == ("weights of 'model'; the file also contains model_ema",)
    ema = check_loads(tmp_path / "m.pth", average.module.state_dict(), key="model_ema")
    assert ema.notes == ("weights of 'model_ema'",)


def test_timm_training_script(tmp_path):
    model, average = trained(1), trained(2)
    content = {
        "epoch": 3,
        "arch": "resnet18",
        "state_dict": nn.DataParallel(model).state_dict(),
        "optimizer": torch.optim.AdamW(model.parameters()).state_dict(),
        "version": 2,
        "args": argparse.Namespace(opt="adamw"),
        "state_dict_ema": average.state_dict(),
        "metric": np.float64(91.5),
    }
    torch.save(content, tmp_path / "last.pth.tar")
    check_loads(tmp_path / "last.pth.tar", model.state_dict())
    check_loads(tmp_path / "last.pth.tar", average.state_dict(), key="state_dict_ema")


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net", "weights"])
def test_containers_of_home_made_training_loops(tmp_path, key):
    model = trained()
    torch.save({"epoch": 1, key: model.state_dict(), "best": np.float32(1)}, tmp_path / "x.pt")
    check_loads(tmp_path / "x.pt", model.state_dict())


def test_tied_weights_that_are_stored_once(tmp_path):
    def tied(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        return model

    model = tied(1)
    once = {key: t for key, t in model.state_dict().items() if key != "0.weight"}
    save_model(model, tmp_path / "model.safetensors")  # keeps one of the names
    save_file(once, tmp_path / "second.safetensors")
    torch.save(model.state_dict(), tmp_path / "both.pt")
    for name in ("model.safetensors", "second.safetensors", "both.pt"):
        weights = load_checkpoint(tmp_path / name, tied(2), name="it").weights
        assert [key for key, _ in model.named_parameters()] == list(weights)
        assert all(torch.equal(model.state_dict()[key], weights[key]) for key in weights)


def test_half_precision_becomes_the_precision_of_the_model(tmp_path):
    half = {
        key: t.half() if t.is_floating_point() else t for key, t in trained().state_dict().items()
    }
    save_file(half, tmp_path / "x.safetensors")
    model = cnn(width=2)
    weights = load_checkpoint(tmp_path / "x.safetensors", model, name="it").weights
    for key, tensor in model.state_dict().items():
        assert tensor.dtype == weights[key].dtype
        assert torch.equal(half[key].to(tensor.dtype), weights[key])


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_tensors_saved_on_cuda_load_on_the_cpu(tmp_path, zipped, monkeypatch):
    weights, path = trained().state_dict(), tmp_path / "x.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    stored = zipfile.ZipFile(path).read("x/data.pkl") if zipped else path.read_bytes()
    assert b"cuda:0" in stored
    assert not zipped or "cuda:0" in [arg for _, arg, _ in pickletools.genops(stored)]
    checkpoint = check_loads(path, weights)
    assert {"cpu"} == {tensor.device.type for tensor in checkpoint.weights.values()}


@pytest.mark.parametrize("size", ["10GB", "1KB"], ids=["whole", "in shards"])
def test_huggingface_folder(tmp_path, size):
    with vision.usable():
        import transformers

    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=4,
        max_position_embeddings=16,
        num_labels=3,
    )
    torch.manual_seed(1)
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path, max_shard_size=size)
    index = tmp_path / "model.safetensors.index.json"
    assert index.exists() == (size == "1KB")
    path = index if index.exists() else tmp_path / "model.safetensors"
    spec = ModelSpec(factory="huggingface")
    fresh = build_model(spec, trust=Trust(), folder=tmp_path, seed=2)
    weights = load_checkpoint(path, fresh, name="it").weights
    assert model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
