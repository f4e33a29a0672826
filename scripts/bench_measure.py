"""What `mdtree measure` costs beside a bare PyTorch loop, and how fast the command starts.

    python scripts/bench_measure.py [--quick] [--json] [--device cpu]

The rival of measuring is what one would write by hand: build the network, load each checkpoint,
run every batch once, add up the loss and the wrong answers.  Ours does that and finds, checks and
hashes the files, and writes rows; what it keeps in memory between groups is forgotten before each
run.  The rival of the start is `python -c "import click"`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from benchmark import Comparison, announced, arguments, compare, report
from safetensors.torch import load_file, save_file
from torch import Tensor

from mdtree.measurement import Request, clear_caches, measure
from mdtree.models import resnet18
from mdtree.recipes import Trust, recipe_from_words

BATCH = 256
MEMBERS = 2


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__)
    runs = 5 if options.quick else 15
    report(announced(_comparisons(options.device, runs)), as_json=options.json)


def _comparisons(device: str, runs: int) -> Iterator[Comparison]:
    for case in _CASES:
        yield _measuring(case, device=device, runs=runs * case.repeats)
    yield _starting(runs * 3)


@dataclass(frozen=True, kw_only=True)
class _Case:
    name: str
    width: int  # of the ResNet-18
    size: int  # of the images
    train: int  # items
    test: int
    repeats: int = 1  # a short case needs more pairs
    target: float = 1.10


_CASES = (
    _Case(
        name="8x8 images, width 4 (as digits)",
        width=4,
        size=8,
        train=1200,
        test=597,
        repeats=5,
        target=1.05,
    ),
    _Case(name="28x28 images, width 8", width=8, size=28, train=3000, test=1000),
    _Case(name="32x32 images, width 16", width=16, size=32, train=1500, test=500),
)


def _measuring(case: _Case, *, device: str, runs: int) -> Comparison:
    """Compare on random images: what is in them makes no difference to the time."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "group").mkdir()
        files = [root / "group" / f"seed-{seed}.safetensors" for seed in range(MEMBERS)]
        for seed, file in enumerate(files):
            torch.manual_seed(seed)
            save_file(resnet18(case.width, 10, 1).state_dict(), file)
        rng = np.random.default_rng(0)
        for half, count in (("train", case.train), ("test", case.test)):
            x = rng.normal(size=(count, 1, case.size, case.size)).astype(np.float32)
            np.savez(root / f"{half}.npz", x=x, y=rng.integers(0, 10, count))
        request = Request(
            root=root,
            recipe=recipe_from_words(
                {
                    "model": {
                        "factory": "resnet18",
                        "kwargs": {"width": case.width, "channels": 1},
                    },
                    "data": {"source": "tensors", "train": "train.npz", "test": "test.npz"},
                    "batch_size": BATCH,
                }
            ),
            folder=root,
            trust=Trust(),
            protocol="standard-1",
            metrics=("error_rate",),
            seed=0,
            device=device,
            allow_download=False,
        )

        def ours() -> None:
            (root / "rows.jsonl").unlink(missing_ok=True)
            clear_caches()
            measure(request, out=root / "rows.jsonl")

        def rival() -> None:
            halves = [_loaded(root / f"{half}.npz") for half in ("train", "test")]
            model = resnet18(case.width, 10, 1).eval().to(device)
            for file in files:
                model.load_state_dict(load_file(file))
                for x, y in halves:
                    _bare_loop(model, x, y, device)

        return compare(f"error rates, {case.name}", rival, ours, runs=runs, target=case.target)


def _loaded(path: Path) -> tuple[Tensor, Tensor]:
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])


@torch.inference_mode()
def _bare_loop(model: torch.nn.Module, x: Tensor, y: Tensor, device: str) -> tuple[float, float]:
    loss = torch.zeros((), device=device)
    wrong = torch.zeros((), device=device, dtype=torch.long)
    for start in range(0, len(y), BATCH):
        inputs = x[start : start + BATCH].to(device)
        labels = y[start : start + BATCH].to(device)
        output = model(inputs)
        loss += F.cross_entropy(output, labels, reduction="sum")
        wrong += (output.argmax(1) != labels).sum()
    return float(loss) / len(y), 100 * int(wrong) / len(y)


def _starting(runs: int) -> Comparison:
    python = [sys.executable, "-c", "import click"]
    ours = [str(Path(sys.executable).parent / "mdtree"), "--help"]
    return compare("start: mdtree --help", _runner(python), _runner(ours), runs=runs, target=3.0)


def _runner(command: list[str]):  # noqa: ANN202 - a small closure
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
