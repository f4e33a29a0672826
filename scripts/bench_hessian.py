"""Curvature as `measure` takes it, beside hessian-eigenthings and PyHessian at equal accuracy.

    python scripts/bench_hessian.py [--widths 4,8,16] [--size 28] [--quick] [--json]
    python scripts/bench_hessian.py --parts products    # why: one product of each kind, in passes

Ours is the metric as a worker runs it for one network: `--metrics hessian`, with or without
`--quantities hessian_top`.  The rivals work on the same 1,024 items of the same trained network
(`--network`: ResNet-18 as in bench_metrics.py, or cnn, or mlp).  They cannot tell when 1 % is
reached, so they are given what nobody knows beforehand: the fewest steps, and the loosest
tolerance, with which they are within 1 % of the converged eigenvalue for each of several seeds
(`--seeds`); what hessian-eigenthings needs for its own seed alone is told besides.  It takes a
trace by Hutch++, with the fewest products that bring its standard error to 5 %, and a density with
as many steps as ours.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from bench_metrics import enlarged_digits
from benchmark import Comparison, announced, arguments, compare, report, say
from pyhessian import hessian as PyHessian
from torch import Tensor, nn

from mdtree.batch import Batch
from mdtree.datasets import Data, TensorItems
from mdtree.landscape import (
    GradientGraph,
    Hessian,
    ModelRunner,
    draw,
    generator,
    lanczos,
    trainable_parameters,
)
from mdtree.landscape.curvature.convolution import FastConvolutions
from mdtree.losses import build_loss
from mdtree.measurement.fitting import fitted
from mdtree.metrics import METRICS, MetricInput
from mdtree.models import Network, Run, Weights, cnn, mlp, resnet18
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import Measured
from mdtree.training.loop import Training, train

SAMPLE = 1024
BATCH = 256
WITHIN = 0.01
DENSITY_STEPS = 8  # the least that ours takes
_NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "resnet18": lambda width, _: resnet18(width, 10, 1),
    "cnn": lambda width, _: cnn(width, 10, 1),
    "mlp": lambda width, size: mlp(size * size, 8 * width, 2, 10),
}
_OWN = {"parts": "tops,sweeps", "network": "resnet18", "seeds": "5"}
_TOLERANCES = (0.1, 0.03, 0.01, 3e-3, 1e-3)
_PRODUCTS = (12, 18, 24, 36, 48, 72, 96)  # of Hutch++, which takes thirds


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, widths="4,8,16", size="28", runs="5", **_OWN)
    runs = 1 if options.quick else int(options.runs)
    widths = [4] if options.quick else [int(width) for width in options.widths.split(",")]
    size = int(options.size)
    data = enlarged_digits(size)
    make = _NETWORKS[options.network]
    comparisons: list[Comparison] = []
    for width in widths:
        case = Case.trained(
            f"{options.network} of width {width}, {size}x{size}",
            partial(make, width, size),
            data,
            torch.device(options.device),
            seeds=int(options.seeds),
        )
        for part in options.parts.split(","):
            comparisons += announced(_PARTS[part](case, runs))
    report(comparisons, as_json=options.json)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A trained network, and the items on which its curvature is measured."""

    label: str
    make: Callable[[], nn.Module]
    data: Data
    seeds: int
    runner: ModelRunner
    weights: Weights

    @classmethod
    def trained(
        cls,
        label: str,
        make: Callable[[], nn.Module],
        data: Data,
        device: torch.device,
        *,
        seeds: int,
    ) -> Case:
        """Train one network for a few hundred steps."""
        loss = build_loss(LossSpec(), Trust())
        network = Network(make().to(device).eval())
        plain = ModelRunner(network=network, loss=loss, batch_size=BATCH, device=device)
        runner = fitted(plain, data).runner
        torch.manual_seed(0)
        how = Training(batch_size=64, learning_rate=0.05, epochs=3)
        some = data.train.take(torch.arange(4096))
        weights = train(make().to(device), some, loss, how, runner.place)
        return cls(label=label, make=make, data=data, seeds=seeds, runner=runner, weights=weights)

    def measured(self, *quantities: str) -> Mapping[str, Any]:
        """Measure as the command does."""
        metric_input = MetricInput(
            runner=self.runner,
            members={"seed-0": self.weights},
            data=self.data,
            protocol="standard-1",
            seed=0,
            quantities=quantities,
        )
        return METRICS["hessian"].compute(metric_input).values

    @property
    def sample(self) -> TensorItems:
        """Draw the items that the protocol draws."""
        items = draw(self.runner, self.data.train, SAMPLE, generator(0, "hessian"))
        assert isinstance(items, TensorItems)
        return items

    @cached_property
    def batches(self) -> list[Batch]:
        """Draw the same items for rivals: as they come, not laid out for our networks."""
        plain = replace(self.runner, channels_last=False)
        items = draw(plain, self.data.train, SAMPLE, generator(0, "hessian"))
        return list(items.batches(BATCH))

    def module(self) -> nn.Module:
        """Make a plain module with the weights."""
        module = self.make().to(self.runner.device)
        module.load_state_dict(self.weights)
        return module.eval()

    def name(self, what: str) -> str:
        """Name a figure."""
        return f"{what}, {self.label}"


