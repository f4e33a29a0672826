from __future__ import annotations

import statistics

import pytest
import torch

from mdtree.checkpoints import in_memory_tensors
from mdtree.metrics import METRICS, Workload
from mdtree.models import cnn
from mdtree.rows import Measured, Missing
from mdtree.spectra import AVERAGED, Rules, State, analyse_all
from tests.support.cases import NETS, group, subject

SPECTRUM = METRICS["spectrum"]
DATA = (torch.zeros(3, 1, 8, 8), torch.zeros(3).long())


def findings(count=2, make=lambda: cnn(width=8), **kwargs):
    module, members = group(make, count)
    return SPECTRUM.compute(subject(module, members, DATA, **kwargs)), members


def test_values_are_means_over_layers_then_members():
    result, members = findings()
    analyses = [analyse_all(in_memory_tensors(weights), Rules()) for weights in members]
    for name in AVERAGED:
        each = [analysis.mean(name) for analysis in analyses]
        assert result.values[name].value == pytest.approx(statistics.fmean(each))
        assert result.values[name].members == tuple(each)
        assert result.values[name].stderr == pytest.approx(statistics.stdev(each) / 2**0.5)
    each = [analysis.median("alpha") for analysis in analyses]
    assert result.values["alpha_median"].value == pytest.approx(statistics.fmean(each))


def test_shares_are_in_percent():
    result, _ = findings()
    assert result.values["random_like"].value == 100  # nothing was trained
    assert result.values["traps"].value == 0


def test_a_single_huge_weight_is_a_trap_in_its_layer():
    module, (weights,) = group(lambda: cnn(width=16), 1)
    name = next(name for name in weights if weights[name].dim() == 4 and weights[name].shape[1] > 1)
    weights[name][0, 0, 0, 0] = 50 * weights[name].std()
    result = SPECTRUM.compute(subject(module, [weights], DATA))
    layers = analyse_all(in_memory_tensors(weights), Rules()).averaged
    assert result.values["traps"].value == pytest.approx(100 / len(layers))
    place = result.details["spectrum"].columns["layer"].index(name)
    assert result.details["spectrum"].columns["state"][place] == State.TRAP.value


@pytest.mark.parametrize("name", NETS)
def test_any_network_has_a_spectrum_or_says_why_not(name):
    make, data = NETS[name]
    module, members = group(make, 2)
    result = SPECTRUM.compute(subject(module, members, data))
    assert tuple(result.values) == SPECTRUM.quantities
    for value in result.values.values():
        assert isinstance(value, Measured) or value.missing
    assert isinstance(result.values["log_norm"], Measured)


def test_details_list_every_layer_of_every_member_and_notes_tell_the_convention():
    result, members = findings()
    columns = result.details["spectrum"].columns
    matrices = [name for name, tensor in members[0].items() if tensor.dim() > 1]
    assert columns["layer"] == tuple(matrices * 2)
    assert columns["member"] == ("seed-0",) * len(matrices) + ("seed-1",) * len(matrices)
    assert result.notes == ("spectra: the eigenvalues of all slices of a convolution together",)


def test_a_layer_without_numbers_is_a_note():
    module, (weights,) = group(lambda: cnn(width=8), 1)
    weights["0.weight"] = torch.zeros_like(weights["0.weight"])
    result = SPECTRUM.compute(subject(module, [weights], DATA))
    assert "seed-0: no spectrum of 0.weight: all numbers are zero" in result.notes
    assert result.details["spectrum"].columns["alpha"][0] is None


def test_too_small_a_network_has_norms_and_no_alpha():
    result, _ = findings(make=lambda: torch.nn.Linear(3, 2))
    assert isinstance(result.values["log_norm"], Measured)
    assert result.values["alpha"] == Missing(
        missing="no layer has this number; a member has 1 layers"
    )
    assert "needs 4 layers with an alpha" in result.values["alpha_drift"].missing


def test_no_network_is_run():
    assert SPECTRUM.cost(
        Workload(
            members=9, train_items=10, test_items=1, full_items=10, protocol="standard-1"
        )
    ).passes == 0  # fmt: skip
    module, members = group(lambda: cnn(width=8), 2)
    made = subject(module, members, DATA)
    SPECTRUM.compute(made)
    assert made.runner.meter.total.passes == 0


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device: make gpu-check where there is one"
)
def test_a_gpu_gives_the_numbers_of_the_cpu():
    module, members = group(lambda: cnn(width=16), 1)
    here = SPECTRUM.compute(subject(module, members, DATA))
    there = [{name: tensor.cuda() for name, tensor in weights.items()} for weights in members]
    other = SPECTRUM.compute(subject(module.cuda(), there, DATA, device="cuda"))
    for name in ("alpha", "log_norm", "stable_rank"):
        assert other.values[name].value == pytest.approx(here.values[name].value, rel=1e-9)


def test_its_seconds_grow_with_the_matrices_and_the_members():
    """By hand: 20 x 10 and 3 x (2 x 4) take 20 * 10 * 10 + 3 * 8 * 3 products; a vector none."""
    weights = {"a": torch.zeros(20, 10), "b": torch.zeros(3, 2, 4), "bias": torch.zeros(99)}
    assert SPECTRUM.weights_seconds([weights, weights]) == pytest.approx(2 * (2000 + 72) / 1e9)
    assert SPECTRUM.weights_seconds([]) == 0
    assert [name for name, each in METRICS.items() if each.weights_seconds] == ["spectrum"]
