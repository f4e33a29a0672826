"""What the landscape costs: ours beside pyhessian, hessian-eigenthings, pytorch-cka, and paper-1.

    python scripts/bench_metrics.py [--widths 4,8,16] [--size 28] [--quick] [--json] [--device cpu]

Everything is measured on the same trained networks: ResNet-18 of widths 4, 8 and 16 on 50,000
images of 28x28 pixels (scikit-learn's digits, enlarged and shifted), as many as the published zoo
has.  Neither side rounds to TF32.  The rivals need the extra `bench`; what is not installed is left
out.

A curve of `paper-1` takes 19,500 equal steps.  Some of them are timed, and the time is scaled; the
same holds for its passes over the training set, and for the probes of PyHessian's trace.
"""

from __future__ import annotations

import importlib.util
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from bench_batching import stacked
from benchmark import Comparison, announced, arguments, compare, report, say, seconds
from pyhessian import hessian as PyHessian
from torch import Tensor

from mdtree.batch import Batch
from mdtree.datasets import Data, TensorItems
from mdtree.datasets.digits import digits
from mdtree.landscape import (
    ComputeCost,
    CurveTraining,
    Hessian,
    ModelRunner,
    draw,
    estimate_trace,
    generator,
    lanczos,
    preserved_state,
    score,
    straight_line,
    train_curve,
    trainable_parameters,
)
from mdtree.losses import build_loss
from mdtree.measurement.fitting import fitted
from mdtree.metrics import METRICS, MetricInput, Workload
from mdtree.models import Network, Weights, resnet18
from mdtree.recipes import LossSpec, Trust
from mdtree.training.loop import Training, train

ITEMS = 50_000
TEST_ITEMS = 2_000
SAMPLE = 1024
MEMBERS = 5
BATCH = 256
CURVE_BATCH = 128
TIMED_STEPS = 20
TIMED_PROBES = 16
ONE = 0.01  # percent
_PRODUCTS = 24
NEVER = -1e30  # a tolerance that PyHessian's trace never reaches


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, widths="4,8,16", size="28", runs="7", parts=",".join(_PARTS))
    torch.backends.cudnn.allow_tf32 = False
    runs = 1 if options.quick else int(options.runs)
    widths = [4] if options.quick else [int(width) for width in options.widths.split(",")]
    device = torch.device(options.device)
    data = enlarged_digits(int(options.size))
    comparisons: list[Comparison] = []
    for width in widths:
        case = _Case.trained(width, data, device, brief=options.quick)
        for part in options.parts.split(","):
            if part in _BRIEF or not options.quick:
                comparisons += announced(_PARTS[part](case, runs))
    report(comparisons, as_json=options.json)


@dataclass(frozen=True, kw_only=True)
class _Case:
    """Networks of one width, trained on the same data."""

    width: int
    data: Data
    runner: ModelRunner
    members: Mapping[str, Weights]
    brief: bool  # only what has a target

    @classmethod
    def trained(cls, width: int, data: Data, device: torch.device, *, brief: bool) -> _Case:
        """Train the members for a few hundred steps."""
        loss = build_loss(LossSpec(), Trust())
        network = Network(resnet18(width, 10, 1).to(device).eval())
        plain = ModelRunner(network=network, loss=loss, batch_size=BATCH, device=device)
        runner = fitted(plain, data).runner
        some = data.train.take(torch.arange(4096))
        members = {}
        for seed in range(MEMBERS):
            torch.manual_seed(seed)
            how = Training(batch_size=64, learning_rate=0.05, epochs=3, seed=seed)
            module = resnet18(width, 10, 1).to(device)
            members[f"seed-{seed}"] = train(module, some, loss, how, runner.place)
        return cls(width=width, data=data, runner=runner, members=members, brief=brief)

    @property
    def first(self) -> Weights:
        """Give one member."""
        return self.members["seed-0"]

    def subject(self, protocol: str, members: int) -> MetricInput:
        """Make a group of some of the members."""
        names = list(self.members)[:members]
        return MetricInput(
            runner=replace(self.runner, meter=type(self.runner.meter)()),
            members={name: self.members[name] for name in names},
            data=self.data,
            protocol=protocol,
            seed=0,
        )

    def sample(self) -> TensorItems:
        """Draw the items on which Hessians are compared."""
        items = draw(self.runner, self.data.train, SAMPLE, generator(0))
        assert isinstance(items, TensorItems)
        return items

    @cached_property
    def plain(self) -> ModelRunner:
        """Return what hands batches to rivals: as they come, not laid out for our networks."""
        return replace(self.runner, channels_last=False)

    @cached_property
    def batches(self) -> list[Batch]:
        """Draw the same items for rivals."""
        return list(draw(self.plain, self.data.train, SAMPLE, generator(0)).batches(BATCH))

    def module(self) -> torch.nn.Module:
        """Make a plain module with the weights of one member."""
        module = resnet18(self.width, 10, 1).to(self.runner.device)
        module.load_state_dict(self.first)
        return module.eval()

    def name(self, what: str) -> str:
        """Name a figure."""
        return f"{what}, width {self.width}"


