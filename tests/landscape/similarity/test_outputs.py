from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import nn

from mdtree.datasets import DatasetItems, TensorItems
from mdtree.exceptions import DataError
from mdtree.landscape import ComputeCost, Kernel, ModelRunner, cka, generator, mixed_sample, outputs
from mdtree.models import Network
from mdtree.tokens import TokenLoss

N = 10
# one-hot items, each labelled by its own place: a mixed item shows its two parents and their shares
ITEMS = TensorItems((torch.eye(N), torch.arange(N)))
X, CLASSES = torch.randn(11, 3), torch.arange(11) % 3
BATCHES = pytest.mark.parametrize("batch_size", [1, 3, 4, 100])


def runner_of(module, *, batch_size=4, dtype=None):
    return ModelRunner(
        network=Network(module.eval()),
        loss=lambda output, _batch: output.sum(),
        batch_size=batch_size,
        device=torch.device("cpu"),
        dtype=dtype,
    )


def mixed(items=ITEMS, count=N, seed=0, **kwargs):
    dtype = kwargs.pop("dtype", None)
    runner = runner_of(nn.Identity(), dtype=dtype)
    return mixed_sample(runner, items, count, generator(seed), **kwargs)


def shares_and_partners(sample):
    """Read the shares of one-hot items, and who was mixed in; nobody beside oneself is oneself."""
    x, own = sample.all
    shares = x[torch.arange(len(x)), own]
    rest = x.clone()
    rest[torch.arange(len(x)), own] = 0
    partners = torch.where(rest.amax(1) > 0, rest.argmax(1), own)
    assert torch.allclose(x.sum(1), torch.ones(len(x)))
    assert ((x > 0).sum(1) <= 2).all()
    return shares, partners, own


def say(module, data, **kwargs):
    runner = runner_of(module, **kwargs)
    items = data if hasattr(data, "batches") else TensorItems(data)
    said = runner.network.with_weights(module.state_dict(), lambda run: outputs(runner, items, run))
    assert ComputeCost(forward=len(items)) == runner.meter.total
    return said


def same(kernel, features):
    return cka(kernel, Kernel.of(features), debiased=True) == pytest.approx(1, abs=1e-6)


def test_each_item_is_mixed_with_one_other_in_a_share_of_its_own():
    sample, why = mixed()

    shares, partners, own = shares_and_partners(sample)
    assert why is None
    assert list(range(N)) == sorted(own.tolist()) == sorted(partners.tolist())
    others = partners != own
    assert len(set(shares[others].tolist())) == int(others.sum()) > N // 2


def test_items_mixed_in_batches_share_one_lambda_and_stay_among_themselves():
    sample, _ = mixed(together=4)

    shares, partners, own = shares_and_partners(sample)
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):  # four, four and two
        assert sorted(own[part].tolist()) == sorted(partners[part].tolist())
        assert len(set(shares[part][partners[part] != own[part]].tolist())) <= 1
    assert len(set(shares.tolist()) - {1.0}) > 1


def test_lambdas_follow_the_beta_distribution():
    n = 2000
    sample, _ = mixed(TensorItems((torch.eye(n), torch.arange(n))), n)

    shares, partners, own = shares_and_partners(sample)
    assert stats.kstest(shares[partners != own].numpy(), stats.beta(16, 16).cdf).pvalue > 0.05


def test_the_sample_is_drawn_without_replacement_and_has_no_more_than_there_is():
    few, _ = mixed(count=4)
    assert len(few) == len(set(few.labels().tolist())) == 4
    assert len(mixed(count=99)[0]) == N


@pytest.mark.parametrize("together", [None, 4])
def test_a_seed_gives_one_sample_whatever_else_is_drawn(together):
    first, _ = mixed(together=together)
    before = torch.random.get_rng_state()
    again, _ = mixed(together=together)
    other, _ = mixed(together=together, seed=1)

    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.all[0], again.all[0])
    assert not torch.equal(first.all[0], other.all[0])
    assert torch.equal(ITEMS.all[0], torch.eye(N))


@pytest.mark.parametrize("together", [None, 4])
def test_inputs_of_any_shape_and_precision_keep_both(together):
    x = torch.rand(N, 2, 3, 4, dtype=torch.float16)

    for dtype in (torch.float16, torch.float64):
        sample, _ = mixed(TensorItems((x, torch.rand(N, 2))), together=together, dtype=dtype)
        assert sample.all[0].shape == (N, 2, 3, 4)
        assert dtype == sample.all[0].dtype


class Counted(torch.utils.data.Dataset):
    """Items of growing length, or of one length, that count how often they are read."""

    def __init__(self, *, growing):
        self.growing, self.read = growing, 0

    def __len__(self):
        return N

    def __getitem__(self, place):
        self.read += 1
        return torch.ones(1 + place if self.growing else 2), place


