from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets.digits import digits
from mdtree.metrics import Workload
from mdtree.metrics.budgets import HessianBudget, StandardHessian
from mdtree.metrics.hessian import HESSIAN, _spread, compute
from mdtree.models import cnn
from mdtree.rows import Measured
from tests.support.cases import NETS, X, Y, group
from tests.support.exact import (
    BOTH_PROTOCOLS,
    exact_hessian,
    exact_product,
    measure,
    mlp,
    runner_of,
    subject,
    top_and_trace,
    weights_of,
)


@pytest.fixture(scope="module")
def trained():
    """A small network with BatchNorm that has learnt digits, and what it learnt them from."""
    torch.manual_seed(0)
    x, y = (part[:1100] for part in digits()[0].all)
    module = cnn(width=2)
    step = torch.optim.SGD(module.train().parameters(), 0.1, momentum=0.9)
    for _ in range(60):
        chosen = torch.randint(0, len(x), (32,))
        step.zero_grad()
        F.cross_entropy(module(x[chosen]), y[chosen]).backward()
        step.step()
    return module.eval(), (x, y)


@pytest.fixture(scope="module")
def truth(trained):
    """The exact Hessian of the trained network over its first 300 items."""
    module, (x, y) = trained
    return exact_hessian(runner_of(module), weights_of(module), (x[:300], y[:300]))


@BOTH_PROTOCOLS
@pytest.mark.parametrize("net", NETS)
def test_any_network_is_measured(net, protocol):
    make, data = NETS[net]
    module, members = group(make, 2)

    result = measure(module, members, data, protocol, batch_size=37)

    for value in top_and_trace(result):
        assert isinstance(value, Measured)
        assert len(value.members) == 2
        assert value.stderr >= 0
    assert result.values["hessian_top"].value > 0
    assert result.values["hessian_top"].iterations > 2
    notes = ("attention ran with the math kernel: the fused kernel has no second derivative",)
    assert (notes if net in ("transformer", "bert") else ()) == result.notes


@pytest.mark.parametrize("seed", range(3))
def test_the_standard_protocol_finds_the_truth(trained, truth, seed):
    module, (x, y) = trained
    few = x[:300], y[:300]

    top, trace = top_and_trace(
        measure(module, [weights_of(module)], few, seed=seed, batch_size=128)
    )

    assert float(torch.linalg.eigvalsh(truth)[-1]) == pytest.approx(top.value, rel=0.01)
    assert float(truth.trace()) == pytest.approx(trace.value, abs=3 * trace.stderr)
    assert 0 < trace.stderr <= 0.05 * trace.value
    assert top.converged
    assert trace.converged


def test_a_network_smaller_than_the_space_is_known_exactly():
    module = nn.Linear(5, 3)
    truth = exact_hessian(runner_of(module), weights_of(module), (X, Y))

    result = measure(module.double(), [weights_of(module)], (X.double(), Y))

    top, trace = top_and_trace(result)
    assert float(truth.trace()) == pytest.approx(trace.value, abs=3 * trace.stderr + 1e-9)
    assert float(torch.linalg.eigvalsh(truth)[-1]) == pytest.approx(top.value, rel=1e-2)


def test_several_members_have_the_standard_error_of_their_spread():
    module, members = group(mlp, 3)

    together = top_and_trace(measure(module, members, (X, Y)))

    for value in together:
        spread = torch.tensor(value.members).std() / math.sqrt(3)
        assert float(spread) == pytest.approx(value.stderr, rel=1e-5)
    alone = top_and_trace(measure(module, members[:1], (X, Y)))
    assert [value.members[0] for value in together] == [value.value for value in alone]


def test_the_standard_error_of_the_top_is_that_over_the_items():
    """With parts of one item it is sd / sqrt(n) of each item's curvature along the top vector."""
    module, x, y = mlp(), X[:9], Y[:9]
    weights = weights_of(module)
    top, _ = top_and_trace(measure(module, [weights], (x, y), batch_size=1))
    truth = exact_hessian(runner_of(module), weights, (x, y))
    vector = torch.linalg.eigh(truth)[1][:, -1]
    forms = torch.stack(
        [
            exact_product(runner_of(module), weights, (x[i : i + 1], y[i : i + 1]), vector) @ vector
            for i in range(9)
        ]
    )
    assert float(forms.std()) / math.sqrt(9) == pytest.approx(top.stderr, rel=0.01)


def test_parts_of_any_size_tell_the_variance_of_the_mean_without_bias():
    """Curvatures of parts of n_b items whose variance is 1 / n_b: that of the mean is 1 / n."""
    sizes = torch.tensor([4.0, 4, 4, 1, 7])
    top = torch.ones(1, dtype=torch.float64)

    class Parted:
        batch_size = 4

        def parts(self, _vectors, _batch_size):
            curvatures = torch.randn(5, 1, 1, dtype=torch.float64) / sizes.sqrt().view(-1, 1, 1)
            return zip((sizes / sizes.sum()).tolist(), curvatures, strict=True)

    variances = [_spread(Parted(), top, 4) ** 2 for _ in range(5000)]
    assert pytest.approx(sum(variances) / 5000, rel=0.05) == 1 / 20


