"""Inputs: which kind they are, and that none is too large."""

import pytest
import torch
from torch.utils.data import TensorDataset

from mdtree.baselines import Pictures, Tokens, Vectors, as_inputs, read_items
from mdtree.items import DatasetItems, TensorItems


def read(tensor, labels=None):
    labels = torch.zeros(len(tensor), dtype=torch.long) if labels is None else labels
    return read_items(TensorItems((tensor, labels)))[0]


@pytest.mark.parametrize(
    ("shape", "kind", "small"),
    [
        ((5, 7), Vectors, (5, 7)),
        ((5, 4000), Vectors, (5, 1024)),  # projected
        ((5, 2, 3, 2, 3), Vectors, (5, 36)),
        ((5, 12, 9), Pictures, (5, 1, 12, 9)),
        ((5, 3, 90), Pictures, (5, 3, 1, 90)),  # signals
        ((5, 3, 900), Pictures, (5, 3, 1, 784)),
        ((5, 3, 64, 20), Pictures, (5, 3, 28, 20)),
    ],
)
def test_the_shape_tells_the_kind(shape, kind, small):
    values = read(torch.randn(shape))
    train, test = as_inputs(values, values[:2])
    assert isinstance(train, kind)
    assert isinstance(test, kind)
    assert train.values.shape == small
    assert test.values.shape == (2, *small[1:])
    assert train.plain().shape == (5, values[0].numel())


def test_large_pictures_are_averaged():
    picture = torch.arange(56 * 56.0).reshape(1, 1, 56, 56)
    expected = picture.reshape(1, 1, 28, 2, 28, 2).mean((3, 5))
    assert torch.allclose(read(picture), expected)


def test_whole_numbers_are_tokens():
    train, test = as_inputs(
        read(torch.tensor([[0, 2, 2], [1, 0, 3]])), read(torch.tensor([[4, 4, 4]]))
    )
    assert isinstance(train, Tokens)
    assert train.vocabulary == test.vocabulary == 5
    counts = train.plain()[:, -5:]
    assert counts.tolist() == [[1, 0, 2, 0, 0], [1, 1, 0, 1, 0]]
    places = train.plain()[0, :15].reshape(3, 5).argmax(1)
    assert places.tolist() == [0, 2, 2]


def test_many_tokens_are_counted_in_buckets():
    ids = torch.tensor([[1, 1025, 30_000], [7, 7, 7]])
    train, _ = as_inputs(read(ids), read(ids))
    plain = train.plain()
    assert plain.shape == (2, 1024)
    assert plain[0, 1] == 2
    assert plain.sum(1).tolist() == [3, 3]


def test_small_whole_numbers_are_no_tokens():
    values = torch.arange(800).reshape(1, 800).remainder(256).to(torch.uint8)
    train, _ = as_inputs(read(values), read(values))
    assert isinstance(train, Vectors)
    assert torch.equal(train.values, values.float())


def test_ids_of_a_tokenizer_may_be_of_a_small_type():
    ids = torch.tensor([[3, 4, 5]]).to(torch.uint16)
    values, _ = read_items(TensorItems({"input_ids": ids, "labels": torch.tensor([1])}))
    assert isinstance(as_inputs(values, values)[0], Tokens)


def test_tokens_here_and_numbers_there_are_numbers():
    train, test = as_inputs(read(torch.tensor([[1, 2]])), read(torch.tensor([[0.5, 1.0]])))
    assert isinstance(train, Vectors)
    assert isinstance(test, Vectors)
    assert train.values.tolist() == [[1.0, 2.0]]


def test_very_long_vectors_keep_their_distances_about():
    values = torch.randn(6, 50_000, generator=torch.Generator().manual_seed(1))
    small = read(values)
    assert small.shape == (6, 1024)
    ratio = torch.pdist(small) / torch.pdist(values)
    assert 0.8 < float(ratio.min()) <= float(ratio.max()) < 1.2
    assert torch.equal(small, read(values))


def test_labels_of_tokens_are_no_classes_even_if_batches_differ_in_length():
    def collate(examples):
        ids = torch.nn.utils.rnn.pad_sequence([x for x, _ in examples], batch_first=True)
        return ids, ids.clone()

    sequences = [(torch.ones(1 + i // 256, dtype=torch.long), 0) for i in range(600)]
    items = DatasetItems(sequences, torch.arange(600), collate=collate)
    assert read_items(items) == "the targets are not class numbers"


def test_conjugated_numbers_are_read():
    values = torch.tensor([[1 + 2j]]).conj()
    assert read(values).tolist() == [[1.0, -2.0]]


def test_negative_whole_numbers_are_vectors():
    ids = torch.tensor([[1, -5], [7, 7]])
    train, _ = as_inputs(read(ids), read(ids))
    assert isinstance(train, Vectors)
    assert train.values.tolist() == ids.tolist()


def test_sequences_of_other_lengths_are_padded_and_masked_tokens_are_nothing():
    masked = TensorItems(
        {
            "input_ids": torch.tensor([[3, 4, 5]]),
            "attention_mask": torch.tensor([[1, 1, 0]]),
            "labels": torch.tensor([1]),
        }
    )
    values, labels = read_items(masked)
    train, test = as_inputs(values, torch.tensor([[6, 6, 6, 6]]))
    assert train.values.tolist() == [[3, 4, 0, 0]]
    assert test.values.tolist() == [[6, 6, 6, 6]]
    assert labels.tolist() == [1]


def test_items_of_a_dataset_are_read_in_batches():
    pictures = torch.randn(300, 1, 6, 6)
    items = DatasetItems(TensorDataset(pictures, torch.arange(300)), torch.arange(299, -1, -1))
    values, labels = read_items(items)
    assert torch.equal(values, pictures.flip(0))
    assert labels.tolist() == list(range(299, -1, -1))


def test_several_tensors_are_not_understood():
    batch = {"left": torch.ones(2, 3), "right": torch.ones(2, 3), "labels": torch.tensor([0, 1])}
    assert read_items(TensorItems(batch)) == "inputs are several tensors (left, right)"


def test_what_is_not_finite_or_of_another_shape_is_refused():
    values = torch.ones(3, 2)
    assert as_inputs(values, torch.full((1, 2), torch.nan)) == "inputs are not all finite"
    assert as_inputs(values, torch.ones(1, 3)) == "training and test inputs differ in shape"