def enlarged_digits(size: int) -> Data:
    """Enlarge the digits and shift each copy by up to two pixels, with some noise."""
    small, test = digits()
    return Data(
        _enlarged(small, ITEMS, size=size, seed=0), _enlarged(test, TEST_ITEMS, size=size, seed=1)
    )


def _enlarged(items: TensorItems, count: int, *, size: int, seed: int) -> TensorItems:
    source = torch.Generator().manual_seed(seed)
    x, y = items.all
    chosen = torch.randint(len(x), (count,), generator=source)
    large = F.interpolate(x, size=size, mode="bilinear", align_corners=False)[chosen]
    shifts = torch.randint(-2, 3, (count, 2), generator=source).tolist()
    moved = torch.stack(
        [
            torch.roll(image, tuple(shift), (1, 2))
            for image, shift in zip(large, shifts, strict=True)
        ]
    )
    moved += 0.1 * torch.randn(moved.shape, generator=source)
    return TensorItems((moved, y[chosen]))


# --- the Hessian


def _tops(case: _Case, runs: int) -> list[Comparison]:
    """Compare the times to a top eigenvalue within 1 % of the converged one."""
    sample = case.sample()
    tight = lanczos(
        _hessian(case, sample).product, _start(case, sample), steps=60, tolerance=1e-6
    ).top

    def ours() -> float:
        start = _start(case, sample)
        return lanczos(_hessian(case, sample).product, start, steps=60, tolerance=ONE, least=8).top

    def rival() -> float:
        return float(_pyhessian(case).eigenvalues()[0][0])

    _check(case.name("top eigenvalue"), tight, ours=ours(), rival=rival())
    comparisons = [
        compare(case.name("top eigenvalue / pyhessian"), rival, ours, runs=runs, target=0.5),
    ]
    if _has("hessian_eigenthings") and not case.brief:
        # It makes all the steps that it is told to: here, as few as give 1 %.
        steps = next(n for n in range(2, 60) if abs(_eigenthings_top(case, n) / tight - 1) <= ONE)
        comparisons.append(
            compare(
                case.name(f"top eigenvalue / hessian-eigenthings, {steps} steps"),
                partial(_eigenthings_top, case, steps),
                ours,
                runs=runs,
                target=None,
            )
        )
    return comparisons


