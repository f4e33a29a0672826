"""A zoo of tiny networks, and what its training left."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from mdtree.executors import ExecutorConfig
from mdtree.recipes import Trust, Zoo
from mdtree.zoo import train_zoo

BASE_CONFIG = {
    "model": {"factory": "cnn", "kwargs": {"width": "$width"}},
    "data": {"source": "digits", "amount": 50},
    "training": {"learning_rate": 0.05, "batch_size": 16, "epochs": 2},
    "grid": {"width": [2, 3]},
    "seeds": 2,
}


def zoo(**parts):
    return Zoo.model_validate({**BASE_CONFIG, **parts})


def trained_zoo(out, workers=1, **parts):
    return train_zoo(
        zoo(**parts),
        folder=Path(),
        out=out,
        trust=Trust(any_factory=True),
        executor=ExecutorConfig(workers=workers),
    )


def contents(out):
    """Give all weights, bit by bit, and what else lies there, by name."""
    return {
        path.relative_to(out).as_posix(): (
            {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}
            if path.suffix == ".safetensors"
            else None
        )
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
