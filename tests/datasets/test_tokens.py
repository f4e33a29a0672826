from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset

from mdtree.datasets import as_items, in_memory
from mdtree.datasets.files import from_file
from mdtree.exceptions import DataError

EXAMPLES = [{"input_ids": [5, 6, 7], "text": "a b c"}, {"input_ids": [8], "text": "d"}]
PADDED = [[5, 6, 7], [8, 0, 0]]
MASK = [[1, 1, 1], [1, 0, 0]]
LABELS = [[5, 6, 7], [8, -100, -100]]


def write(path, *examples):
    path.write_text("".join(json.dumps(example) + "\n" for example in examples))
    return path


def shown(items):
    return {name: tensor.tolist() for name, tensor in items.all.items()}


def test_lines_of_ids_are_padded_and_are_their_own_labels(tmp_path):
    items = from_file(write(tmp_path / "train.jsonl", *EXAMPLES))
    assert shown(items) == {"input_ids": PADDED, "attention_mask": MASK, "labels": LABELS}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[1, -100, 2], [3]], [[1, -100, 2], [3, -100, -100]]),
        ([4, 0], [4, 0]),
        ([0.5, 1], [0.5, 1]),
    ],
)
def test_labels_belong_to_tokens_or_to_the_sequence(tmp_path, labels, expected):
    examples = [{**e, "labels": each} for e, each in zip(EXAMPLES, labels, strict=True)]
    assert shown(from_file(write(tmp_path / "d", *examples)))["labels"] == expected


def test_other_numbers_of_tokens_are_padded_with_zero(tmp_path):
    examples = [
        {"input_ids": [1, 2], "token_type_ids": [1, 1], "attention_mask": [True, True]},
        {"input_ids": [3], "token_type_ids": [1], "attention_mask": [True]},
    ]
    content = shown(from_file(write(tmp_path / "d", *examples)))
    assert content["token_type_ids"] == [[1, 1], [1, 0]]
    assert content["attention_mask"] == [[1, 1], [1, 0]]


def test_blank_lines_and_a_byte_order_mark_are_nothing(tmp_path):
    path = tmp_path / "d"
    path.write_bytes(b'\xef\xbb\xbf{"input_ids": [1, 2]}\n\n  \n{"input_ids": [3, 4]}')
    assert shown(from_file(path))["input_ids"] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is not JSON"),
        ("[" * 10**5, "line 2 is not JSON"),
        ("[1, 2]", r'line 2 must be \{"input_ids"'),
        ('{"ids": [1]}', r'line 2 must be \{"input_ids"'),
        ('{"input_ids": []}', "line 2: input_ids must be a list of whole numbers"),
        ('{"input_ids": [0.5]}', "line 2: input_ids must be a list of whole numbers"),
        ('{"input_ids": [true]}', "line 2: input_ids must be a list of whole numbers"),
        ('{"input_ids": ["a"]}', "line 2: input_ids must be a list of whole numbers"),
        ('{"input_ids": [[1]]}', "line 2: input_ids must be a list of whole numbers"),
        ('{"input_ids": 3}', "line 2: input_ids must be a list of whole numbers"),
        ('{"input_ids": [1, 2], "labels": [1]}', "line 2: labels has 1 numbers for 2 tokens"),
        ('{"input_ids": [1], "labels": "a"}', "line 2: labels must be a number"),
        ('{"input_ids": [1], "x": 3}', "example 2 has input_ids, x, but the first has input_ids"),
        ('{"input_ids": [99999999999999999999]}', "cannot be joined to one tensor"),
    ],
)
def test_a_line_that_is_no_example_is_told_with_its_number(tmp_path, line, words):
    path = tmp_path / "d.jsonl"
    path.write_text('{"input_ids": [1, 2]}\n' + line)
    with pytest.raises(DataError, match=words):
        from_file(path)


def test_padding_may_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("mdtree.datasets.tokens._LARGEST", 1000)
    monkeypatch.setattr("mdtree.datasets.tokens._RATIO", 2)
    path = write(tmp_path / "d", {"input_ids": [1] * 100}, *[{"input_ids": [1]}] * 100)
    with pytest.raises(DataError, match="when padded to 100 tokens, more than 2 times its size"):
        from_file(path)


