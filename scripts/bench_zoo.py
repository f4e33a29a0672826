"""What training a zoo costs: beside a bare PyTorch loop, and with the seeds of a group stacked.

    python scripts/bench_zoo.py [--quick] [--json] [--device cpu] [--only small]

The bare loop takes the same steps on the same tensors and keeps nothing; `zoo train` checks for
divergence and writes weights and facts besides.  Stacked, the seeds of a group are one computation
(`torch.func.stack_module_state` and `vmap`); BatchNorm then uses the statistics of the batch alone.
Both sides have one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmark import Comparison, announced, arguments, compare, report
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from mdtree.datasets import TensorItems, load_data
from mdtree.models import build_model, resnet18
from mdtree.recipes import Digits, FactoryData, ModelSpec, Trust, Zoo, ZooTraining
from mdtree.runtime.device import one_thread
from mdtree.zoo import train_zoo

SEEDS = 2
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, widths="4,16", batches="32,128,512", seeds="2,5", only="")
    device = torch.device(options.device)
    runs, epochs = (3, 2) if options.quick else (9, 4)
    items = load_data(Digits(), Path(), trust=Trust()).train
    assert isinstance(items, TensorItems)
    with one_thread():
        comparisons = announced([_small(runs)])
        if options.only == "small":
            report(comparisons, as_json=options.json)
            return
        comparisons += announced([_whole(batch, epochs, items, runs) for batch in (32, 128)])
        for width in map(int, options.widths.split(",")):
            for batch in map(int, options.batches.split(",")):
                for seeds in map(int, options.seeds.split(",")):
                    comparisons += announced(
                        [_stacked(width, batch, seeds, items, device, runs=runs)]
                    )
    report(comparisons, as_json=options.json)


def _whole(batch: int, epochs: int, items: TensorItems, runs: int) -> Comparison:
    """Compare `zoo train` of two seeds with the bare loop."""
    zoo = Zoo(
        model=ModelSpec(factory="resnet18", kwargs={"width": 4, "classes": 10, "channels": 1}),
        training=ZooTraining(learning_rate=RATE, batch_size="$batch_size", epochs=epochs),
        grid={"batch_size": (batch,)},
        seeds=SEEDS,
    )

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train_zoo(zoo, folder=Path(folder), out=Path(folder) / "zoo", trust=Trust())

    def rival() -> None:
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            _bare(build_model(zoo.model, trust=Trust(), seed=seed), items, batch, epochs)

    name = f"zoo train / bare loop, digits, width 4, batch {batch}, two seeds"
    return compare(name, rival, ours, runs=runs, target=1.0)


def _small(runs: int) -> Comparison:
    """Compare on the small MLP of the demo, where what is around a step counts most."""
    steps = 1000
    zoo = Zoo(
        model=ModelSpec(factory="mlp", kwargs={"inputs": 4, "width": 32, "depth": 2, "classes": 4}),
        data=FactoryData(source="mdtree.datasets.spirals:spirals", kwargs={"train": 4096}),
        training=ZooTraining(learning_rate=RATE, batch_size="$batch_size", steps=steps),
        grid={"batch_size": (32,)},
        seeds=SEEDS,
    )
    items = load_data(zoo.data, Path(), trust=Trust()).train
    assert isinstance(items, TensorItems)
    epochs = steps // (len(items) // 32) + 1

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train_zoo(zoo, folder=Path(folder), out=Path(folder) / "zoo", trust=Trust())

    def rival() -> None:
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            _bare(build_model(zoo.model, trust=Trust(), seed=seed), items, 32, epochs, steps)

    name = "zoo train / bare loop, MLP of width 32, batch 32, two seeds"
    return compare(name, rival, ours, runs=runs, target=0.93)


def _bare(model: nn.Module, items: TensorItems, batch: int, epochs: int, most: int = 10**9) -> None:
    x, y = items.all
    sgd = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            if most == 0:
                return
            most -= 1
            chosen = order[start : start + batch]
            sgd.zero_grad()
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            sgd.step()


def _stacked(
    width: int, batch: int, seeds: int, items: TensorItems, device: torch.device, *, runs: int
) -> Comparison:
    """Compare a few steps of all seeds at once with those of one after the other."""
    x, y = (tensor[:batch].to(device) for tensor in items.all)
    models = [_made(width, seed).to(device) for seed in range(seeds)]
    name = f"stacked / one by one, width {width}, batch {batch}, {seeds} seeds"
    rival = partial(_one_by_one, models, x, y)
    return compare(name, rival, _together(models, x, y), runs=runs, target=None)


def _made(width: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = resnet18(width, 10, 1)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
    return model


def _one_by_one(models: list[nn.Module], x: Tensor, y: Tensor) -> None:
    for model in models:
        sgd = torch.optim.SGD(
            model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused=True
        )
        for _ in range(3):
            sgd.zero_grad()
            F.cross_entropy(model(x), y).backward()
            sgd.step()
    _wait(x.device)


def _together(models: list[nn.Module], x: Tensor, y: Tensor) -> Callable[[], None]:
    parameters, _ = stack_module_state(models)
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
    frame = models[0]

    def loss(own: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(frame, own, (x,)), y)

    gradients = vmap(grad_and_value(loss))

    def work() -> None:
        sgd = torch.optim.SGD(
            list(leaves.values()), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused=True
        )
        for _ in range(3):
            gradient, _ = gradients({name: leaf.detach() for name, leaf in leaves.items()})
            for name, leaf in leaves.items():
                leaf.grad = gradient[name]
            sgd.step()
        _wait(x.device)

    return work


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
