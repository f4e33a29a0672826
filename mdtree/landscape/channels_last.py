"""Pictures with their channels last: so laid out, convolutions are faster on a CPU.

oneDNN computes on blocks of channels, and a batch that comes with the channels last is neither
reordered before the first layer nor after the last: a convolution hands the layout on, so only the
inputs need to be laid out.  Passes of 28 networks on 8x8 to 64x64 pixels then took 0.5 to 1.05
times as long.  Networks of fewer than 16 channels took 0.7 to 1.4 times as long, and those with
large kernels, which are laid out anew for each batch, 0.8 to 1.5 times: both stay as they were.

The layout changes no number but for rounding, unless the code of a network, or its loss, looks at
strides or calls `.view`, which fails.  So both are tried on two items, and what fails or differs is
run as it was.  Networks of torch's own layers and ours need no trial, which takes as long as 25 ms
of ResNet-18.  Only counts decide, never a clock: equal seeds give equal numbers.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mdtree.batch import Batch, inputs
from mdtree.exceptions import DataError
from mdtree.items import Items
from mdtree.landscape.parameters import trainable_parameters
from mdtree.landscape.reproducibility import preserved_state
from mdtree.landscape.runner import ModelRunner, is_picture
from mdtree.network import Loss, Run

__all__ = ["with_suited_layout"]

_LEAST = 16  # output channels of the widest convolution; oneDNN computes on 8 or 16 at a time
_MOST = 1 << 19  # numbers of a kernel
_ITEMS = 2  # that are tried; BatchNorm cannot be trained on one
_ROUNDING = 1e-3  # of the largest output
_KINKS = 0.05  # of the length of the gradient, which rounding changes where a ReLU begins
_KNOWN = ("torch.nn.modules.", "mdtree.models.architectures")  # whose code goes by indices alone
_KNOWN_LOSSES = ("mdtree.losses", "mdtree.tokens")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """What was decided for a network with these inputs and this loss."""

    inputs: tuple[tuple[torch.Size, torch.dtype], ...]  # of one item each
    loss: Callable[[], Loss | None]
    is_last: bool


# by the network, of which nothing is held
_decisions: weakref.WeakKeyDictionary[nn.Module, _Decision] = weakref.WeakKeyDictionary()


def with_suited_layout(runner: ModelRunner, items: Items) -> ModelRunner:
    """Return a runner that lays pictures out as its network takes them fastest.

    It is decided once for a network, its loss and the form of its inputs.  The network may be run
    on two items for it; its weights, buffers and modes, and the random state stay as they are.

    Args:
        runner: The network and its loss.
        items: What it will be run on.
    """
    if runner.channels_last or not _may_gain(runner):
        return runner
    try:
        with preserved_state(runner, 0):
            batch = next(items.batches(_ITEMS), None)
    except DataError:  # pictures of two sizes, say, which can be run one by one
        return runner
    if batch is None or not any(is_picture(tensor) for tensor in _inputs(runner.place(batch))):
        return runner
    last = replace(runner, channels_last=True)
    return last if _is_known(runner) or _is_decided(runner, last, batch) else runner


def _may_gain(runner: ModelRunner) -> bool:
    """Return whether the network is one of those that were faster when they were timed."""
    if runner.device.type != "cpu" or not _has_onednn():
        return False
    module = runner.network.module
    parts = list(module.modules())
    layers = [part for part in parts if isinstance(part, nn.Conv2d)]
    floats = [p for p in module.parameters() if p.is_floating_point()]
    return (
        any(layer.out_channels >= _LEAST for layer in layers)
        and all(layer.weight.numel() <= _MOST for layer in layers)
        and all(p.dtype is torch.float32 for p in floats)
        and not any(isinstance(part, nn.InstanceNorm2d) for part in parts)  # turns the layout back
        and not any(map(_is_compiled, parts))  # for each layout anew, which takes minutes
    )


def _has_onednn() -> bool:
    has: Callable[[], bool] = torch.backends.mkldnn.is_available
    return has()


def _is_compiled(part: nn.Module) -> bool:
    return hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None


def _is_known(runner: ModelRunner) -> bool:
    """Return whether nobody else's code is run."""
    parts = runner.network.module.modules()
    return getattr(runner.loss, "__module__", None) in _KNOWN_LOSSES and all(map(_is_plain, parts))


def _is_plain(part: nn.Module) -> bool:
    own = vars(part)
    is_changed = "forward" in own or any(own.get(name) for name in _HOOKS)
    return type(part).__module__.startswith(_KNOWN) and not is_changed


def _is_decided(plain: ModelRunner, last: ModelRunner, batch: Batch) -> bool:
    module = plain.network.module
    form = tuple((tensor.shape[1:], tensor.dtype) for tensor in _inputs(plain.place(batch)))
    known = _decisions.get(module)
    if known is None or known.inputs != form or known.loss() is not plain.loss:
        is_last = _agree(plain, last, batch)
        known = _Decision(inputs=form, loss=_reference(plain.loss), is_last=is_last)
        _decisions[module] = known
    return known.is_last


def _reference(loss: Loss) -> Callable[[], Loss | None]:
    try:
        return weakref.ref(loss)
    except TypeError:  # what has slots cannot be known again
        return lambda: None


def _agree(plain: ModelRunner, last: ModelRunner, batch: Batch) -> bool:
    """Return whether a batch gives the same in both layouts, and can be trained on in the other.

    In training, dropout draws its numbers in the order of memory, so that numbers may differ.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a network warns of, it does when it is measured
        try:
            expected, gradient = _passed(plain, batch, trains=False)
            output, other = _passed(last, batch, trains=False)
            _passed(last, batch, trains=True)
            largest, length = expected.abs().max(), torch.linalg.vector_norm(gradient)
            return (
                output.shape == expected.shape
                and bool((output - expected).abs().max() <= _ROUNDING * largest)
                and bool(torch.linalg.vector_norm(other - gradient) <= _KINKS * length)
            )
        except Exception:  # noqa: BLE001 - a user's code can raise anything
            return False


def _passed(runner: ModelRunner, batch: Batch, *, trains: bool) -> tuple[Tensor, Tensor]:
    """Run a batch forward and backward, at copies of weights and buffers."""
    module, layout = runner.network.module, trainable_parameters(runner.network)
    named = (*module.named_parameters(), *module.named_buffers())
    weights = {name: tensor.detach().clone() for name, tensor in named}
    leaves = [weights[name].requires_grad_() for name in layout.shapes]
    here = runner.place(batch)

    def work(run: Run) -> tuple[Tensor, Tensor]:
        output = run(here)
        loss = runner.losses(output, here).mean()
        if not loss.requires_grad:
            return output.detach(), loss.unsqueeze(0)
        gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
        return output.detach(), layout.joined(gradients)

    with preserved_state(runner, 0):
        module.train(trains)
        return runner.network.with_weights(weights, work)


def _inputs(batch: Batch) -> tuple[Tensor, ...]:
    positional, named = inputs(batch)
    return (*positional, *named.values())
