from __future__ import annotations

from collections import UserDict

import pytest
import torch

from mdtree.batch import as_batch, describe, inputs, size, targets, to_device
from mdtree.exceptions import DataError

X, Y = torch.arange(12.0).reshape(3, 4), torch.tensor([2, 0, 1])


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pair_of_tensors_of_one_length_is_a_batch(kind):
    batch = as_batch(kind([X, Y]))

    assert isinstance(batch, tuple)
    assert batch[0] is X
    assert batch[1] is Y
    assert inputs(batch) == ((X,), {})
    assert Y is targets(batch)
    assert size(batch) == 3


@pytest.mark.parametrize("label", ["labels", "label"])
@pytest.mark.parametrize("kind", [dict, UserDict])  # transformers' batches are UserDicts
def test_a_dictionary_is_called_by_name_without_its_labels(kind, label):
    batch = as_batch(kind({"ids": X, "mask": X > 1, label: Y}))

    positional, named = inputs(batch)

    assert positional == ()
    assert list(named) == ["ids", "mask"]
    assert Y is targets(batch)
    assert size(batch) == 3


def test_of_two_labels_the_plural_counts_and_neither_is_an_input():
    batch = as_batch({"x": X, "label": Y + 1, "labels": Y})

    assert Y is targets(batch)
    assert {"x"} == inputs(batch)[1].keys()


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ((X, Y[:2]), "(float32[3, 4], int64[2])"),
        ((X, torch.tensor(1)), "(float32[3, 4], int64[])"),
        ((torch.tensor(1.0), torch.tensor(1)), "(float32[], int64[])"),
        ((X, Y, Y), "(float32[3, 4], int64[3], int64[3])"),
        ((X, [2, 0, 1]), "(float32[3, 4], (int, int, int))"),
        (X, "float32[3, 4]"),
        (None, "NoneType"),
        ({"ids": X}, "{ids: float32[3, 4]}"),
        ({"ids": X, "labels": torch.tensor(1)}, "{ids: float32[3, 4], labels: int64[]}"),
        ({"text": ["a", "b"], "labels": Y}, "{text: (str, str), labels: int64[3]}"),
        ({}, "{}"),
    ],
)
def test_anything_else_is_refused_with_its_description(value, seen):
    with pytest.raises(DataError) as caught:
        as_batch(value)
    assert str(caught.value).endswith(f"got {seen}")


def test_a_description_stays_short():
    assert describe(list(range(10**6))) == "(int, int, int, int, int, int, ...)"
    assert describe({str(i): [0] * 1000 for i in range(1000)}).endswith("...}")


@pytest.mark.parametrize("batch", [(X, Y), {"x": X, "labels": Y}])
def test_a_batch_moves_as_a_whole(batch):
    moved = to_device(batch, torch.device("meta"))

    assert targets(moved).device.type == "meta"
    assert size(moved) == 3
    positional, named = inputs(moved)
    assert {"meta"} == {t.device.type for t in (*positional, *named.values())}


def test_a_value_inside_itself_again_and_again_is_described_in_a_few_words():
    nested: list[object] = [torch.zeros(2)]
    for _ in range(5000):
        nested = [nested, {"x" * 1000: nested}]
    assert len(describe(nested)) < 1000
    assert describe([[[1]]]) == "(((int)))"
    assert describe([[[[1]]]]) == "(((list)))"


def test_ids_without_labels_are_their_own_except_for_padding():
    ids, mask = torch.tensor([[5, 6], [7, 0]]), torch.tensor([[1, 1], [1, 0]])
    assert targets(as_batch({"input_ids": ids})).tolist() == ids.tolist()
    batch = as_batch({"input_ids": ids, "attention_mask": mask})
    assert targets(batch).tolist() == [[5, 6], [7, -100]]
    assert list(inputs(batch)[1]) == ["input_ids", "attention_mask"]


def test_labels_that_are_given_are_never_replaced():
    batch = as_batch({"input_ids": torch.zeros(2, 3).long(), "label": Y[:2]})
    assert targets(batch).tolist() == [2, 0]


def test_texts_beside_tensors_are_left_out():
    batch = as_batch({"x": X, "labels": Y, "text": ["a", "b", "c"], "row": 3})
    assert list(batch) == ["x", "labels"]


@pytest.mark.parametrize("ids", [X, X > 1, torch.tensor(1)])
def test_ids_are_whole_numbers(ids):
    with pytest.raises(DataError, match="input_ids must be whole numbers"):
        as_batch({"input_ids": ids, "labels": Y})


def test_a_mask_of_another_shape_hides_nothing():
    with pytest.raises(DataError, match="attention_mask must have the shape of input_ids"):
        as_batch({"input_ids": torch.zeros(2, 3).long(), "attention_mask": torch.ones(2, 1)})
