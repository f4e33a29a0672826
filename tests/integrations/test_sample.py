"""A sample of data, and what is known of their amount."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from mdtree.integrations.sample import source_of

X, Y = torch.arange(21.0).reshape(7, 3), torch.arange(7) % 3


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


class Batches:
    def __iter__(self):
        return zip(X.split(4), Y.split(4), strict=True)


def sampled(data, items, seconds=60.0):
    sample = source_of(data).sample(items, seconds, lambda batch: batch)
    return len(sample.items), sample.amount


@pytest.mark.parametrize(
    ("data", "items", "expected"),
    [
        ((X, Y), 5, (5, 7)),
        (TensorDataset(X, Y), 5, (5, 7)),
        (DataLoader(TensorDataset(X, Y), batch_size=2), 5, (5, 7)),
        (DataLoader(Stream(), batch_size=2), 6, (6, None)),
        (Stream(), 7, (7, 7)),
        (Stream(), 8, (7, 7)),
        (Batches(), 4, (4, None)),
        (Batches(), 5, (5, 7)),  # the second batch is cut, and is the last
        (Batches(), 8, (7, 7)),
    ],
)
def test_the_amount_is_that_of_all_items_where_it_is_known(data, items, expected):
    assert sampled(data, items) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [(Stream(), (1, None)), (Batches(), (4, None)), (TensorDataset(X, Y), (1, 7))],
)
def test_data_that_were_not_read_to_their_end_in_time_tell_no_amount(data, expected):
    assert sampled(data, 7, seconds=0.0) == expected
