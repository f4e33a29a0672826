from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils.data import TensorDataset

from mdtree.datasets import DatasetItems, TensorItems, load_data
from mdtree.datasets.sample import with_label_noise, with_subset
from mdtree.exceptions import DataError
from mdtree.recipes import Digits, Trust

N, CLASSES = 1000, 7
LABELS = torch.arange(N) % CLASSES  # x is the number of the item, so that it can be recognised


def in_tensors(labels=LABELS):
    return TensorItems((torch.arange(len(labels)), labels))


def in_data_set(labels=LABELS):
    return DatasetItems(TensorDataset(torch.arange(len(labels)), labels), torch.arange(len(labels)))


def numbers(items):
    return [int(x) for batch in items.batches(256) for x in batch[0]]


KINDS = pytest.mark.parametrize("items", [in_tensors(), in_data_set()], ids=["tensors", "dataset"])


@KINDS
def test_random_subsets_of_one_seed_are_nested(items):
    sizes = (1, 10, 400, N)
    chosen = [numbers(with_subset(items, n, order="random", seed=3)) for n in sizes]

    assert list(sizes) == [len(set(part)) for part in chosen]
    for smaller, larger in itertools.pairwise(chosen):
        assert smaller == larger[: len(smaller)]


@KINDS
def test_a_subset_is_a_matter_of_its_seed(items):
    def draw(seed):
        return numbers(with_subset(items, 50, order="random", seed=seed))

    assert draw(1) == draw(1)
    assert len(set(draw(1)) & set(draw(2))) < 20  # 2.5 are expected
    assert max(draw(1)) > 500


@KINDS
def test_first_takes_the_beginning_whatever_the_seed(items):
    for seed in (0, 1):
        assert list(range(50)) == numbers(with_subset(items, 50, order="first", seed=seed))


@KINDS
@pytest.mark.parametrize("order", ["random", "first"])
def test_more_than_there_is_cannot_be_taken(items, order):
    with pytest.raises(DataError, match="amount must be at most the 1000 training items, got 1001"):
        with_subset(items, N + 1, order=order, seed=0)


@KINDS
@pytest.mark.parametrize(
    ("share", "wrong"), [(0.1, 100), (0.0004, 0), (0.0006, 1), (0.3337, 334), (1.0, N)]
)
def test_noise_makes_exactly_its_share_of_labels_wrong(items, share, wrong):
    noisy = with_label_noise(items, share, seed=5).labels()

    assert wrong == int((noisy != LABELS).sum())
    assert 0 <= int(noisy.min()) <= int(noisy.max()) < CLASSES
    assert noisy.dtype == LABELS.dtype


def test_wrong_labels_are_drawn_evenly_from_the_other_classes():
    labels = torch.arange(70_000) % CLASSES
    noisy = with_label_noise(in_tensors(labels), 1.0, seed=0).labels()

    pairs = torch.bincount(labels * CLASSES + noisy, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    expected = 10_000 / (CLASSES - 1)
    others = pairs[~torch.eye(CLASSES, dtype=torch.bool)]

    assert pairs.diag().tolist() == [0] * CLASSES
    assert float((others - expected).abs().max()) < 6 * expected**0.5  # 42 counts, 6 sigma each


@KINDS
def test_noise_is_a_matter_of_its_seed(items):
    def draw(seed):
        return with_label_noise(items, 0.2, seed=seed).labels().tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_noise_leaves_the_inputs_and_the_given_items_alone():
    items = in_tensors()
    noisy = with_label_noise(items, 0.5, seed=0)

    assert numbers(items) == numbers(noisy)
    assert LABELS.tolist() == items.labels().tolist()


def test_subsets_agree_on_the_labels_of_the_items_that_they_share():
    def part(amount, order="random"):
        spec = Digits(amount=amount, subset=order, label_noise=0.3, seed=4)
        train = load_data(spec, None, trust=Trust()).train
        return {tuple(x.flatten().tolist()): int(y) for x, y in zip(*train.all, strict=True)}

    small, large, first = part(40), part(600), part(600, "first")

    assert small.items() <= large.items()
    shared = large.keys() & first.keys()
    assert len(shared) > 200
    assert [large[x] for x in shared] == [first[x] for x in shared]


@pytest.mark.parametrize("seed", range(5))
def test_a_small_random_part_has_its_share_of_the_wrong_labels(seed):
    """Of 1,000 items with 20 % wrong labels, 100 have 20 of them, give or take four deviations."""
    noisy = with_label_noise(in_tensors(), 0.2, seed=seed)
    x, labels = with_subset(noisy, 100, order="random", seed=seed).all
    wrong = int((LABELS[x] != labels).sum())
    assert 4 <= wrong <= 36


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.rand(8), "one class number per item"),
        (torch.zeros(8, 2, dtype=torch.long), "one class number per item"),
        (torch.zeros(8, dtype=torch.long), "at least two classes"),
    ],
)
def test_noise_needs_classes(labels, words):
    with pytest.raises(DataError, match=words):
        with_label_noise(in_tensors(labels), 0.5, seed=0)


def test_sampling_draws_no_random_numbers_of_others():
    before = torch.random.get_rng_state()
    with_label_noise(with_subset(in_tensors(), 9, order="random", seed=0), 0.5, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())
