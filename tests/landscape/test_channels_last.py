"""Which networks are run on pictures with the channels last, and that nothing else changes."""

from __future__ import annotations

import contextlib
import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch import nn

from mdtree.batch import targets
from mdtree.items import DatasetItems
from mdtree.landscape import preserved_state, with_suited_layout
from mdtree.losses import build_loss
from mdtree.models import cnn, mlp, resnet18
from mdtree.recipes import LossSpec, Trust
from tests.support.cases import IMAGES, X, Y
from tests.support.exact import cross_entropy, items, mean_square, runner_of
from tests.support.layouts import LOOKING, NEEDS_ONEDNN, Noisy, behind, lies_last

pytestmark = NEEDS_ONEDNN

PICTURES = items((IMAGES, Y))


def is_last(module, data=PICTURES, **settings):
    return with_suited_layout(runner_of(module, **settings), data).channels_last


# what decides


@pytest.mark.parametrize(
    "make", [lambda: cnn(width=8), lambda: resnet18(width=2, channels=1), lambda: cnn(width=16)]
)
def test_networks_of_16_channels_take_pictures_with_the_channels_last(make):
    assert is_last(make())


@pytest.mark.parametrize(("kernel", "expected"), [((256, 227, 3), True), ((256, 228, 3), False)])
def test_kernels_of_more_than_half_a_million_numbers_are_not_laid_out_again(kernel, expected):
    channels, inner, side = kernel  # 256 * 227 * 9 = 523008 < 2^19 = 524288 < 256 * 228 * 9
    module = nn.Sequential(nn.Conv2d(1, inner, 1), nn.Conv2d(inner, channels, side), nn.Flatten())
    assert is_last(module) is expected


@pytest.mark.parametrize(
    ("module", "data"),
    [
        (cnn(width=4), PICTURES),  # 8 channels
        (mlp(64, 32), PICTURES),
        (nn.Sequential(nn.Conv1d(5, 16, 3), nn.Flatten()), items((torch.randn(9, 5, 8), Y[:9]))),
        (nn.Linear(5, 3), items((X, Y))),
        (behind(nn.InstanceNorm2d(16), nn.Flatten()), PICTURES),
        (cnn(width=8), items((IMAGES[:0], Y[:0]))),
        (
            behind(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(16)),
            items((IMAGES[:1], Y[:1])),
        ),
        (nn.Sequential(nn.Conv3d(1, 16, 3), nn.Flatten()), items((IMAGES[:, None], Y))),
    ],
)
def test_others_stay_as_they_are(module, data):
    given = runner_of(module)
    assert with_suited_layout(given, data) is given


def test_compiled_networks_stay_as_they_are():
    module = nn.Module()  # as torch.compile wraps it; the import of the real one takes seconds
    module._orig_mod = cnn(width=8)
    module.forward = module._orig_mod.forward
    assert not is_last(module)
    in_place = cnn(width=8)
    assert is_last(in_place)
    in_place[0]._compiled_call_impl = in_place[0]._call_impl  # as nn.Module.compile does
    assert not is_last(in_place)


def test_doubles_stay_as_they_are():
    assert not is_last(cnn(width=8).double(), dtype=torch.float64)
    mixed = cnn(width=8)
    mixed[-1].double()
    assert not is_last(mixed)


def test_what_does_not_run_on_a_processor_stays_as_it_is():
    given = replace(runner_of(cnn(width=8)), device=torch.device("meta"))
    assert with_suited_layout(given, PICTURES) is given


