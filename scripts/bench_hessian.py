"""Curvature as `measure` takes it, beside hessian-eigenthings and PyHessian at equal accuracy.

    python scripts/bench_hessian.py [--widths 4,8,16] [--size 28] [--quick] [--json]
    python scripts/bench_hessian.py --parts products    # why: one product of each kind, in passes

Ours is the metric as a worker runs it for one network: `--metrics hessian`, with or without
`--quantities hessian_top`.  The rivals work on the same 1,024 items of the same trained network
(ResNet-18, as in bench_metrics.py).  They cannot tell when 1 % is reached, so they are given what
nobody knows beforehand: the fewest steps, and the loosest tolerance, with which they are within
1 % of the converged eigenvalue.  hessian-eigenthings takes a trace by Hutch++, with the fewest
products that bring its standard error to 5 %, and a density with as many steps as ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from bench_metrics import enlarged_digits
from benchmark import Comparison, announced, arguments, compare, report, say
from pyhessian import hessian as PyHessian
from torch import Tensor, nn

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
from mdtree.metrics import METRICS, MetricInput
from mdtree.models import Network, Run, Weights, resnet18
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import Measured
from mdtree.training.loop import Training, train

SAMPLE = 1024
BATCH = 256
WITHIN = 0.01
DENSITY_STEPS = 8  # the least that ours takes
_TOLERANCES = (0.1, 0.03, 0.01, 3e-3, 1e-3)
_PRODUCTS = (12, 18, 24, 36, 48, 72, 96)  # of Hutch++, which takes thirds


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, widths="4,8,16", size="28", runs="3", parts="tops,sweeps")
    runs = 1 if options.quick else int(options.runs)
    widths = [4] if options.quick else [int(width) for width in options.widths.split(",")]
    data = enlarged_digits(int(options.size))
    comparisons: list[Comparison] = []
    for width in widths:
        case = Case.trained(width, data, torch.device(options.device))
        for part in options.parts.split(","):
            comparisons += announced(_PARTS[part](case, runs))
    report(comparisons, as_json=options.json)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A trained network, and the items on which its curvature is measured."""

    width: int
    data: Data
    runner: ModelRunner
    weights: Weights

    @classmethod
    def trained(cls, width: int, data: Data, device: torch.device) -> Case:
        """Train one network for a few hundred steps."""
        loss = build_loss(LossSpec(), Trust())
        network = Network(resnet18(width, 10, 1).to(device).eval())
        runner = ModelRunner(network=network, loss=loss, batch_size=BATCH, device=device)
        torch.manual_seed(0)
        how = Training(batch_size=64, learning_rate=0.05, epochs=3)
        some = data.train.take(torch.arange(4096))
        weights = train(resnet18(width, 10, 1).to(device), some, loss, how, runner.place)
        return cls(width=width, data=data, runner=runner, weights=weights)

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

    def module(self) -> nn.Module:
        """Make a plain module with the weights."""
        module = resnet18(self.width, 10, 1).to(self.runner.device)
        module.load_state_dict(self.weights)
        return module.eval()

    def name(self, what: str) -> str:
        """Name a figure."""
        return f"{what}, width {self.width}"


# --- the rivals


def _eigenthings(case: Case) -> Any:
    import hessian_eigenthings as rival

    loss = rival.supervised_loss(F.cross_entropy)
    return rival.HessianOperator(case.module(), list(case.sample.batches(BATCH)), loss)


def _eigenthings_top(case: Case, steps: int) -> float:
    import hessian_eigenthings as rival

    spectrum = rival.lanczos(_eigenthings(case), k=1, max_iter=steps, which="LA", seed=0)
    return float(spectrum.eigenvalues[0])


def _eigenthings_all(case: Case, steps: int, products: int) -> None:
    import hessian_eigenthings as rival

    _eigenthings_top(case, steps)
    rival.hutch_plus_plus(_eigenthings(case), num_matvecs=products, seed=0)
    rival.spectral_density(_eigenthings(case), num_runs=1, lanczos_steps=DENSITY_STEPS, seed=0)


def _pyhessian_top(case: Case, tolerance: float) -> float:
    """Hand PyHessian the sample in batches, as its README does for more than one batch."""
    warnings.filterwarnings("ignore", "Using backward.. with create_graph=True", UserWarning)
    batches = list(case.sample.batches(BATCH))
    cuda = case.runner.device.type == "cuda"
    estimator = PyHessian(case.module(), F.cross_entropy, dataloader=batches, cuda=cuda)
    return float(estimator.eigenvalues(tol=tolerance)[0][0])


def _fewest_steps(case: Case, exact: float) -> int:
    """Find the fewest steps that hessian-eigenthings needs: those of one long run tell all."""
    from hessian_eigenthings.algorithms.lanczos import lanczos_tridiagonal

    operator = _eigenthings(case)
    start = torch.randn(operator.size, generator=torch.Generator().manual_seed(0))
    run = lanczos_tridiagonal(operator, start.to(operator.device), 20)
    for steps in range(1, run.iterations + 1):
        off = run.betas[: steps - 1]
        matrix = torch.diag(run.alphas[:steps]) + torch.diag(off, 1) + torch.diag(off, -1)
        if abs(float(torch.linalg.eigvalsh(matrix)[-1]) / exact - 1) <= WITHIN:
            return steps
    raise SystemExit("hessian-eigenthings is not within 1 % after 20 steps")


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
    say(f"{case.name('top')}: ours {100 * abs(value.value / exact - 1):.3f} % off {exact:.5g}")
    steps = _fewest_steps(case, exact)
    good = (t for t in _TOLERANCES if abs(_pyhessian_top(case, t) / exact - 1) <= WITHIN)
    tolerance = next(good, _TOLERANCES[-1])
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

    steps = _fewest_steps(case, _converged(case))
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
