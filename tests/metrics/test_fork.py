from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets import Data, TensorItems
from mdtree.landscape import derive_seed, profile, straight_line, trainable_parameters
from mdtree.metrics import METRICS, Workload
from mdtree.rows import Measured, Missing
from mdtree.training.loop import Training, train
from tests.support.cases import NETS, group, subject

FORK = METRICS["fork"]
QUANTITIES = ("fork_barrier", "fork_cka")
HOW = Training(batch_size=8, learning_rate=0.05)


def loss_for(data):
    """Cross-entropy for class numbers, the squared distance for all else, one for each item."""

    def loss(output, batch):
        y = batch["labels"] if isinstance(batch, dict) else batch[1]
        if y.is_floating_point():
            return (output - y).pow(2).flatten(1).mean(1) if y.dim() > 1 else (output - y).pow(2)
        return F.cross_entropy(output, y, reduction="none")

    return loss


def forked(module, members, data, training=HOW, **kwargs):
    made = subject(module, members, data, **kwargs)
    runner = replace(made.runner, loss=loss_for(data))
    return replace(made, runner=runner, training=training)


def clusters(count=60, classes=3, seed=0):
    """Points around centres that lie far from each other."""
    source = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % classes
    return 6 * F.one_hot(y, 5).float() + torch.randn(count, 5, generator=source), y


def values(module, members, data, **kwargs):
    return FORK.compute(forked(module, members, data, **kwargs)).values


def missing(measured):
    (reason,) = {value.missing for value in measured.values()}
    assert tuple(measured) == QUANTITIES
    return reason