@BOTH_PROTOCOLS
def test_the_top_alone_is_the_same_number(protocol):
    module, members = group(mlp, 2)
    given = subject(module, members, (X, Y), protocol)
    both = HESSIAN.compute(given)
    used = given.runner.meter.total.passes

    alone = subject(module, members, (X, Y), protocol)
    result = HESSIAN.compute(replace(alone, quantities=("hessian_top",)))

    assert both.values["hessian_top"] == result.values["hessian_top"]
    if protocol == "standard-1":
        assert {"hessian_top"} == result.values.keys()
        assert both.details == result.details
        assert alone.runner.meter.total.passes < 0.7 * used


def test_the_cost_of_the_top_alone_is_lower():
    work = Workload(
        members=2, train_items=1100, test_items=597, full_items=1100, protocol="standard-1"
    )
    alone = replace(work, quantities=("hessian_top",))
    assert HESSIAN.cost(alone).passes < 0.7 * HESSIAN.cost(work).passes


def test_the_density_has_a_mass_of_one_for_each_member():
    module, members = group(mlp, 2)
    result = measure(module, members, (X, Y))

    columns = result.details["hessian_density"].columns
    assert {"member", "eigenvalue", "weight"} == columns.keys()
    for place, name in enumerate(["seed-0", "seed-1"]):
        lines = [line for line in zip(*columns.values(), strict=True) if line[0] == name]
        values, weights = [line[1] for line in lines], [line[2] for line in lines]
        assert pytest.approx(1) == sum(weights)
        assert sorted(values) == values
        assert max(values) == result.values["hessian_top"].members[place]
        eigenvalues = torch.linalg.eigvalsh(
            exact_hessian(runner_of(module), members[place], (X, Y))
        )
        assert eigenvalues[0] - 1e-6 <= min(values) <= max(values) <= eigenvalues[-1] + 1e-6
    assert measure(module, members, (X, Y), "paper-1").details == {}


@BOTH_PROTOCOLS
def test_the_seed_alone_decides(protocol):
    module, members = group(mlp, 2)
    first = measure(module, members, (X, Y), protocol)
    torch.rand(7)
    assert first == measure(module, members, (X, Y), protocol)
    other = measure(module, members, (X, Y), protocol, seed=1)
    assert top_and_trace(first)[1].value != top_and_trace(other)[1].value


def test_the_paper_protocol_stops_where_pyhessian_does_and_says_whether_it_converged(trained):
    module, data = trained
    top, trace = top_and_trace(measure(module, [weights_of(module)], data, "paper-1"))
    assert 1 < top.iterations <= 100
    assert top.converged == (top.iterations < 100)
    assert trace.converged == (trace.iterations < 100)
    assert 0 < trace.stderr < trace.value
    assert None is top.stderr


def test_a_higher_limit_lets_a_trace_converge_that_stopped_before(trained):
    """With 8 probes at most it stops; nine times as many would do, and no more are taken."""
    module, (x, y) = trained
    few = HessianBudget(standard=StandardHessian(probes=8, stderr=0.03))
    given = subject(module, [weights_of(module)], (x[:300], y[:300]), "standard-1", batch_size=128)
    top, trace = top_and_trace(compute(few, given))
    assert (trace.converged, trace.iterations) == (False, 8)
    result = compute(few, replace(given, hessian_limit=20))
    assert top_and_trace(result)[1].converged
    assert 8 < top_and_trace(result)[1].iterations < 160
    assert top_and_trace(result)[1].stderr <= 0.03 * top_and_trace(result)[1].value
    assert top_and_trace(result)[0].value == pytest.approx(top.value, rel=1e-6)
    assert "Hessian: up to 20 times the steps and probes of the protocol" in result.notes


@BOTH_PROTOCOLS
def test_what_converges_is_the_same_under_a_higher_limit(trained, protocol):
    module, (x, y) = trained
    given = subject(module, [weights_of(module)], (x[:300], y[:300]), protocol, batch_size=128)
    plain, limited = HESSIAN.compute(given), HESSIAN.compute(replace(given, hessian_limit=3))
    for one, other in zip(top_and_trace(plain), top_and_trace(limited), strict=True):
        assert one.converged
        assert one.value == pytest.approx(other.value, rel=1e-6)
        assert one.iterations == other.iterations


@BOTH_PROTOCOLS
@pytest.mark.parametrize("members", [1, 2])
def test_the_cost_told_before_is_within_a_factor_of_two(trained, protocol, members):
    module, data = trained
    given = subject(module, [weights_of(module)] * members, data, protocol, batch_size=256)
    HESSIAN.compute(given)
    work = Workload(
        members=members, train_items=1100, test_items=597, full_items=1100, protocol=protocol
    )
    used, estimate = given.runner.meter.total.passes, HESSIAN.cost(work).passes
    assert 0.5 < estimate / used < 2


@pytest.mark.gpu
@BOTH_PROTOCOLS
def test_an_accelerator_finds_the_same(trained, protocol):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: make gpu-check where there is one")
    module, data = trained
    given = subject(module, [weights_of(module)], data, protocol, batch_size=256)
    here = top_and_trace(HESSIAN.compute(given))
    device = torch.device("cuda")
    module.to(device)
    try:
        members = {"seed-0": {name: t.to(device) for name, t in weights_of(module).items()}}
        runner = replace(given.runner, device=device)
        there = top_and_trace(HESSIAN.compute(replace(given, runner=runner, members=members)))
    finally:
        module.cpu()
    assert here[0].value == pytest.approx(there[0].value, rel=0.01)
    assert here[1].value == pytest.approx(there[1].value, rel=0.3 if protocol == "paper-1" else 0.1)