# --- the rivals


def _eigenthings(case: Case) -> Any:
    import hessian_eigenthings as rival

    loss = rival.supervised_loss(F.cross_entropy)
    return rival.HessianOperator(case.module(), case.batches, loss)


def _eigenthings_top(case: Case, steps: int) -> float:
    import hessian_eigenthings as rival

    spectrum = rival.lanczos(_eigenthings(case), k=1, max_iter=steps, which="LA", seed=0)
    return float(spectrum.eigenvalues[0])


def _eigenthings_all(case: Case, steps: int, products: int) -> None:
    import hessian_eigenthings as rival

    _eigenthings_top(case, steps)
    rival.hutch_plus_plus(_eigenthings(case), num_matvecs=products, seed=0)
    rival.spectral_density(_eigenthings(case), num_runs=1, lanczos_steps=DENSITY_STEPS, seed=0)


def _pyhessian(case: Case) -> Any:
    """Hand PyHessian the sample in batches, as its README does for more than one batch."""
    warnings.filterwarnings("ignore", "Using backward.. with create_graph=True", UserWarning)
    cuda = case.runner.device.type == "cuda"
    return PyHessian(case.module(), F.cross_entropy, dataloader=case.batches, cuda=cuda)


def _pyhessian_top(case: Case, tolerance: float) -> float:
    torch.manual_seed(0)
    return float(_pyhessian(case).eigenvalues(tol=tolerance)[0][0])


def _loosest_tolerance(case: Case, exact: float) -> float:
    """Find the loosest tolerance that is enough for each seed, from one long run of each."""
    good = set(_TOLERANCES)
    for seed in range(min(case.seeds, 2)):
        estimator, seen = _pyhessian(case), list[float]()
        product = estimator.dataloader_hv_product

        def followed(v: Any, product: Any = product, seen: list[float] = seen) -> Any:
            value, result = product(v)
            seen.append(value)
            return value, result

        estimator.dataloader_hv_product = followed
        torch.manual_seed(seed)
        estimator.eigenvalues(tol=_TOLERANCES[-1])
        for tolerance in _TOLERANCES[:-1]:
            pairs = itertools.pairwise(seen)
            # it returns the value before the last
            found = next(
                (a for a, b in pairs if abs(a - b) / (abs(a) + 1e-6) < tolerance), seen[-1]
            )
            if abs(found / exact - 1) > WITHIN:
                good.discard(tolerance)
    return max(good)


def _fewest_steps(case: Case, exact: float, seeds: int) -> int:
    """Find the fewest steps that hessian-eigenthings needs: those of one long run tell all.

    The matrix is ours, the vectors are those that it starts with: the same numbers, sooner.
    """
    hessian = Hessian(case.runner, case.weights, case.sample, BATCH, keep=True)
    fewest = 1
    for seed in range(seeds):
        start = torch.randn(hessian.size, generator=torch.Generator().manual_seed(seed))
        start = start.to(case.runner.device)
        steps = 1
        while True:
            run = lanczos(hessian.product, start, steps=steps + 6, tolerance=0)
            matrix = run.vectors @ np.diag(run.values) @ run.vectors.T
            tops = [
                float(np.linalg.eigvalsh(matrix[:k, :k])[-1]) for k in range(1, len(matrix) + 1)
            ]
            enough = [k for k, top in enumerate(tops, 1) if abs(top / exact - 1) <= WITHIN]
            if enough:
                fewest = max(fewest, enough[0])
                break
            steps += 6
    return fewest


# --- the comparisons


def _converged(case: Case) -> float:
    hessian = Hessian(case.runner, case.weights, case.sample, BATCH, keep=True)
    start = hessian.random(generator(0, "reference"))
    return lanczos(hessian.product, start, steps=60, tolerance=1e-6).top


