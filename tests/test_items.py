from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from mdtree import items as module
from mdtree.batch import targets
from mdtree.exceptions import DataError
from mdtree.items import DatasetItems, TensorItems, in_memory

N = 7
X, Y = torch.arange(2.0 * N).reshape(N, 2), torch.arange(N) % 3


class Named(Dataset):
    """Items as dictionaries, and a count of how often one was decoded."""

    def __init__(self):
        self.decoded = []

    def __len__(self):
        return N

    def __getitem__(self, index):
        self.decoded.append(index)
        return {"ids": X[index], "labels": Y[index]}


class Broken(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return N

    def __getitem__(self, index):
        if index == 4:
            raise self.error
        return X[index], Y[index]


class Ragged(Broken):
    def __getitem__(self, index):
        return torch.zeros(1 + index), Y[index]


def of(dataset, **kwargs):
    return DatasetItems(dataset, torch.arange(len(dataset)), **kwargs)


ALL = [
    pytest.param(lambda: TensorItems((X, Y)), id="tensors"),
    pytest.param(lambda: TensorItems({"ids": X, "labels": Y}), id="named tensors"),
    pytest.param(lambda: of(TensorDataset(X, Y)), id="data set of pairs"),
    pytest.param(lambda: of(Named()), id="data set of dictionaries"),
    pytest.param(lambda: in_memory(of(Named())), id="data set in memory"),
]


def x_of(batch):
    return batch[0] if isinstance(batch, tuple) else batch["ids"]


def joined(items, batch_size=3):
    batches = list(items.batches(batch_size))
    return torch.cat([x_of(b) for b in batches]), torch.cat([targets(b) for b in batches])


@pytest.mark.parametrize("make", ALL)
def test_every_batch_begins_in_memory_where_new_tensors_do(make):
    """Else kernels sum its parts in another order: they first do what lies before the boundary."""
    for batch in make().batches(3):
        assert x_of(batch).data_ptr() % 64 == targets(batch).data_ptr() % 64 == 0
        assert torch.empty(3, 2).data_ptr() % 64 == 0


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (4, [4, 3]), (7, [7]), (100, [7])]
)
def test_batches_hold_every_item_once_and_in_order(make, batch_size, sizes):
    items = make()
    x, y = joined(items, batch_size)

    assert len(items) == N
    assert sizes == [len(targets(batch)) for batch in items.batches(batch_size)]
    assert torch.equal(X, x)
    assert torch.equal(Y, y)


@pytest.mark.parametrize("make", ALL)
def test_items_are_taken_in_the_order_of_the_indices_again_and_again(make):
    x, y = joined(make().take(torch.tensor([5, 0, 6, 2])).take(torch.tensor([3, 0])))

    assert X[[2, 5]].tolist() == x.tolist()
    assert Y[[2, 5]].tolist() == y.tolist()


@pytest.mark.parametrize("make", ALL)
def test_new_labels_stay_with_their_items(make):
    items = make().relabelled(torch.arange(N) + 10).take(torch.tensor([5, 0, 6, 2]))
    x, y = joined(items)

    assert X[[5, 0, 6, 2]].tolist() == x.tolist()
    assert [15, 10, 16, 12] == y.tolist() == items.labels().tolist()


@pytest.mark.parametrize("make", ALL)
def test_labels_are_those_of_the_batches(make):
    items = make().take(torch.tensor([6, 1, 1]))
    assert joined(items)[1].tolist() == items.labels().tolist()


@pytest.mark.parametrize("make", ALL)
def test_relabelling_leaves_the_given_items_alone(make):
    items = make()
    items.relabelled(torch.zeros(N, dtype=torch.long))
    assert Y.tolist() == items.labels().tolist()


def test_a_data_set_s_own_list_of_targets_saves_the_decoding():
    dataset = Named()
    dataset.targets = [int(y) for y in Y]

    assert Y[[3, 1]].tolist() == of(dataset).take(torch.tensor([3, 1])).labels().tolist()
    assert dataset.decoded == []


@pytest.mark.parametrize("make", ALL)
def test_reading_draws_no_random_numbers(make):
    before = torch.random.get_rng_state()
    list(in_memory(make()).batches(3))
    list(make().batches(3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_tensors_are_served_as_views():
    x = next(TensorItems((X, Y)).batches(3))[0]
    assert X.data_ptr() == x.data_ptr()


@pytest.mark.parametrize(
    "error", [KeyError("label"), OSError("no such image"), DataError("of my own"), IndexError("4")]
)
def test_an_error_of_a_user_s_data_set_is_a_data_error(error):
    with pytest.raises(DataError, match=str(error)) as caught:
        list(of(Broken(error)).batches(2))
    assert isinstance(error, DataError) or "after item 4" in str(caught.value)


def test_images_of_different_sizes_are_told_what_helps():
    with pytest.raises(DataError, match=r"after item 0.*transform\.size"):
        list(of(Ragged(None)).batches(2))


def test_items_that_are_no_batch_are_refused():
    with pytest.raises(DataError, match=r"a batch must be \(x, y\).*got \(float32\[2, 2\]\)"):
        list(of(TensorDataset(X)).batches(2))


def test_a_data_set_is_decoded_once_into_memory():
    dataset = Named()
    items = in_memory(of(dataset))
    for _ in range(3):
        joined(items)

    assert isinstance(items, TensorItems)
    assert [0, *range(N)] == dataset.decoded  # the first one twice, for its size


def test_what_is_too_large_for_memory_stays_where_it_is(monkeypatch):
    bytes_per_item = 2 * 4 + 8  # two floats and a label
    monkeypatch.setattr(module, "_MEMORY", N * bytes_per_item)
    assert isinstance(in_memory(of(Named())), TensorItems)

    monkeypatch.setattr(module, "_MEMORY", N * bytes_per_item - 1)
    items = of(Named())
    assert items is in_memory(items)


def test_a_small_first_item_does_not_fill_the_memory_with_large_ones(monkeypatch):
    monkeypatch.setattr(module, "_MEMORY", 10_000)
    dataset = LongRagged()
    items = of(dataset, collate=lambda rows: named(rows[-1][0], len(rows)))
    assert items is in_memory(items)  # 300 of the first are 1,200 bytes


def test_batches_of_different_lengths_cannot_be_joined_and_stay(monkeypatch):
    def padded(rows):
        ids = torch.nn.utils.rnn.pad_sequence([x for x, _ in rows], batch_first=True)
        return {"ids": ids, "labels": torch.stack([y for _, y in rows])}

    items = of(LongRagged(), collate=padded)

    assert items is in_memory(items)
    assert [tuple(b["ids"].shape) for b in items.batches(256)] == [(256, 256), (44, 300)]


def named(first, count):
    return {"ids": first.expand(count, -1), "labels": torch.zeros(count, dtype=torch.long)}


class LongRagged(Dataset):
    def __len__(self):
        return 300

    def __getitem__(self, index):
        return torch.zeros(1 + index), torch.tensor(0)


@pytest.mark.parametrize("items", [TensorItems((X[:0], Y[:0])), DatasetItems([], torch.arange(0))])
def test_no_items_are_no_batches(items):
    assert len(in_memory(items)) == 0
    assert list(items.batches(3)) == []


def test_one_item_is_one_batch():
    single = in_memory(of(Named()).take(torch.tensor([4])))
    assert [(x_of(b).tolist(), targets(b).tolist()) for b in single.batches(3)] == [
        ([[8.0, 9.0]], [1])
    ]


@pytest.mark.parametrize("make", ALL)
def test_items_cannot_be_changed(make):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().collate = None