def test_without_onednn_nothing_is_laid_out(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_last(cnn(width=8))


# what is laid out


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_laid_out_and_hold_the_same_numbers(channels):
    x = torch.randn(7, channels, 8, 8)
    runner = with_suited_layout(runner_of(cnn(width=8, channels=channels)), items((x, Y[:7])))
    batches = list(runner.batches(items((x, Y[:7]))))
    assert [len(y) for _, y in batches] == [4, 3]
    assert all(lies_last(each) for each, _ in batches)
    assert torch.equal(x, torch.cat([each for each, _ in batches]))
    kept = runner.here(items((x, Y[:7])))
    assert lies_last(kept.all[0])
    assert all(lies_last(each) for each, _ in runner.batches(kept))


class Named(nn.Module):
    """A network that takes named inputs."""

    def __init__(self):
        super().__init__()
        self.inner = cnn(width=8, classes=3)

    def forward(self, pixel_values, shift):
        return self.inner(pixel_values) + shift


def test_of_named_inputs_pictures_are_laid_out_and_nothing_else():
    data = {
        "pixel_values": IMAGES,
        "shift": torch.randn(37, 3),
        "mask": IMAGES > 0,
        "labels": torch.randn(37, 1, 4, 4),
    }
    runner = with_suited_layout(runner_of(Named(), loss=lambda out, _: out.sum(1)), items(data))
    assert runner.channels_last
    batch = next(runner.batches(items(data)))
    assert {name for name, tensor in batch.items() if tensor.dim() == 4 and lies_last(tensor)} == {
        "pixel_values"
    }
    assert all(torch.equal(tensor, data[name][:4]) for name, tensor in batch.items())


def test_targets_that_are_pictures_stay_as_they_are():
    module = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 1, 3, padding=1))
    data = items((IMAGES, IMAGES * 2))
    runner = with_suited_layout(runner_of(module, loss=mean_square), data)
    assert runner.channels_last
    x, y = runner.place((IMAGES, IMAGES * 2))
    assert lies_last(x)
    assert y.stride() == IMAGES.stride()


# networks that look at how their inputs lie


@pytest.mark.parametrize("name", LOOKING)
def test_a_network_that_looks_at_how_its_inputs_lie_is_run_as_it_was(name):
    given = runner_of(LOOKING[name]())
    assert with_suited_layout(given, PICTURES) is given


def test_a_loss_that_looks_at_the_inputs_is_run_as_it_was():
    def loss(output, batch):
        return (output - batch[0].view(-1, 64).mean(1, keepdim=True)).square().sum(1)

    def viewed(output, batch):
        return output.view(len(output), -1).square().sum(1)

    module = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 4, 3))
    coloured = torch.randn(9, 2, 8, 8)
    assert not is_last(cnn(width=8, channels=2), items((coloured, Y[:9])), loss=loss)
    assert not is_last(module, loss=viewed)
    assert is_last(module, loss=lambda output, _: output.flatten(1).square().sum(1))


def test_a_network_that_warns_or_fails_is_left_to_those_who_measure_it():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Conv2d(1, 16, 3)

        def forward(self, x):
            raise KeyError("nothing here")

    assert not is_last(Failing())
    assert not is_last(cnn(width=8, classes=1), loss=cross_entropy)  # labels 0 and 1


class OfTwoSizes(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, place):
        return torch.randn(1, 8 + place, 8), place % 3


def test_pictures_that_do_not_fit_into_one_batch_stay_as_they_are():
    assert not is_last(cnn(width=8), DatasetItems(OfTwoSizes(), torch.arange(4)))


# what stays


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.calls = cnn(width=8, classes=3), 0
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.drop = nn.Dropout()

    def forward(self, x):
        self.calls += 1
        self.seen += len(x)
        return self.drop(self.inner(x))


def test_weights_buffers_modes_and_random_numbers_stay():
    module = Counting()
    runner = runner_of(module)
    module.train()
    module.inner[1].eval()  # a part that is held still
    before = {n: t.clone() for n, t in (*module.named_parameters(), *module.named_buffers())}
    modes, state = [part.training for part in module.modules()], torch.random.get_rng_state()

    assert with_suited_layout(runner, PICTURES).channels_last
    after = dict((*module.named_parameters(), *module.named_buffers()))
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(p.grad is None for p in module.parameters())
    assert modes == [part.training for part in module.modules()]
    assert torch.equal(state, torch.random.get_rng_state())
    assert runner.meter.total.passes == 0


def test_it_is_decided_once_for_a_network_its_inputs_and_its_loss():
    module = Counting()
    given = runner_of(module)
    assert with_suited_layout(given, PICTURES).channels_last
    calls = module.calls
    assert calls > 0
    again = with_suited_layout(given, items((IMAGES[5:20], Y[5:20])))
    assert (again.channels_last, module.calls) == (True, calls)
    assert with_suited_layout(again, PICTURES) is again
    assert module.calls == calls
    larger = items((torch.randn(3, 1, 9, 9), Y[:3]))
    assert with_suited_layout(given, larger).channels_last
    assert module.calls == 2 * calls
    fails = replace(given, loss=lambda output, batch: output.view(0))
    assert not with_suited_layout(fails, larger).channels_last
    assert module.calls > 2 * calls