def _tops(case: Case, runs: int) -> list[Comparison]:
    """Compare the times to a top eigenvalue within 1 % of the converged one."""
    exact = _converged(case)
    value = case.measured("hessian_top")["hessian_top"]
    assert isinstance(value, Measured)
    say(
        f"{case.name('top')}: ours {100 * abs(value.value / exact - 1):.3f} % off {exact:.5g}, "
        f"{value.iterations} steps"
    )
    steps, alone = (_fewest_steps(case, exact, seeds) for seeds in (case.seeds, 1))
    theirs_off = 100 * abs(_eigenthings_top(case, steps) / exact - 1)
    say(
        f"{case.name('hessian-eigenthings')}: {steps} steps, {theirs_off:.3f} % off; {alone} would "
        f"do for its seed 0: all ratios to it times {steps}/{alone} there"
    )
    tolerance = _loosest_tolerance(case, exact)
    ours = partial(case.measured, "hessian_top")
    what = f"top eigenvalue / hessian-eigenthings, {steps} steps"
    other = f"top eigenvalue / PyHessian, tolerance {tolerance:g}"
    theirs = partial(_eigenthings_top, case, steps)
    return [
        compare(case.name(what), theirs, ours, runs=runs, target=0.9),
        compare(
            case.name(other), partial(_pyhessian_top, case, tolerance), ours, runs=runs, target=0.5
        ),
    ]


def _sweeps(case: Case, runs: int) -> list[Comparison]:
    """Compare everything of one network with three calls of hessian-eigenthings."""
    import hessian_eigenthings as rival

    steps = _fewest_steps(case, _converged(case), case.seeds)
    for products in _PRODUCTS:
        trace = rival.hutch_plus_plus(_eigenthings(case), num_matvecs=products, seed=0)
        if trace.stderr <= 0.05 * abs(trace.estimate):
            break
    what = f"top, trace and density / hessian-eigenthings, {steps} + {products} + {DENSITY_STEPS}"
    return [
        compare(
            case.name(what),
            partial(_eigenthings_all, case, steps, products),
            case.measured,
            runs=runs,
            target=0.6,
        )
    ]


def _products(case: Case, runs: int) -> list[Comparison]:
    """Compare one product of each kind with a forward pass over the same batch."""
    x, y = batch = next(iter(case.sample.batches(BATCH)))
    layout = trainable_parameters(case.runner.network)
    hessian = Hessian(case.runner, case.weights, case.sample, BATCH)
    vector = hessian.random(generator(0, "profile")).unsqueeze(0)

    def graph(run: Run) -> GradientGraph:
        return GradientGraph.of(case.runner, run, batch, list(hessian.leaves.values()))

    def built() -> GradientGraph:
        return case.runner.network.with_weights(hessian.weights, graph)

    def fast() -> GradientGraph:
        with FastConvolutions():
            return built()

    @torch.no_grad()
    def forward() -> Tensor:
        return case.runner.network(case.weights, batch)

    plain_graph, fast_graph = built(), fast()
    kinds: dict[str, Callable[[], object]] = {
        "gradient with graph": built,
        "gradient with graph, fast convolutions": fast,
        "reverse over reverse on a kept graph": partial(
            plain_graph.products, vector, layout, keep=True
        ),
        "the same, fast convolutions": partial(fast_graph.products, vector, layout, keep=True),
        "forward over reverse": partial(_forward_over_reverse, case, layout, vector[0], (x, y)),
    }
    say(f"{case.name('graph of a batch')}: {fast_graph.bytes([]) / 2**20:.0f} MiB")
    return [
        compare(case.name(f"{kind} / forward pass"), forward, work, runs=3 * runs, target=None)
        for kind, work in kinds.items()
    ]


def _forward_over_reverse(
    case: Case, layout: Any, vector: Tensor, batch: tuple[Tensor, Tensor]
) -> object:
    weights = {name: case.weights[name] for name in layout.shapes}

    def loss(moved: Mapping[str, Tensor]) -> Tensor:
        output = case.runner.network({**case.weights, **moved}, batch)
        return F.cross_entropy(output, batch[1])

    return torch.func.jvp(torch.func.grad(loss), (weights,), (layout.views(vector),))[1]


_PARTS: dict[str, Callable[[Case, int], list[Comparison]]] = {
    "tops": _tops,
    "sweeps": _sweeps,
    "products": _products,
}


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        main()