def _traces(case: _Case, runs: int) -> list[Comparison]:
    """Compare the times to a trace with a standard error of 5 %.

    PyHessian's probes cost the same each: some are timed, and scaled to as many as it needs.
    """
    sample = case.sample()
    torch.manual_seed(0)
    started = time.perf_counter()
    forms = _pyhessian(case).trace(maxIter=TIMED_PROBES, tol=NEVER)
    per_probe = (time.perf_counter() - started) / TIMED_PROBES
    share = statistics.stdev(forms) / abs(statistics.fmean(forms))
    probes = max(2, math.ceil((share / 0.05) ** 2))
    say(f"{case.name('trace')}: pyhessian needs {probes} probes for 5 %")

    def ours() -> object:
        hessian = _hessian(case, sample)
        ritz = lanczos(hessian.product, _start(case, sample), steps=60, tolerance=0.01, least=8)
        return estimate_trace(
            hessian.products,
            ritz.basis,
            float(ritz.diagonal.sum()),
            source=generator(0, "probes"),
            tolerance=0.05,
            least=8,
            budget=96,
        )

    times = [_seconds(ours) for _ in range(max(runs // 3, 1))]
    name = case.name("trace (and top eigenvalue) / pyhessian's trace")
    rival = [per_probe * probes] * len(times)
    comparisons = [Comparison(name=name, rival=rival, ours=times, target=1 / 3)]
    if _has("hessian_eigenthings") and not case.brief:
        name = case.name(f"the same / hessian-eigenthings, Hutch++ with {_PRODUCTS} products")
        work = partial(_eigenthings_trace, case)
        comparisons.append(compare(name, work, ours, runs=max(runs // 3, 1), target=None))
    return comparisons


def _hessian(case: _Case, sample: TensorItems) -> Hessian:
    return Hessian(case.runner, case.first, sample, BATCH)


def _start(case: _Case, sample: TensorItems) -> Tensor:
    return _hessian(case, sample).random(generator(0, "start"))


def _pyhessian(case: _Case) -> PyHessian:
    """Hand PyHessian the sample in batches, as its README does for more than one batch."""
    warnings.filterwarnings("ignore", "Using backward.. with create_graph=True", UserWarning)
    return PyHessian(
        case.module(),
        F.cross_entropy,
        dataloader=case.batches,
        cuda=case.runner.device.type == "cuda",
    )


def _eigenthings_top(case: _Case, steps: int) -> float:
    import hessian_eigenthings as rival

    loss = rival.supervised_loss(F.cross_entropy)
    operator = rival.HessianOperator(case.module(), case.batches, loss)
    spectrum = rival.lanczos(operator, k=1, max_iter=steps, which="LA", seed=0)
    return float(spectrum.eigenvalues[0])


def _eigenthings_trace(case: _Case) -> object:
    """Hutch++ with the number of products that ours takes on these networks."""
    import hessian_eigenthings as rival

    loss = rival.supervised_loss(F.cross_entropy)
    operator = rival.HessianOperator(case.module(), case.batches, loss)
    return rival.hutch_plus_plus(operator, num_matvecs=_PRODUCTS, seed=0)


def _check(name: str, exact: float, **measured: float) -> None:
    errors = {key: f"{100 * abs(value / exact - 1):.2f} %" for key, value in measured.items()}
    say(f"{name}: {exact:.5g}, off by {errors}")


# --- the curve


def _steps(case: _Case, runs: int) -> list[Comparison]:
    """Compare a step of the control point with a plain step of SGD."""
    items = case.data.train.take(torch.arange(CURVE_BATCH * TIMED_STEPS))

    def rival() -> None:
        module = case.module().train()
        sgd = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        for x, y in case.plain.batches(items, CURVE_BATCH):
            sgd.zero_grad(set_to_none=True)
            F.cross_entropy(module(x), y).backward()
            sgd.step()

    def ours() -> None:
        _bent(case, items)

    name = case.name("step of the curve / plain step of SGD")
    return [compare(name, rival, ours, runs=3 * runs, target=1.15)]


def _bent(case: _Case, items: TensorItems) -> None:
    start, end = list(case.members.values())[:2]
    line = straight_line(trainable_parameters(case.runner.network), start, end)
    how = CurveTraining(steps=TIMED_STEPS, batch_size=CURVE_BATCH, learning_rate=0.01)
    with preserved_state(case.runner, 0):
        train_curve(case.runner, line, items, how, generator(0))


# --- similarity


def _similarities(case: _Case, runs: int) -> list[Comparison]:
    """Compare CKA of five members with the published procedure, and that of two with a library."""
    comparisons = [
        compare(
            case.name("CKA of 5 members / published 25 pairs"),
            partial(_published_cka, case),
            partial(METRICS["similarity"].compute, case.subject("standard-1", MEMBERS)),
            runs=runs,
            target=1 / 3,
        )
    ]
    if _has("cka"):
        comparisons.append(
            compare(
                case.name("CKA of 2 members / pytorch-cka"),
                partial(_pytorch_cka, case),
                partial(METRICS["similarity"].compute, case.subject("standard-1", 2)),
                runs=runs,
                target=1.0,
            )
        )
    return comparisons


@torch.no_grad()
def _published_cka(case: _Case) -> float:
    """Run all 25 ordered pairs, both networks of each over 768 mixed items, as published."""
    values = []
    module, other = case.module(), case.module()
    for first in case.members.values():
        for second in case.members.values():
            module.load_state_dict(first)
            other.load_state_dict(second)
            order = torch.randperm(len(case.data.train))[: 6 * CURVE_BATCH]
            said: tuple[list[Tensor], list[Tensor]] = ([], [])
            for x, _ in case.plain.batches(case.data.train.take(order), CURVE_BATCH):
                share = float(torch.distributions.Beta(16.0, 16.0).sample())
                mixed = share * x + (1 - share) * x[torch.randperm(len(x))]
                for outputs, network in zip(said, (module, other), strict=True):
                    outputs.append(network(mixed).softmax(1))
            values.append(_biased(torch.cat(said[0]), torch.cat(said[1])))
    return statistics.fmean(values)


def _biased(x: Tensor, y: Tensor) -> float:
    centre = torch.eye(len(x), device=x.device) - 1 / len(x)
    k, m = centre @ (x @ x.T) @ centre, centre @ (y @ y.T) @ centre
    return float((k * m).sum() / (k.norm() * m.norm()))


def _pytorch_cka(case: _Case) -> object:
    """Compare the outputs of two networks over as many items, in batches."""
    import cka

    first, second = case.module(), case.module()
    second.load_state_dict(case.members["seed-1"])
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*case.data.train.take(torch.arange(SAMPLE)).all),
        batch_size=BATCH,
    )
    device = case.runner.device
    return cka.compute_cka(first, second, loader, layers=["head"], device=device, progress=False)


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


# --- the whole


def _wholes(case: _Case, runs: int) -> list[Comparison]:
    """Compare connectivity, and everything of a group of two, in seconds and in passes."""
    clock: dict[str, dict[str, list[float]]] = {"paper-1": {}, "standard-1": {}}
    passes: dict[str, dict[str, float]] = {"paper-1": {}, "standard-1": {}}
    for _ in range(max(runs // 3, 1)):
        for protocol, times in clock.items():
            for name in ("error_rate", "hessian", "connectivity", "similarity"):
                taken, cost = _timed(case, protocol, name)
                times.setdefault(name, []).append(taken)
                passes[protocol][name] = cost
    paper, standard = clock["paper-1"], clock["standard-1"]
    return [
        Comparison(
            name=case.name("connectivity: standard-1 / paper-1"),
            rival=paper["connectivity"],
            ours=standard["connectivity"],
            target=1 / 15,
        ),
        Comparison(
            name=case.name("all of a group of two: standard-1 / paper-1"),
            rival=[sum(run) for run in zip(*paper.values(), strict=True)],
            ours=[sum(run) for run in zip(*standard.values(), strict=True)],
            target=0.1,
        ),
        Comparison(
            name=case.name("the same in forward passes"),
            rival=[sum(passes["paper-1"].values())],
            ours=[sum(passes["standard-1"].values())],
            target=0.1,
        ),
        *_estimates(case, passes["standard-1"]),
    ]


def _timed(case: _Case, protocol: str, name: str) -> tuple[float, float]:
    subject = case.subject(protocol, 2)
    if (protocol, name) == ("paper-1", "connectivity"):
        cost = METRICS[name].cost(_workload(protocol))
        return _scaled(case, cost), cost.passes
    taken = seconds(lambda: METRICS[name].compute(subject))
    return taken, subject.runner.meter.total.passes


def _scaled(case: _Case, cost: ComputeCost) -> float:
    """Time a few steps and a few passes, and scale them to the effort."""
    items = case.data.train.take(torch.arange(CURVE_BATCH * TIMED_STEPS))
    step = _seconds(lambda: _bent(case, items)) / (CURVE_BATCH * TIMED_STEPS)
    network = case.runner.network
    work = partial(score, case.runner, items)
    forward = _seconds(lambda: network.with_weights(case.first, work)) / len(items)
    return cost.gradient * step + cost.forward * forward


def _workload(protocol: str) -> Workload:
    return Workload(
        members=2,
        train_items=ITEMS,
        test_items=TEST_ITEMS,
        full_items=ITEMS,
        protocol=protocol,
    )


def _estimates(case: _Case, used: Mapping[str, float]) -> list[Comparison]:
    """Hold the cost that a dry run tells to what was then used."""
    comparisons = []
    for name, passes in used.items():
        estimate = METRICS[name].cost(_workload("standard-1")).passes
        off = max(estimate / passes, passes / estimate)
        what = case.name(f"cost told before and used, {name}, off by")
        comparisons.append(Comparison(name=what, rival=[1.0], ours=[off], target=2.0))
    return comparisons


# --- the members at once


def _batching(case: _Case, runs: int) -> list[Comparison]:
    """Compare the members as one computation with one after the other."""
    return list(stacked(case.width, MEMBERS, case.data, case.runner.device, runs=runs))


_PARTS: dict[str, Callable[[_Case, int], list[Comparison]]] = {
    "tops": _tops,
    "traces": _traces,
    "steps": _steps,
    "similarities": _similarities,
    "wholes": _wholes,
    "batching": _batching,
}


_BRIEF = [part for part in _PARTS if part != "batching"]


def _seconds(work: Callable[[], object]) -> float:
    """Warm up, then time one run."""
    seconds(work)
    return seconds(work)


if __name__ == "__main__":
    main()