LAYERS = [
    nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(3), nn.AlphaDropout(), nn.AvgPool2d(2),
    nn.BatchNorm2d(16), nn.ChannelShuffle(4), nn.CircularPad2d(1), nn.Conv2d(16, 16, 3, groups=16),
    nn.Conv2d(16, 16, 3, dilation=2, stride=2, padding_mode="reflect", padding=1),
    nn.ConvTranspose2d(16, 8, 3), nn.Dropout2d(), nn.FeatureAlphaDropout(), nn.Fold(9, 4),
    nn.GELU(), nn.GLU(1), nn.GroupNorm(4, 16), nn.Hardswish(), nn.LPPool2d(2, 2),
    nn.LayerNorm([16, 6, 6]), nn.LocalResponseNorm(3), nn.MaxPool2d(2), nn.PReLU(16),
    nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.RReLU(), nn.ReflectionPad2d(1),
    nn.ReplicationPad2d(1), nn.Softmax(1), nn.Softmax2d(), nn.Threshold(0, 0),
    nn.Unflatten(1, (4, 4)), nn.Unfold(2), nn.Upsample(scale_factor=2), nn.ZeroPad2d(1),
    nn.Upsample(scale_factor=2, mode="bicubic"), nn.Upsample(scale_factor=2, mode="bilinear"),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_what_is_known_of_layers_of_torch_is_what_a_trial_finds(layer):
    module = behind(*([nn.Flatten(2)] if isinstance(layer, nn.Fold) else []), layer, nn.Flatten())
    assert is_last(module, loss=lambda output, _: output.square().sum(1))


@contextlib.contextmanager
def counted_calls():
    """List the modules that are called, as hooks of modules would show that they are there."""
    called = []
    handle = nn.modules.module.register_module_forward_pre_hook(lambda m, _: called.append(m))
    try:
        yield called
    finally:
        handle.remove()


def hooked(module):
    module[0].register_forward_hook(lambda *_: None)
    return module


def patched(module):
    module[2].forward = torch.relu
    return module


@pytest.mark.parametrize("make", [lambda: cnn(width=8), lambda: resnet18(width=2, channels=1)])
def test_networks_of_layers_that_are_known_need_no_trial(make):
    loss = build_loss(LossSpec(), Trust())
    with counted_calls() as called:
        assert is_last(make(), loss=loss)
        assert not called
        assert is_last(make(), loss=lambda output, _: output.square().sum(1))
        assert called


@pytest.mark.parametrize(
    "change",
    [hooked, patched, nn.utils.parametrizations.weight_norm, lambda m: nn.Sequential(m, Noisy())],
)
def test_networks_with_code_of_others_are_tried(change):
    module = cnn(width=8)
    if change is nn.utils.parametrizations.weight_norm:
        change(module[0])
    else:
        module = change(module)
    with counted_calls() as called:
        is_last(module, loss=build_loss(LossSpec(), Trust()))
    assert called


def test_a_loss_that_cannot_be_known_again_is_tried_again():
    class Slotted:
        __slots__ = ()

        def __call__(self, output, batch):
            return cross_entropy(output, batch)

    module = Counting()
    given = runner_of(module, loss=Slotted())
    assert with_suited_layout(given, PICTURES).channels_last
    calls = module.calls
    assert with_suited_layout(given, PICTURES).channels_last
    assert module.calls == 2 * calls


def test_no_network_is_held():
    runner = runner_of(cnn(width=8), loss=lambda output, _: output.square().sum(1))
    assert with_suited_layout(runner, PICTURES).channels_last
    held = [weakref.ref(runner.network.module), weakref.ref(runner.loss)]
    del runner
    gc.collect()
    assert [each() for each in held] == [None, None]


def test_the_decision_does_not_depend_on_chance():
    def decided(seed):
        torch.manual_seed(seed)
        return [is_last(make()) for make in (lambda: cnn(width=8), LOOKING["memory order"])]

    assert [decided(seed) for seed in range(4)] == [[True, False]] * 4


def test_frozen_networks_are_tried_forward_alone():
    assert is_last(cnn(width=8).requires_grad_(requires_grad=False))


def test_outputs_agree_to_rounding_and_equal_runs_to_the_last_bit():
    module = resnet18(width=4, classes=3, channels=1)
    plain = runner_of(module)
    last = with_suited_layout(plain, PICTURES)
    outputs = []
    for runner in (plain, last, last):
        with preserved_state(runner, 0), torch.no_grad():
            outputs.append(torch.cat([module(x) for x, _ in runner.batches(PICTURES)]))
    assert torch.equal(outputs[1], outputs[2])
    assert torch.allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-6)
    assert targets(next(last.batches(PICTURES))).equal(Y[:4])