def padded(items):
    x = nn.utils.rnn.pad_sequence([x for x, _ in items], batch_first=True)
    return x, torch.tensor([y for _, y in items])


def test_items_that_are_read_from_somewhere_are_read_once():
    dataset = Counted(growing=False)
    sample, why = mixed(DatasetItems(dataset, torch.arange(N)), 6)

    assert why is None
    assert isinstance(sample, TensorItems)
    assert dataset.read <= 7  # one of them for its size


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (TensorItems({"x": torch.rand(N, 2), "labels": torch.arange(N)}), "named inputs"),
        (TensorItems((torch.arange(2 * N).reshape(N, 2), torch.arange(N))), "integer inputs"),
        (
            DatasetItems(Counted(growing=True), torch.arange(N), collate=padded),
            "do not fit into one tensor",
        ),
    ],
)
def test_what_cannot_be_mixed_is_drawn_as_it_is(items, words, monkeypatch):
    # batches of three: a padded batch of all items would have one size
    monkeypatch.setattr(
        DatasetItems, "batches", lambda self, _size, read=DatasetItems.batches: read(self, 3)
    )
    for together in (None, 4):
        sample, why = mixed(items, 7, together=together)
        assert len(sample) == 7
        assert words in why
        assert why.endswith("cannot be mixed")


@BATCHES
def test_classes_are_compared_by_their_probabilities(batch_size):
    module = nn.Linear(3, 3)
    logits = module(X).detach()

    said = say(module, (X, CLASSES), batch_size=batch_size)

    assert same(said.kernel, logits.softmax(1))
    assert not same(said.kernel, logits)
    assert logits.argmax(1).tolist() == said.classes.tolist()
    assert said.fault is None


@BATCHES
@pytest.mark.parametrize(
    ("module", "targets"),
    [
        (nn.Linear(3, 3), torch.rand(11, 3)),  # numbers
        (nn.Linear(3, 3), CLASSES.repeat(3, 1).T),  # a class for each word
        (nn.Sequential(nn.Linear(3, 12), nn.Unflatten(1, (2, 2, 3))), CLASSES),
        (nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), torch.rand(11)),
    ],
)
def test_all_else_is_compared_by_its_outputs_flattened_for_each_item(module, targets, batch_size):
    said = say(module, (X, targets), batch_size=batch_size)

    assert same(said.kernel, module(X).detach().reshape(11, -1))
    assert None is said.classes is said.fault


@BATCHES
def test_the_last_token_is_the_last_that_counts(batch_size):
    scores = torch.randn(11, 4, 3)
    labels = torch.full((11, 4), -100)
    for item in range(11):
        labels[item, [0, item % 4]] = 1  # two of them count, or one
    runner = replace(
        runner_of(nn.Identity(), batch_size=batch_size), loss=TokenLoss(is_shifted=False)
    )
    items = TensorItems((scores, labels))
    said = runner.network.with_weights({}, lambda run: outputs(runner, items, run))
    assert same(said.last, scores[torch.arange(11), torch.arange(11) % 4].softmax(1))
    assert not same(said.kernel, scores[torch.arange(11), torch.arange(11) % 4].softmax(1))


def test_outputs_that_are_whole_numbers_are_compared_too():
    class Rounded(nn.Linear):
        def forward(self, x):
            return (100 * super().forward(x)).long()

    module = Rounded(3, 3)
    assert same(say(module, (X, torch.rand(11, 3))).kernel, module(X).float())


@BATCHES
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_outputs_that_are_not_finite_are_a_fault(broken, batch_size):
    x = X.clone()
    x[10, 0] = broken

    said = say(nn.Linear(3, 3), (x, CLASSES), batch_size=batch_size)

    assert (said.kernel, said.classes, said.fault) == (None, None, "are not finite")


def test_outputs_of_different_sizes_are_a_fault():
    class Long(nn.Module):
        def forward(self, x):
            return x.repeat(1, len(x))

    said = say(Long(), (X, torch.rand(11)), batch_size=4)
    assert said.fault == "differ in size from batch to batch"


class Narrow(nn.Linear):
    """A network for which memory is enough for `room` items."""

    room = 2

    def forward(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_batches_that_do_not_fit_into_memory_are_halved():
    module = Narrow(3, 3)

    said = say(module, (X, CLASSES), batch_size=9)

    module.room = 11
    assert same(said.kernel, module(X).detach().softmax(1))


def test_one_item_that_does_not_fit_into_memory_is_told():
    module = Narrow(3, 3)
    module.room = 0
    with pytest.raises(DataError, match="out of memory even with one item"):
        say(module, (X, CLASSES))