@pytest.mark.parametrize("name", NETS)
def test_any_network_is_forked_and_found_as_it_was(name):
    make, data = NETS[name]
    module, members = group(make, 1)
    module.train()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    kept = {key: tensor.clone() for key, tensor in members[0].items()}
    state = torch.get_rng_state()

    measured = values(module, members, data)

    assert tuple(measured) == QUANTITIES
    labels = data["labels"] if isinstance(data, dict) else data[1]
    if labels.is_floating_point():
        assert measured["fork_barrier"] == Missing(missing="the targets are not class numbers")
    else:
        assert isinstance(measured["fork_barrier"], Measured)
    assert -1 <= measured["fork_cka"].value <= 1 + 1e-9
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())
    assert all(torch.equal(tensor, kept[key]) for key, tensor in members[0].items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_the_barrier_is_that_between_two_trainings_of_other_orders():
    """The same by hand, on all items: two epochs each from the same weights."""
    make, _ = NETS["mlp"]
    data = clusters()
    module, members = group(make, 1)
    how = replace(HOW, learning_rate=1.5)
    made = forked(module, members, data, training=how)
    barrier = FORK.compute(made).values["fork_barrier"]

    ends = []
    for way in range(2):
        copy = make()
        copy.load_state_dict(members[0])
        now = replace(how, epochs=2, seed=derive_seed(made.seed, "fork", way) % 2**32)
        ends.append(train(copy, TensorItems(data), loss_for(data), now))
    assert not torch.equal(ends[0]["0.weight"], ends[1]["0.weight"])
    line = straight_line(trainable_parameters(made.runner.network), *ends)
    items = TensorItems(data)
    by_hand = profile(made.runner, line, items, items, inner=(0.25, 0.5, 0.75)).barrier()
    assert by_hand.value != 0
    assert (barrier.value, barrier.stderr) == pytest.approx(
        (by_hand.value, by_hand.stderr), rel=1e-9
    )


def test_a_stable_checkpoint_has_no_barrier_and_equal_outputs():
    """At the bottom of a convex loss, the order of the data decides nothing."""
    data = clusters()
    module = nn.Linear(5, 3)
    how = Training(batch_size=60, learning_rate=0.5, epochs=300)
    weights = train(module, TensorItems(data), loss_for(data), how)
    measured = values(nn.Linear(5, 3), [weights], data, training=replace(HOW, learning_rate=0.01))
    assert measured["fork_barrier"].value == pytest.approx(0, abs=1e-9)
    assert measured["fork_cka"].value == pytest.approx(1, abs=1e-3)


def test_a_learning_rate_of_nothing_gives_equal_continuations():
    make, data = NETS["mlp"]
    measured = values(*group(make, 1), data, training=replace(HOW, learning_rate=1e-12))
    assert measured["fork_barrier"].value == 0
    assert measured["fork_cka"].value == pytest.approx(1, abs=1e-6)


def test_the_seed_decides_everything_and_the_protocol_nothing():
    make, _ = NETS["mlp"]
    (module, members), data = group(make, 1), clusters()
    how = replace(HOW, learning_rate=0.3)
    one, again, other = (
        values(module, members, data, training=how, seed=seed) for seed in (0, 0, 1)
    )
    assert one == again
    assert one["fork_cka"] != other["fork_cka"]
    assert one == values(module, members, data, training=how, protocol="paper-1")


def test_of_several_checkpoints_the_first_is_taken():
    make, data = NETS["mlp"]
    module, members = group(make, 3)
    assert values(module, members, data) == values(module, members[:1], data)


@pytest.mark.parametrize(("count", "batch_size"), [(37, 8), (3, 8), (37, 37), (1000, 64)])
def test_the_cost_told_before_is_what_is_used(count, batch_size):
    make, _ = NETS["mlp"]
    data = clusters(count)
    how = replace(HOW, batch_size=batch_size)
    made = forked(*group(make, 1), data, training=how)
    FORK.compute(made)
    estimate = FORK.cost(
        Workload(
            members=1, train_items=count, test_items=0, full_items=count,
            protocol="standard-1", training=how,
        )
    )  # fmt: skip
    assert estimate.gradient == made.runner.meter.total.gradient
    assert estimate.passes / 2 <= made.runner.meter.total.passes <= 2 * estimate.passes


def test_without_training_in_the_recipe_nothing_is_done_and_the_reason_is_told():
    make, data = NETS["mlp"]
    made = forked(*group(make, 1), data, training=None)
    assert "needs `training` in the recipe" in missing(FORK.compute(made).values)
    assert made.runner.meter.total.passes == 0


def test_a_network_that_is_frozen_cannot_go_on():
    make, data = NETS["mlp"]
    module, members = group(make, 1)
    module.requires_grad_(requires_grad=False)
    assert "no trainable parameters" in missing(values(module, members, data))


def test_frozen_parts_stay_as_they_are():
    make, data = NETS["mlp"]
    module, members = group(make, 1)
    module[0].requires_grad_(requires_grad=False)
    assert isinstance(values(module, members, data)["fork_barrier"], Measured)


@pytest.mark.parametrize(("items", "batch_size"), [(37, 1), (1, 8)])
def test_batch_norm_cannot_learn_from_one_item(items, batch_size):
    make, (x, y) = NETS["batch norm"]
    how = replace(HOW, batch_size=batch_size)
    reason = missing(values(*group(make, 1), (x[:items], y[:items]), training=how))
    assert reason.startswith("BatchNorm cannot be trained on one item at a time: found")
    assert f"batch_size {batch_size}" in reason


def test_no_items_at_all():
    make, (x, y) = NETS["mlp"]
    assert missing(values(*group(make, 1), (x[:0], y[:0]))) == "needs training items, found 0"


def test_too_few_items_for_similarity():
    make, (x, y) = NETS["mlp"]
    measured = values(*group(make, 1), (x[:3], y[:3]))
    assert isinstance(measured["fork_barrier"], Measured)
    assert measured["fork_cka"] == Missing(missing="needs 4 training items, found 3")


@pytest.mark.parametrize("stored", ["once", "twice"])
def test_tied_weights_stay_tied(stored):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(5, 5), nn.Linear(5, 5)
            self.last.weight = self.first.weight

        def forward(self, x):
            return self.last(torch.tanh(self.first(x)))

    module, (weights,) = group(Tied, 1)
    if stored == "once":
        weights = {name: tensor for name, tensor in weights.items() if name != "last.weight"}
    measured = values(module, [weights], clusters())
    assert isinstance(measured["fork_barrier"], Measured)
    assert isinstance(measured["fork_cka"], Measured)
    assert module.last.weight is module.first.weight


def test_a_training_that_explodes_is_missing_and_not_a_number():
    make, _ = NETS["mlp"]
    measured = values(*group(make, 1), clusters(), training=replace(HOW, learning_rate=1e30))
    assert "finite" in measured["fork_barrier"].missing
    assert "finite" in measured["fork_cka"].missing


def test_inputs_that_cannot_be_mixed_are_compared_as_they_are_and_a_note_says_so():
    make, data = NETS["words"]
    result = FORK.compute(forked(*group(make, 1), data))
    assert result.notes == ("integer inputs cannot be mixed",)
    assert isinstance(result.values["fork_cka"], Measured)


def test_a_data_set_of_another_place_is_not_changed():
    make, (x, y) = NETS["mlp"]
    kept = x.clone()
    made = forked(*group(make, 1), (x, y))
    FORK.compute(replace(made, data=Data(TensorItems((x, y)), None)))
    assert torch.equal(x, kept)
