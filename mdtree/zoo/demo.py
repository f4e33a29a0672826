"""The demo zoo: two groups of two small networks on digits, one with a fault planted in it."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from mdtree.config import RECIPE_NAME, Digits, LossSpec, ModelSpec, Trust
from mdtree.datasets import load_data
from mdtree.exceptions import OutputError
from mdtree.losses import build_loss
from mdtree.models import build_model
from mdtree.progress import Progress, Silent
from mdtree.threads import one_thread
from mdtree.training import Training, train

__all__ = ["train_demo"]

_SEEDS = (0, 1)
_WIDTH = 4

# A batch of 32 trains well here; a batch of 1,024 makes one step in each epoch: far too few, and
# far too little noise (a training temperature that is too low).
_GROUPS = {"batch-32": 32, "batch-1024": 1024}
_EPOCHS = 25
_LEARNING_RATE = 0.05

_RECIPE = f"""\
# How the weights in this directory become a network, and what to measure it on.
format: 1
model:
  factory: resnet18        # of the CIFAR family, at any width
  kwargs: {{width: {_WIDTH}, classes: 10, channels: 1}}
data:
  source: digits           # 1,797 images of 8x8 pixels that come with scikit-learn
loss: cross_entropy
batch_size: 256            # of measuring; the batch size of training is a fact of each group
pattern: batch-{{batch_size}}  # what the name of each group's folder says
facts: {{width: {_WIDTH}, learning_rate: {_LEARNING_RATE}, epochs: {_EPOCHS}}}
"""


def train_demo(folder: Path, *, progress: Progress | None = None) -> None:
    """Train the members into `folder` and write the recipe beside them, last."""
    recipe = folder / RECIPE_NAME
    if recipe.exists() and recipe.read_text(encoding="utf-8", errors="replace") != _RECIPE:
        raise OutputError(f"{recipe} is not of the demo and would be lost: choose another --out")
    watch = progress or Silent()
    data = load_data(Digits(), folder, trust=Trust())
    loss = build_loss(LossSpec(), Trust())
    spec = ModelSpec(factory="resnet18", kwargs={"width": _WIDTH, "classes": 10, "channels": 1})
    watch.start(len(_GROUPS) * len(_SEEDS))
    try:
        with one_thread():
            for group, batch_size in _GROUPS.items():
                (folder / group).mkdir(parents=True, exist_ok=True)
                for seed in _SEEDS:
                    how = Training(
                        batch_size=batch_size,
                        learning_rate=_LEARNING_RATE,
                        epochs=_EPOCHS,
                        seed=seed,
                    )
                    model = build_model(spec, trust=Trust(), seed=seed)
                    weights = train(model, data.train, loss, how)
                    save_file(weights, folder / group / f"seed-{seed}.safetensors")
                    watch.step(f"{group}, seed {seed}")
        recipe.write_text(_RECIPE, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
