"""What shows of work on GPUs without one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtree.landscape import preserved_state, within_memory
from mdtree.landscape.curvature import pyhessian as published
from mdtree.measurement.speed import measure_speed
from mdtree.metrics import METRICS, connectivity, hessian, surface
from mdtree.metrics.budgets import (
    ConnectivityBudget,
    HessianBudget,
    PaperConnectivity,
    PaperHessian,
    StandardConnectivity,
    StandardHessian,
    SurfaceBudget,
)
from tests.support.cases import NETS, X, Y, group
from tests.support.devices import EACH_METRIC, PretendedDevice, measured, rows_agree
from tests.support.exact import BOTH_PROTOCOLS, cross_entropy, items, runner_of, subject

SHORT_HESSIAN = hessian.hessian_metric(
    HessianBudget(
        standard=StandardHessian(steps=3, least_probes=2, probes=4),
        paper=PaperHessian(iterations=3),
    )
)


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # wrapped tensors cannot be so
    return PretendedDevice()


@pytest.fixture
def briefly(monkeypatch):
    """Take few steps, which pass all tensors that many pass."""
    curves = ConnectivityBudget(
        standard=StandardConnectivity(steps=3), paper=PaperConnectivity(epochs=1)
    )
    shorter = (
        connectivity.connectivity_metric(curves),
        SHORT_HESSIAN,
        surface.surface_metric(SurfaceBudget(side=3, curve=curves)),
    )
    for metric in shorter:
        monkeypatch.setitem(METRICS, metric.name, metric)


def test_the_stand_in_sees_what_a_gpu_would_refuse(pretended):
    with pretended:
        there, index = torch.arange(3.0, device="meta"), torch.tensor([2, 0])
        assert there[index].cpu().tolist() == [2, 0] == there.cpu()[index].tolist()
        assert float(2 * there.sum()) == 6
        for mixed in (lambda: there + torch.ones(3), lambda: torch.ones(3)[there.long()]):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()


@EACH_METRIC
@BOTH_PROTOCOLS
def test_tensors_of_a_measurement_are_on_one_device(zoo, briefly, pretended, metric, protocol):
    data = {"source": "digits", "amount": 20}
    how = {"metrics": (metric,), "protocol": protocol, "data": data}
    here = measured(zoo, "cpu", **how).row
    with pretended:
        assert rows_agree(measured(zoo, "meta", **how).row, here, rel=1e-4)


def test_inside_a_measurement_cudnn_takes_the_same_kernels(monkeypatch):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    with preserved_state(runner_of(nn.Linear(5, 3)), seed=0):
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)


def test_pyhessians_probes_are_those_of_the_cpu_on_every_device():
    torch.manual_seed(0)
    expected = torch.randint_like(torch.empty(9), high=2), torch.rand(2)
    torch.manual_seed(0)
    with published._DrawnHere():
        drawn = torch.randint_like(torch.empty(9), high=2, device="cpu")
    assert torch.equal(expected[0], drawn)
    torch.manual_seed(0)
    with published._DrawnHere():
        assert torch.randint_like(torch.empty(9, device="meta"), high=2, device="meta").is_meta
    assert torch.equal(expected[1], torch.rand(2))


@pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
def test_kernels_without_a_second_derivative_change_no_random_numbers(protocol):
    """Devices have other such kernels: a try that fails must leave no trace."""
    make, data = NETS["transformer"]
    module, members = group(make, 1)
    made = subject(module, members, data, protocol)
    around = SHORT_HESSIAN.compute(made)
    with sdpa_kernel(SDPBackend.MATH):
        straight = SHORT_HESSIAN.compute(made)
    assert (len(around.notes), len(straight.notes)) == (1, 0)
    assert around.values == straight.values


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
    ],
)
def test_libraries_that_run_out_of_memory_are_understood(message):
    def work(size):
        if size > 3:
            raise RuntimeError(message)
        return size

    assert within_memory(work, 7) == 2


class Spare(nn.Linear):
    """Has a first parameter that it does not use."""

    def __init__(self):
        super().__init__(5, 3)
        self._parameters = {"spare": nn.Parameter(torch.ones(2)), **self._parameters}


def test_a_network_with_a_parameter_that_is_not_used_has_a_pace():
    speed = measure_speed(runner_of(Spare(), loss=cross_entropy), items((X, Y)))
    assert 0 < speed.forward <= speed.gradient <= speed.product
