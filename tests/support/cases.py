"""Cases that many tests share: networks with 37 items each, spectra, lines and answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mdtree.datasets import Data, TensorItems
from mdtree.failure_modes import RoomForImprovement
from mdtree.landscape import ModelRunner
from mdtree.metrics import MetricInput
from mdtree.models import Network, cnn
from mdtree.models.architectures import ResNet
from mdtree.runtime import torchvision as vision

torch.manual_seed(0)
X, Y = torch.randn(37, 5), torch.arange(37) % 3
IMAGES = torch.randn(37, 1, 8, 8)
WORDS = torch.randint(0, 11, (37, 6))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.inner(x)[0][:, -1])


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(encoder, nn.Flatten(), nn.Linear(48, 3))


class Padded(nn.Module):
    """A transformer that torch runs past its modules, on nested tensors, where it can."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder, self.last = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

    def forward(self, x, padding):
        return self.last(self.encoder(x, src_key_padding_mask=padding).mean(1))


def bert():
    with vision.usable():
        transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=6, num_labels=3,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def plain():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3))


def residual():
    """Return a ResNet of two blocks: one adds its input as it is, the other by a convolution."""
    return ResNet(width=1, classes=3, channels=1, blocks=(1, 1))


def normed():
    parts = nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.LayerNorm([4, 6, 6]), nn.Flatten()
    return nn.Sequential(*parts, nn.Dropout(), nn.Linear(144, 3))


def words():
    return nn.Sequential(nn.Embedding(11, 4), nn.Flatten(), nn.Linear(24, 3))


NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)), (X, Y)),
    "regression": (lambda: nn.Linear(5, 4), (X, torch.rand(37, 4))),
    "one number": (lambda: nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)), (X, torch.rand(37))),
    "cnn": (plain, (IMAGES, Y)),
    "batch norm": (lambda: cnn(width=2, classes=3), (IMAGES, Y)),
    "residual": (residual, (IMAGES, Y)),
    "group and layer norm": (normed, (IMAGES, Y)),
    "lstm": (Lstm, (torch.randn(37, 6, 4), Y)),
    "transformer": (transformer, (torch.randn(37, 6, 8), Y)),
    "words": (words, (WORDS, Y)),
    "bert": (bert, {"input_ids": WORDS, "attention_mask": torch.ones_like(WORDS), "labels": Y}),
}  # fmt: skip


def group(make, count, seed=0):
    """Give a network, and the weights of some trained with different seeds: here, not trained."""
    torch.manual_seed(seed)
    modules = [make() for _ in range(count + 1)]
    copies = [module.state_dict() for module in modules[1:]]
    return modules[0], [{name: t.detach().clone() for name, t in copy.items()} for copy in copies]


def subject(module, members, data, protocol="standard-1", *, batch_size=16, seed=0, device="cpu"):
    return MetricInput(
        runner=ModelRunner(
            network=Network(module.eval()),
            loss=lambda output, _batch: output.sum(),
            batch_size=batch_size,
            device=torch.device(device),
        ),
        members={f"seed-{place}": weights for place, weights in enumerate(members)},
        data=Data(TensorItems(data), None),
        protocol=protocol,
        seed=seed,
    )


class Broken(nn.Module):
    """A network whose code is wrong."""

    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(64, width)

    def forward(self, x):
        raise KeyError("nothing here")


def pareto(alpha, amount, seed, *, xmin=1.0):
    """Draw from p(x) ~ x^-alpha above xmin, by the inverse of its distribution."""
    below = np.random.default_rng(seed).random(amount)
    return xmin * (1 - below) ** (-1 / (alpha - 1))


def marchenko_pastur(rows, columns, seed):
    weights = np.random.default_rng(seed).standard_normal((rows, columns))
    return np.linalg.svd(weights, compute_uv=False) ** 2


SPECTRA = {
    "power law": lambda seed: pareto(2.7, 150, seed),
    "a body below": lambda seed: np.concatenate(
        [np.random.default_rng(seed).random(200), pareto(3, 80, seed)]
    ),
    "square": lambda seed: marchenko_pastur(120, 120, seed),
    "tall": lambda seed: marchenko_pastur(400, 90, seed),
    "lognormal": lambda seed: np.random.default_rng(seed).lognormal(-3, 2, 130),
    "uniform": lambda seed: np.random.default_rng(seed).random(110),
    "rounded": lambda seed: np.ceil(pareto(2.2, 160, seed)),
    "each twice": lambda seed: np.repeat(pareto(3, 70, seed), 2),
    "the largest twice": lambda seed: np.append(x := pareto(2, 60, seed), x.max()),
    "small numbers": lambda seed: 1e-9 * pareto(4, 90, seed),
}


# of which the package counts the lowest place alone, Clauset's own program all places, as we do
REPEATED = ("rounded", "each twice")


def holed(rng, lines, columns, share=0.3):
    """Normal numbers, some unknown, at least one of each line known."""
    matrix = rng.normal(size=(lines, columns))
    holes = rng.random(matrix.shape) < share
    holes[np.arange(lines), rng.integers(0, columns, lines)] = False
    return np.where(holes, np.nan, matrix)


CLASSES = ["temperature_high", "temperature_low"]


def drawn_classes(seed, *, lines=60, columns=4, classes=3, missing=0.2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(lines, columns)).round(1)
    X[rng.random(X.shape) < missing] = np.nan
    return X, rng.choice(["cold", "fine", "hot"][:classes], size=lines)


def room(high, low, step_high=None, step_low=None):
    """Gains of mending a temperature that is too high, and one that is too low."""
    return RoomForImprovement(
        gains={"lower_temperature": high, "raise_temperature": low},
        step={
            "lower_temperature": high if step_high is None else step_high,
            "raise_temperature": low if step_low is None else step_low,
        },
        margin=0.5,
    )


def drawn_answers(seed, lines=200):
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.01, 0.99, lines)
    probabilities = np.column_stack([sure, 1 - sure])
    answers = rng.choice(CLASSES, lines).tolist()
    given = [CLASSES[n] for n in probabilities.argmax(axis=1)]
    rooms = [room(*rng.uniform(0, 9, 2), *rng.uniform(-3, 3, 2)) for _ in range(lines)]
    return given, probabilities, answers, rooms
