"""Seeds and snapshots of one run, told by the distances of their weights."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from mdtree.checkpoints import in_memory_tensors, kinship

SHAPES = {"first.weight": (32, 20), "first.bias": (32,), "head.weight": (10, 32)}


def drawn(seed, scale=1.0, shapes=SHAPES):
    source = torch.Generator().manual_seed(seed)
    return {name: scale * torch.randn(shape, generator=source) for name, shape in shapes.items()}


def plus(some, others):
    return {name: some[name] + others[name] for name in some}


def walk(steps, scale=0.1):
    """Each checkpoint is the one before it and a random step."""
    here = drawn(0)
    places = [here]
    for step in range(1, steps):
        here = plus(here, drawn(step, scale))
        places.append(here)
    return places


def tell(networks):
    return kinship([in_memory_tensors(network) for network in networks])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_networks_from_different_random_weights_are_seeds(count):
    assert tell([drawn(seed) for seed in range(count)]) == "seeds"


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_a_random_walk_is_a_run(count):
    assert tell(walk(count)) == "run"


def test_a_run_whose_steps_become_smaller_is_one():
    here = drawn(0)
    places = [here]
    for step, scale in enumerate([0.7, 0.3, 0.1, 0.01], start=1):
        here = plus(here, drawn(step, scale))
        places.append(here)
    assert tell(places) == "run"


def test_seeds_of_one_beginning_are_equally_far_and_nothing_tells():
    base = drawn(0)
    tuned = [plus(base, drawn(seed, 0.01)) for seed in range(1, 5)]
    assert tell(tuned) == "unknown"
    assert tell(tuned[:2]) == "run"  # of two, one cannot tell: it is refused


def test_a_head_that_each_seed_drew_anew_tells_them():
    base = drawn(0)
    tuned = [plus(base, drawn(seed, 0.01)) for seed in range(1, 5)]
    for seed, network in enumerate(tuned):
        network["head.weight"] = drawn(100 + seed)["head.weight"]
    assert tell(tuned) == "seeds"


def test_layers_that_are_frozen_say_nothing():
    base = drawn(0)
    frozen = [{**base, "head.weight": drawn(seed)["head.weight"]} for seed in (1, 2, 3)]
    assert tell(frozen) == "seeds"


def test_one_matrix_may_be_that_of_a_convex_loss():
    shapes = {"weight": (10, 64), "bias": (10,)}
    best = drawn(0, shapes=shapes)
    near = [plus(best, drawn(seed, 0.1, shapes)) for seed in (1, 2, 3)]
    assert tell(near) == "unknown"
    assert tell(near[:2]) == "unknown"


@pytest.mark.parametrize(
    "networks",
    [
        [{"bias": torch.ones(500)}, {"bias": torch.zeros(500)}],
        [{"a": torch.ones(3, 3)}, {"a": torch.zeros(3, 3)}],  # too few weights
        [{"a": torch.ones(30, 30)}, {"b": torch.ones(30, 30)}],
        [{"a": torch.ones(30, 30)}, {"a": torch.zeros(20, 30)}],
        [{"a": torch.ones(30, 30)}] * 2,
        [{"a": torch.ones(30, 30)}, {"a": torch.full((30, 30), float("nan"))}],
        [{"a": torch.ones(30, 30, dtype=torch.int64)}, {"a": torch.zeros(30, 30)}],
        [{"a": torch.ones(0, 30)}] * 2,
        [{}, {}],
    ],
    ids=["vectors", "small", "names", "sizes", "equal", "NaN", "integers", "empty", "nothing"],
)
def test_where_nothing_can_be_compared_nothing_tells(networks):
    assert tell(networks) == "unknown"


def test_small_matrices_are_taken_together():
    shapes = {f"conv{i}.weight": (4, 2, 3, 3) for i in range(4)}
    assert tell([drawn(seed, shapes=shapes) for seed in range(3)]) == "seeds"
    base = drawn(0, shapes=shapes)
    assert tell([base, plus(base, drawn(1, 0.01, shapes)), plus(base, drawn(2, 1, shapes))]) in (
        "run",
        "unknown",
    )


def trained(seed, epochs):
    torch.manual_seed(seed)
    x = torch.randn(120, 12)
    y = (x[:, :3].sum(1) > 0).long()
    model = torch.nn.Sequential(
        torch.nn.Linear(12, 40), torch.nn.ReLU(), torch.nn.Linear(40, 30),
        torch.nn.ReLU(), torch.nn.Linear(30, 2),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        for batch in torch.randperm(120).split(20):
            optimizer.zero_grad()
            cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        yield {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_epochs_and_seeds_of_real_trainings_are_told_apart():
    runs = [list(trained(seed, 5)) for seed in range(4)]
    assert all(tell(run) == "run" for run in runs)
    assert all(tell(run[:2]) == "run" for run in runs)
    assert tell([run[-1] for run in runs]) == "seeds"
