"""Which networks are run on pictures with the channels last, and what that is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mdtree.batch import targets
from mdtree.landscape import preserved_state, with_suited_layout
from mdtree.losses import build_loss
from mdtree.models import cnn, mlp, resnet18
from mdtree.recipes import LossSpec, Trust
from tests.support.cases import IMAGES, Y
from tests.support.exact import items, runner_of
from tests.support.layouts import LOOKING, NEEDS_ONEDNN, Viewed, behind, lies_last

pytestmark = NEEDS_ONEDNN

PICTURES = items((IMAGES, Y))
LOSS = build_loss(LossSpec(), Trust())


def laid_out(module, *, loss=LOSS, **settings):
    return with_suited_layout(runner_of(module, loss=loss, **settings))


def is_last(module, **settings):
    return laid_out(module, **settings).channels_last


# what decides


@pytest.mark.parametrize(
    "make", [lambda: cnn(width=8), lambda: resnet18(width=4, channels=1), lambda: cnn(width=16)]
)
def test_networks_of_16_channels_take_pictures_with_the_channels_last(make):
    assert is_last(make())


@pytest.mark.parametrize(("kernel", "expected"), [((256, 227, 3), True), ((256, 228, 3), False)])
def test_kernels_of_more_than_half_a_million_numbers_are_not_laid_out_again(kernel, expected):
    channels, inner, side = kernel  # 256 * 227 * 9 = 523008 < 2^19 = 524288 < 256 * 228 * 9
    module = nn.Sequential(nn.Conv2d(1, inner, 1), nn.Conv2d(inner, channels, side), nn.Flatten())
    assert is_last(module) is expected


@pytest.mark.parametrize(
    "module",
    [
        cnn(width=4),  # 8 channels
        resnet18(width=2, channels=1),  # 2 to 16
        resnet18(width=3, channels=1),
        mlp(64, 32),
        nn.Sequential(nn.Conv1d(5, 16, 3), nn.Flatten()),
        nn.Sequential(nn.Conv3d(1, 16, 3), nn.Flatten()),
        behind(nn.InstanceNorm2d(16), nn.Flatten()),
        behind(nn.Dropout2d(), nn.Flatten()),  # which draws in the order of memory
        behind(nn.LazyLinear(3)),
        nn.Sequential(nn.LazyConv2d(16, 3), nn.Flatten()),
        cnn(width=8).double(),
        cnn(width=8).append(nn.Linear(3, 3).double()),
    ],
)
def test_others_stay_as_they_are(module):
    assert not is_last(module)


def test_dropout_that_drops_nothing_is_none():
    assert is_last(behind(nn.Dropout(0.0), nn.Flatten()))


def test_what_does_not_run_on_a_processor_stays_as_it_is():
    given = replace(runner_of(cnn(width=8), loss=LOSS), device=torch.device("meta"))
    assert not with_suited_layout(given).channels_last


def test_without_onednn_nothing_is_laid_out(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_last(cnn(width=8))


# code of others


@pytest.mark.parametrize("name", LOOKING)
def test_a_network_with_code_of_its_own_is_run_as_it_was(name):
    assert not is_last(LOOKING[name]())


def hooked(module):
    module[0].register_forward_hook(lambda *_: None)
    return module


def patched(module):
    module[2].forward = torch.relu
    return module


def tiled(module):
    module[0]._conv_forward = module[0]._conv_forward  # of which another one pads pictures
    return module


def normed(module):
    nn.utils.parametrizations.weight_norm(module[0])
    return module


def compiled(module):
    module[0]._compiled_call_impl = module[0]._call_impl  # as nn.Module.compile does
    return module


@pytest.mark.parametrize(
    "change", [hooked, patched, tiled, normed, compiled, lambda m: nn.Sequential(m, Viewed())]
)
def test_a_network_that_was_changed_is_run_as_it_was(change):
    assert is_last(cnn(width=8))
    assert not is_last(change(cnn(width=8)))


def test_a_loss_of_ones_own_may_look_at_the_inputs():
    assert not is_last(cnn(width=8), loss=lambda output, batch: output.sum(1) + batch[0].view(-1))


def test_deciding_runs_nothing_and_draws_no_random_numbers():
    module = cnn(width=8)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state, called = torch.random.get_rng_state(), []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda m, _: called.append(m))
    try:
        runner = laid_out(module)
    finally:
        handle.remove()
    assert runner.channels_last
    assert not called
    assert runner.meter.total.passes == 0
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(tensor, before[n]) for n, tensor in module.state_dict().items())


# what is laid out


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_laid_out_and_hold_the_same_numbers(channels):
    x = torch.randn(7, channels, 8, 8)
    runner = laid_out(cnn(width=8, channels=channels))
    batches = list(runner.batches(items((x, Y[:7]))))
    assert [len(y) for _, y in batches] == [4, 3]
    assert all(lies_last(each) for each, _ in batches)
    assert torch.equal(x, torch.cat([each for each, _ in batches]))
    kept = runner.here(items((x, Y[:7])))
    assert lies_last(kept.all[0])
    assert all(lies_last(each) for each, _ in runner.batches(kept))


def test_of_named_inputs_pictures_are_laid_out_and_nothing_else():
    data = {
        "pixel_values": IMAGES,
        "shift": torch.randn(37, 3),
        "mask": IMAGES > 0,
        "labels": torch.randn(37, 1, 4, 4),
    }
    batch = next(laid_out(cnn(width=8)).batches(items(data)))
    assert {name for name, tensor in batch.items() if tensor.dim() == 4 and lies_last(tensor)} == {
        "pixel_values"
    }
    assert all(torch.equal(tensor, data[name][:4]) for name, tensor in batch.items())


def test_targets_that_are_pictures_stay_as_they_are():
    x, y = laid_out(cnn(width=8)).place((IMAGES, IMAGES * 2))
    assert lies_last(x)
    assert y.stride() == IMAGES.stride()


def test_other_inputs_stay_as_they_are():
    runner = laid_out(cnn(width=8))
    for x in (IMAGES.double(), IMAGES[:, 0], IMAGES.flatten(1)):
        assert runner.place((x, Y))[0].stride() == x.stride()


LAYERS = [
    nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(3), nn.AvgPool2d(2),
    nn.BatchNorm2d(16), nn.ChannelShuffle(4), nn.CircularPad2d(1), nn.Conv2d(16, 16, 3, groups=16),
    nn.Conv2d(16, 16, 3, dilation=2, stride=2, padding_mode="reflect", padding=1),
    nn.ConvTranspose2d(16, 8, 3), nn.Fold(9, 4),
    nn.GELU(), nn.GLU(1), nn.GroupNorm(4, 16), nn.Hardswish(), nn.LPPool2d(2, 2),
    nn.LayerNorm([16, 6, 6]), nn.LocalResponseNorm(3), nn.MaxPool2d(2), nn.PReLU(16),
    nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.RReLU(), nn.ReflectionPad2d(1),
    nn.ReplicationPad2d(1), nn.Softmax(1), nn.Softmax2d(), nn.Threshold(0, 0),
    nn.Unflatten(1, (4, 4)), nn.Unfold(2), nn.Upsample(scale_factor=2), nn.ZeroPad2d(1),
    nn.Upsample(scale_factor=2, mode="bicubic"), nn.Upsample(scale_factor=2, mode="bilinear"),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_of_torch_give_the_same_in_both_layouts(layer):
    """Outputs in both modes, and gradients, but for what rounding changes at the kinks of ReLU."""
    torch.manual_seed(0)
    module = behind(*([nn.Flatten(2)] if isinstance(layer, nn.Fold) else []), layer, nn.Flatten())
    last = laid_out(module)
    assert last.channels_last
    for trains in (False, True):
        found = []
        for runner in (replace(last, channels_last=False), last):
            with preserved_state(runner, 0):
                module.train(trains)
                output = module(runner.place((IMAGES[:5], Y[:5]))[0])
                slope = torch.linspace(-1, 1, output.numel()).reshape(output.shape)
                gradients = torch.autograd.grad((output * slope).sum(), [*module.parameters()])
            found.append((output, torch.cat([part.flatten() for part in gradients])))
        for one, other in zip(*found, strict=True):
            distance, length = torch.linalg.vector_norm(one - other), torch.linalg.vector_norm(one)
            assert distance <= 0.02 * length


def test_outputs_agree_to_rounding_and_equal_runs_to_the_last_bit():
    module = resnet18(width=4, classes=3, channels=1)
    last = laid_out(module)
    plain = replace(last, channels_last=False)
    outputs = []
    for runner in (plain, last, last):
        with preserved_state(runner, 0), torch.no_grad():
            outputs.append(torch.cat([module(x) for x, _ in runner.batches(PICTURES)]))
    assert torch.equal(outputs[1], outputs[2])
    assert torch.allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-6)
    assert targets(next(last.batches(PICTURES))).equal(Y[:4])
