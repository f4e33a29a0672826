"""Folders of the package `datasets`: written by itself where it is installed, and by hand."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest
import torch

from mdtree.datasets import data_digest, load_data
from mdtree.datasets.files import from_file
from mdtree.exceptions import DataError, MissingExtraError
from mdtree.recipes import Tensors, Trust

pa = pytest.importorskip("pyarrow")

RAGGED = {"input_ids": [[5, 8, 2], [7, 1], [4]], "text": ["a", "b", "c"]}


def write(folder, *tables, options=None, **state):
    """Write a Dataset as `save_to_disk` does; each table is a file."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{n:05}-of-{len(tables):05}.arrow" for n in range(len(tables))]
    for name, columns in zip(names, tables, strict=True):
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        with pa.ipc.new_stream(folder / name, table.schema, options=options) as stream:
            stream.write_table(table, max_chunksize=2)
    files = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps({"_fingerprint": "f", **files, **state}))
    return folder


def shown(items):
    return {key: tensor.tolist() for key, tensor in items.all.items()}


def refused(folder, match):
    with pytest.raises(DataError, match=match):
        from_file(folder)


def test_sequences_are_padded_and_texts_left_out(tmp_path):
    rest = {"input_ids": [[9, 9, 9, 9]], "text": ["d"]}
    assert shown(from_file(write(tmp_path / "d", RAGGED, rest))) == {
        "input_ids": [[5, 8, 2, 0], [7, 1, 0, 0], [4, 0, 0, 0], [9, 9, 9, 9]],
        "attention_mask": [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]],
        "labels": [[5, 8, 2, -100], [7, 1, -100, -100], [4, -100, -100, -100], [9, 9, 9, 9]],
    }


def test_labels_of_tokens_and_classes_of_sequences(tmp_path):
    labels = pa.array([[1, -100, 0], [2, 3], [1]], pa.list_(pa.int8()))
    mask = [[1, 1, 0], [1, 1], [1]]
    columns = {"input_ids": RAGGED["input_ids"], "labels": labels, "attention_mask": mask}
    found = shown(from_file(write(tmp_path / "d", columns)))
    assert found["labels"] == [[1, -100, 0], [2, 3, -100], [1, -100, -100]]
    assert found["attention_mask"] == [[1, 1, 0], [1, 1, 0], [1, 0, 0]]
    columns = {"input_ids": RAGGED["input_ids"], "label": [0, 2, 1]}
    assert shown(from_file(write(tmp_path / "d", columns)))["label"] == [0, 2, 1]


def test_x_and_y_of_any_shape(tmp_path):
    x = torch.arange(24).reshape(3, 2, 4)
    pixels = pa.array(x.tolist(), pa.list_(pa.list_(pa.uint8(), 4)))
    found = from_file(write(tmp_path / "d", {"x": pixels, "y": [0, 1, 0]}))
    assert torch.equal(found.all[0], x / 255)
    assert found.all[1].tolist() == [0, 1, 0]


def test_only_the_chosen_columns_are_taken(tmp_path):
    columns = {"input_ids": [[1, 2], [3, 4]], "labels": [0, 1], "row": [7, 8]}
    folder = write(tmp_path / "d", columns, _format_columns=["input_ids", "labels"])
    assert shown(from_file(folder)) == {"input_ids": [[1, 2], [3, 4]], "labels": [0, 1]}


def load(folder, **keys):
    return load_data(Tensors(**keys), folder, trust=Trust())


@pytest.mark.parametrize("name", ["test", "validation"])
def test_splits_are_found(tmp_path, name):
    write(tmp_path / "d/train", RAGGED)
    write(tmp_path / "d" / name, {"input_ids": [[1, 2]]})
    (tmp_path / "d/dataset_dict.json").write_text(json.dumps({"splits": ["train", name]}))
    data = load(tmp_path, train="d")
    assert (len(data.train), len(data.test)) == (3, 1)
    data = load(tmp_path, train=f"d/{name}", test="d/train")
    assert (len(data.train), len(data.test)) == (1, 3)
    assert load(tmp_path, train="d/train").test is None
    (tmp_path / "d/train/state.json").unlink()
    with pytest.raises(DataError, match=f"has the splits {name}: name the one to use"):
        load(tmp_path, train="d")


def test_what_has_changed_is_noticed(tmp_path):
    spec = Tensors(train="d")
    write(tmp_path / "d", RAGGED)
    first = data_digest(spec, tmp_path)
    assert first == data_digest(spec, tmp_path)
    write(tmp_path / "d", {**RAGGED, "input_ids": [[5, 8, 2], [7, 1], [3]]})
    assert first != data_digest(spec, tmp_path)


