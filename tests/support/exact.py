"""For tests of curvature: the exact Hessian by torch.func in float64, and troublesome networks."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, hessian
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtree.batch import inputs, targets
from mdtree.datasets import Data, TensorItems
from mdtree.landscape import ModelRunner, published_hessian
from mdtree.metrics import MetricInput
from mdtree.metrics.hessian import HESSIAN
from mdtree.models import Network, cnn
from tests.support.cases import IMAGES, X

with warnings.catch_warnings():  # torch's own way to forward derivatives warns of torch's own past
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
    hessian(torch.sum)(torch.ones(1))


def cross_entropy(output, batch):
    return F.cross_entropy(output, targets(batch), reduction="none")


def mean_square(output, batch):
    wanted = targets(batch).reshape(output.shape).to(output.dtype)
    return (output - wanted).square().reshape(len(output), -1).mean(1)


def loss_for(data):
    """Choose by the targets, as a recipe would."""
    return mean_square if targets(data).is_floating_point() else cross_entropy


def runner_of(module, *, loss=cross_entropy, batch_size=4, dtype=None):
    return ModelRunner(
        network=Network(module.eval()),
        loss=loss,
        batch_size=batch_size,
        device=torch.device("cpu"),
        dtype=dtype,
    )


PROTOCOLS = ["standard-1", "paper-1"]
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", PROTOCOLS)


def mlp():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def weights_of(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def with_statistics():
    """Return a small network whose BatchNorm has seen data."""
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
    module.train()(X * 2 + 1)
    return module


def cnn_with_statistics():
    """Return a convolutional network whose BatchNorm has seen images."""
    module = cnn(width=2, classes=3)
    module.train()(IMAGES * 2)
    return module


def published_estimate(module, data, *, seed=1, loss=cross_entropy, runner=None, weights=None):
    """Estimate as the published method does, with the random numbers of a seed."""
    runner = runner or runner_of(module, loss=loss)
    torch.manual_seed(seed)
    return published_hessian(runner, weights or weights_of(module), items(data))


def double(data):
    """Make what is a float a double."""
    if isinstance(data, torch.Tensor):
        return data.double() if data.is_floating_point() else data
    if isinstance(data, tuple):
        return tuple(double(part) for part in data)
    return {name: double(part) for name, part in data.items()}


def loss_at(runner, weights, data):
    """Give the mean loss as a function of the vector of trained parameters, and that vector."""
    module = copy.deepcopy(runner.network.module).double().eval()
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    own = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    fixed = double({name: tensor.detach() for name, tensor in weights.items() if name in own})
    batch = double(data)
    positional, named = inputs(batch)

    def loss(vector):
        parts = vector.split([fixed[name].numel() for name in names])
        moved = {name: part.view(fixed[name].shape) for name, part in zip(names, parts)}  # noqa: B905
        output = functional_call(module, {**fixed, **moved}, positional, named)
        return runner.loss(getattr(output, "logits", output), batch).mean()

    return loss, torch.cat([fixed[name].reshape(-1) for name in names])


def exact_hessian(runner, weights, data):
    loss, vector = loss_at(runner, weights, data)
    with sdpa_kernel(SDPBackend.MATH):
        return hessian(loss)(vector).detach()


def exact_product(runner, weights, data, direction):
    loss, vector = loss_at(runner, weights, data)
    with sdpa_kernel(SDPBackend.MATH):
        return grad(lambda at: grad(loss)(at) @ direction.double())(vector).detach()


def items(data):
    return TensorItems(data)


def subject(module, members, data, protocol="standard-1", *, seed=0, **kwargs):
    return MetricInput(
        runner=runner_of(module, **{"loss": loss_for(data), "batch_size": 20, **kwargs}),
        members={f"seed-{place}": weights for place, weights in enumerate(members)},
        data=Data(items(data), None),
        protocol=protocol,
        seed=seed,
    )


def measure(*args, **kwargs):
    return HESSIAN.compute(subject(*args, **kwargs))


def top_and_trace(result):
    return [result.values[name] for name in ("hessian_top", "hessian_trace")]


class OnceDifferentiable(torch.autograd.Function):
    """The identity, whose derivative has none."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient


class FollowedBy(nn.Linear):
    """A linear network behind which a function is called."""

    def __init__(self, function):
        super().__init__(5, 3)
        self.function = function

    def forward(self, x):
        return self.function(super().forward(x))


class Greedy(nn.Sequential):
    """A network for at most `most` items at a time."""

    most = 3

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


class Odd(nn.Module):
    """Parameters that PyHessian stumbles over: unused, frozen, and of constant gradient."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.ones(2))
        self.used = nn.Linear(5, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)
        self.linear = nn.Parameter(torch.ones(5, 2))

    def forward(self, x):
        return self.frozen(self.used(x).tanh()) + x @ self.linear


def linear_loss(output, _batch):
    return -output.sum(1)