def test_a_line_that_never_ends_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("mdtree.datasets.tokens._LONGEST_LINE", 1 << 20)
    path = tmp_path / "d"
    path.write_bytes(b'{"input_ids": [' + b"1," * (1 << 20))
    with pytest.raises(DataError, match="line 1 is longer than 1 MiB"):
        from_file(path)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint16, np.uint8])
def test_ids_of_any_whole_numbers_stay_what_they_are(tmp_path, kind):
    np.savez(tmp_path / "d.npz", input_ids=np.array(PADDED, kind), attention_mask=np.array(MASK))
    assert shown(from_file(tmp_path / "d.npz")) == {
        "input_ids": PADDED, "attention_mask": MASK, "labels": LABELS,
    }  # fmt: skip


def test_safetensors_hold_data_as_well(tmp_path):
    save_file({"input_ids": torch.tensor(PADDED)}, tmp_path / "d.safetensors")
    assert shown(from_file(tmp_path / "d.safetensors")) == {"input_ids": PADDED, "labels": PADDED}
    content = (tmp_path / "d.safetensors").read_bytes()
    (tmp_path / "cut").write_bytes(content[:-8])
    with pytest.raises(DataError, match="neither"):
        from_file(tmp_path / "cut")


def test_float_ids_are_told(tmp_path):
    np.savez(tmp_path / "d.npz", input_ids=np.array(PADDED, np.float32))
    with pytest.raises(DataError, match=r"d\.npz: input_ids must be whole numbers"):
        from_file(tmp_path / "d.npz")


class Examples(Dataset):
    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return self.examples[index]


@pytest.mark.parametrize("form", [list, Examples], ids=["list", "Dataset"])
def test_examples_in_memory_are_padded(form):
    items = in_memory(as_items(form(EXAMPLES), "train"))
    assert shown(items) == {"input_ids": PADDED, "attention_mask": MASK, "labels": LABELS}


def collate(examples):
    """Pad a batch by itself, as the collators of transformers do."""
    longest = max(len(example["input_ids"]) for example in examples)
    ids = [e["input_ids"] + [0] * (longest - len(e["input_ids"])) for e in examples]
    mask = [[1] * len(e["input_ids"]) + [0] * (longest - len(e["input_ids"])) for e in examples]
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "text": [example["text"] for example in examples],
    }


def test_batches_that_a_loader_padded_by_themselves_are_joined(monkeypatch):
    monkeypatch.setattr("mdtree.items._MEMORY", 1 << 20)
    many = [EXAMPLES[1]] * 256 + EXAMPLES  # batches of 256
    loader = DataLoader(Examples(many), batch_size=2, collate_fn=collate)
    items = in_memory(as_items(loader, "train"))
    content = shown(items)
    assert content["input_ids"][-2:] == PADDED
    assert content["attention_mask"][-2:] == MASK
    assert content["labels"][-2:] == LABELS
    assert content["labels"][0] == [8, -100, -100]


def test_named_tensors_of_other_lengths_are_told():
    with pytest.raises(DataError, match="train: entries must have the same length"):
        as_items({"input_ids": torch.zeros(3, 2).long(), "labels": torch.zeros(2).long()}, "train")


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf\n"])
def test_a_file_without_examples_is_empty(tmp_path, content):
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.jsonl is empty"):
        from_file(path)


def test_names_with_line_breaks_are_escaped(tmp_path):
    path = write(tmp_path / "d.jsonl", {"input_ids": [1], "a\nb": 1}, {"input_ids": [1]})
    with pytest.raises(DataError, match=r"input_ids, a\\nb: all must have"):
        from_file(path)
    np.savez(tmp_path / "d.npz", **{"a\nb": np.ones((2, 2)), "c": np.ones(2)})
    with pytest.raises(DataError, match=r"got a\\nb, c"):
        from_file(tmp_path / "d.npz")