LISTS = pa.array([[1, 2], None], pa.list_(pa.int64()))


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"text": ["a"], "label": [1]}, r"left out: text \(string\)\. Tokenise"),
        ({"input_ids": [[1], []]}, "example 2 has no tokens"),
        ({"input_ids": LISTS}, r"input_ids is empty \(None\) in 1 rows"),
        ({"input_ids": [[1, 2], [3]], "labels": [[1], [1, 2]]}, "labels has lists of 1 to 2"),
        ({"input_ids": [[1.5]]}, "input_ids must be whole numbers"),
        ({"x": [[1.0], [2.0]]}, "must contain x and y, or named inputs and labels"),
        ({"x": [[float("nan")]], "y": [0]}, "x contains NaN"),
        ({"input_ids": pa.array([], pa.list_(pa.int64()))}, "the same length, above 0"),
    ],
)
def test_columns_that_do_not_do_are_told(tmp_path, columns, match):
    refused(write(tmp_path / "d", columns), match)


def test_folders_that_are_no_data_sets_are_told(tmp_path):
    refused(tmp_path, "holds no data set of the package datasets")
    for content in ("[", "[]", "9"):
        (tmp_path / "state.json").write_text(content)
        refused(tmp_path, "is damaged")
    (tmp_path / "state.json").write_text("{}")
    refused(tmp_path, "has no data files")


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/passwd", "a/b", "s3://x/y", "..", 7])
def test_a_state_names_no_file_elsewhere(tmp_path, name):
    folder = write(tmp_path / "d", RAGGED, _data_files=[{"filename": name}])
    refused(folder, "is not one of its folder|is damaged|cannot be read")


def test_damaged_files_are_told(tmp_path):
    (file,) = write(tmp_path / "d", RAGGED).glob("*.arrow")
    content = file.read_bytes()
    for cut in (0, 8, 100, len(content) // 2, len(content) - 8):
        file.write_bytes(content[:cut])
        refused(tmp_path / "d", "its end is missing")
    for place in range(0, len(content), 7):
        file.write_bytes(content[:place] + b"\xff\x00\x7f" + content[place + 3 :])
        with contextlib.suppress(DataError):
            from_file(tmp_path / "d")
    file.unlink()
    refused(tmp_path / "d", "cannot be read")


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_files_are_refused_before_they_are_unpacked(tmp_path, codec):
    if not pa.Codec.is_available(codec):
        pytest.skip(f"pyarrow without {codec}")
    zeros = pa.table({"input_ids": [[0] * 100_000]})
    options = pa.ipc.IpcWriteOptions(compression=codec)
    refused(write(tmp_path / "d", zeros, options=options), "is compressed")


def test_one_long_sequence_among_many_short_ones_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mdtree.datasets.tokens._LARGEST", 0)
    ids = [[1]] * 5000 + [[1] * 5000]
    refused(write(tmp_path / "d", {"input_ids": ids}), "when padded to 5000 tokens")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    folder = write(tmp_path / "d", RAGGED)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"mdtree-diagnosis\[datasets\]"):
        from_file(folder)


def test_what_the_package_itself_writes(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        input_ids=datasets.Sequence(datasets.Value("int32")),
        label=datasets.ClassLabel(names=["no", "yes"]),
        box=datasets.Array2D((2, 2), "float32"),
        text=datasets.Value("string"),
    )
    whole = datasets.Dataset.from_dict(
        {
            "input_ids": [[n] * (n % 3 + 1) for n in range(7)],
            "label": [n % 2 for n in range(7)],
            "box": [[[n, 1], [2, 3]] for n in range(7)],
            "text": list("abcdefg"),
        },
        features=features,
    )
    both = datasets.DatasetDict(train=whole.select([6, 2, 4]), test=whole.select(range(2)))
    both.with_format("torch").save_to_disk(tmp_path / "both", num_shards={"train": 2, "test": 1})
    data = load(tmp_path, train="both")
    assert shown(data.train) == {
        "input_ids": [[6, 0, 0], [2, 2, 2], [4, 4, 0]],
        "attention_mask": [[1, 0, 0], [1, 1, 1], [1, 1, 0]],
        "label": [0, 0, 0],
        "box": [[[n, 1], [2, 3]] for n in (6, 2, 4)],
    }
    assert shown(data.test)["label"] == [0, 1]
