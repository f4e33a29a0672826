from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.landscape.curvature.convolution import FastConvolutions, _Convolution, _Geometry

IMAGES = torch.randn(3, 2, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.tensor([0, 2, 1])


class Classified(nn.Sequential):
    """Layers, then the mean over what is left of an image."""

    def forward(self, x):
        return super().forward(x).flatten(2).mean(2)


def normalised(norm):
    """Give a BatchNorm statistics that are not those of a fresh one."""
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    if norm.affine:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    return norm


class Twice(nn.Module):
    """A convolution whose output is normalised and used as it is, too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), normalised(nn.BatchNorm2d(3))

    def forward(self, x):
        y = self.conv(x)
        return (self.norm(y) * y).flatten(2).mean(2)


class Viewed(nn.Module):
    """As in the tutorials: a view of what lies with the channels last."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 3, 3), nn.Linear(60, 3)

    def forward(self, x):
        return self.head(self.conv(x).tanh().view(-1, 60))


class Changed(nn.Module):
    """An output that is changed in place before it is normalised: it may not be folded."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), normalised(nn.BatchNorm2d(3))

    def forward(self, x):
        return self.norm(F.softplus(self.conv(x)).mul_(2).relu_()).flatten(2).mean(2)


class ChangedItself(Changed):
    def forward(self, x):
        return self.norm(self.conv(x).mul_(2).sigmoid_()).flatten(2).mean(2)


NETS = {
    "plain": lambda: Classified(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 3)),
    "without a bias": lambda: Classified(
        nn.Conv2d(2, 4, 3, bias=False), nn.Tanh(), nn.Conv2d(4, 3, 1, bias=False)
    ),
    "strided and dilated": lambda: Classified(
        nn.Conv2d(2, 4, 3, stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        nn.Softplus(),
        nn.Conv2d(4, 3, (2, 1)),
    ),
    "groups": lambda: Classified(
        nn.Conv2d(2, 4, 3, groups=2, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3)
    ),
    "padding by word": lambda: Classified(
        nn.Conv2d(2, 3, 3, padding="same"), nn.Tanh(), nn.Conv2d(3, 3, 3, padding="valid")
    ),
    "circular padding": lambda: Classified(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.Tanh()
    ),
    "transposed": lambda: Classified(nn.ConvTranspose2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 3)),
    "normalised": lambda: Classified(
        nn.Conv2d(2, 4, 3, bias=False),
        normalised(nn.BatchNorm2d(4)),
        nn.Tanh(),
        nn.Conv2d(4, 3, 3),
        normalised(nn.BatchNorm2d(3, affine=False)),
    ),
    "normalised before": lambda: Classified(
        normalised(nn.BatchNorm2d(2)), nn.Softplus(), nn.Conv2d(2, 3, 3)
    ),
    "statistics of the batch": lambda: Classified(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.Tanh()
    ),
    "twice": Twice,
    "viewed": Viewed,
    "changed": Changed,
    "changed itself": ChangedItself,
}


def product_of(module, x, y):
    """Differentiate the loss twice, along a fixed direction."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    loss = F.cross_entropy(module(x), y)
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    source = torch.Generator().manual_seed(1)
    direction = [torch.randn(w.shape, generator=source, dtype=torch.float64) for w in weights]
    outputs = [g for g in gradients if g.requires_grad]
    along = [d.to(g) for d, g in zip(direction, gradients, strict=True) if g.requires_grad]
    products = torch.autograd.grad(outputs, weights, along, allow_unused=True)
    return [*gradients, *(p for p in products if p is not None)]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_and_products_are_those_of_torch(name, dtype):
    torch.manual_seed(0)
    module = NETS[name]().to(dtype).eval()
    plain = product_of(module, IMAGES.to(dtype), Y)

    with FastConvolutions() as fast:
        ours = product_of(module, IMAGES.to(dtype), Y)

    assert fast.used
    accuracy = {"rtol": 1e-9, "atol": 1e-11} if dtype is torch.float64 else {}
    accuracy = accuracy or {"rtol": 1e-3, "atol": 1e-5}
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, **accuracy)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_derivatives_of_any_order_are_right(dimensions):
    """By finite differences, of each of the three maps."""
    torch.manual_seed(0)
    shape = (4, 3, 5)[:dimensions]
    x = torch.randn(2, 2, *shape, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, *(2,) * dimensions, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    geometry = _Geometry(
        stride=(1, 2, 1)[:dimensions],
        padding=(1,) * dimensions,
        dilation=(1,) * dimensions,
        groups=2,
    )

    def convolve(*tensors):
        return _Convolution.apply(*tensors, geometry)

    assert torch.autograd.gradcheck(convolve, (x, weight, bias))
    assert torch.autograd.gradgradcheck(convolve, (x, weight, bias))


def test_what_needs_no_gradient_gets_none():
    module = Classified(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 3)).double()
    module[0].bias.requires_grad_(requires_grad=False)
    module[2].weight.requires_grad_(requires_grad=False)
    plain = product_of(module, IMAGES, Y)
    with FastConvolutions():
        ours = product_of(module, IMAGES, Y)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_only_what_it_knows_counts_as_used():
    with FastConvolutions() as fast:
        nn.Linear(2, 3)(torch.ones(4, 2))
        nn.Conv2d(2, 3, 3)(torch.ones(2, 5, 5))  # one image that is not in a batch
    assert not fast.used


def test_a_view_that_no_copy_can_have_is_an_error_as_before():
    with FastConvolutions(), pytest.raises(RuntimeError, match="invalid for input of size"):
        torch.ones(2, 3).view(7)
