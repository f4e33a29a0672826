from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest
import torch

from mdtree.datasets.files import from_file
from mdtree.exceptions import DataError

X = np.arange(12.0).reshape(3, 4)
Y = np.array([1, 0, 2])


class Code:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


def as_npz(path, **arrays):
    np.savez(path, **arrays)


def as_compressed(path, **arrays):
    np.savez_compressed(path, **arrays)


def as_pt(path, **arrays):
    torch.save({key: torch.as_tensor(array) for key, array in arrays.items()}, path)


def as_legacy(path, **arrays):
    tensors = {key: torch.as_tensor(array) for key, array in arrays.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


WRITERS = pytest.mark.parametrize("write", [as_npz, as_compressed, as_pt, as_legacy])


@WRITERS
@pytest.mark.parametrize("name", ["data.npz", "data.pt", "data"])
def test_x_and_y_are_a_pair_by_content_and_not_by_name(tmp_path, write, name):
    if write in (as_npz, as_compressed) and name != "data.npz":
        write(tmp_path / "a.npz", x=X, y=Y)
        (tmp_path / "a.npz").rename(tmp_path / name)
    else:
        write(tmp_path / name, x=X, y=Y)

    x, y = from_file(tmp_path / name).all

    assert X.tolist() == x.tolist()
    assert Y.tolist() == y.tolist()
    assert (torch.float32, torch.int64) == (x.dtype, y.dtype)


@WRITERS
def test_other_names_are_inputs_beside_labels(tmp_path, write):
    write(tmp_path / "d.npz", input_ids=Y[:, None], attention_mask=X > 2, labels=Y)

    tensors = from_file(tmp_path / "d.npz").all

    assert list(tensors) == ["input_ids", "attention_mask", "labels"]
    assert {torch.int64} == {tensor.dtype for tensor in tensors.values()}


@pytest.mark.parametrize("kind", [tuple, list])
def test_torch_may_hold_a_bare_pair(tmp_path, kind):
    torch.save(kind([torch.from_numpy(X), torch.from_numpy(Y)]), tmp_path / "d.pt")
    assert Y.tolist() == from_file(tmp_path / "d.pt").labels().tolist()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (np.array([[0, 51], [255, 102]], np.uint8), [[0, 0.2], [1, 0.4]]),  # images of bytes
        (np.array([0, 51], np.uint8), [0, 51]),  # one byte for each item is no image
        (np.array([[0.5], [2]], np.float64), [[0.5], [2]]),
        (np.array([[0.5], [2]], np.float16), [[0.5], [2]]),
        (np.array([[5], [2]], np.int16), [[5], [2]]),
        (np.array([[True], [False]]), [[1], [0]]),
    ],
)
@WRITERS
def test_values_come_as_networks_take_them(tmp_path, write, given, wanted):
    write(tmp_path / "d.npz", x=given, y=[0, 1])

    x, _ = from_file(tmp_path / "d.npz").all

    torch.testing.assert_close(torch.tensor(wanted, dtype=x.dtype), x)
    assert x.dtype in (torch.float32, torch.int64)


def test_labels_of_bytes_stay_class_numbers(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y.astype(np.uint8)[:, None])
    np.savez(tmp_path / "e.npz", ids=X, labels=Y.astype(np.uint8)[:, None])

    for name in ("d.npz", "e.npz"):
        assert from_file(tmp_path / name).labels().tolist() == [[1], [0], [2]]


@WRITERS
@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X, "y": Y[:2]}, "entries must have the same length, above 0; got {'x': 3, 'y': 2}"),
        ({"x": X[:0], "y": Y[:0]}, "above 0; got {'x': 0, 'y': 0}"),
        ({"x": 1.0, "y": 2}, "got {'x': None, 'y': None}"),
        ({}, "got {}"),
        ({"x": X}, "must contain x and y, or named inputs and labels; got x"),
        ({"arr_0": X, "arr_1": Y}, "got arr_0, arr_1"),
        ({"x": np.where(X == 5, np.nan, X), "y": Y}, "x contains NaN or infinite values"),
        ({"x": np.where(X == 5, -np.inf, X), "y": Y}, "x contains NaN or infinite values"),
        ({"x": X, "y": np.where(Y == 2, np.nan, Y)}, "y contains NaN or infinite values"),
        ({"x": X * 1e300, "y": Y}, "x contains NaN or infinite values"),  # beyond float32
    ],
)
def test_entries_that_make_no_data_are_told_with_their_file(tmp_path, write, arrays, words):
    write(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError) as caught:
        from_file(tmp_path / "d.npz")
    assert words in str(caught.value)
    assert f"data file {tmp_path / 'd.npz'}" in str(caught.value)


def objects(path, mark):
    np.savez(path, x=np.array([Code(mark)] * 3, dtype=object), y=Y)


def pickled(path, mark):
    path.write_bytes(pickle.dumps(Code(mark)))


def in_torch(path, mark):
    torch.save({"x": Code(mark), "y": torch.zeros(1)}, path)


def in_legacy(path, mark):
    torch.save({"x": Code(mark)}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [objects, pickled, in_torch, in_legacy])
def test_code_in_a_data_file_is_not_run(tmp_path, write):
    mark = tmp_path / "mark"
    write(tmp_path / "d.npz", mark)

    with pytest.raises(DataError, match=r"none of its code was run|allow_pickle=False") as caught:
        from_file(tmp_path / "d.npz")

    assert not mark.exists()
    assert "set to `False`" not in str(caught.value)  # torch's advice to run it


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: it must hold"),
        (b"x,y\n1,2\n", "neither .npz nor tensors"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'", "neither .npz nor tensors"),
        (b"PK\x03\x04" + b"\0" * 200, "neither .npz nor tensors"),
    ],
)
def test_a_wrong_file_is_told(tmp_path, content, words):
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match=words):
        from_file(tmp_path / "d.npz")


@pytest.mark.parametrize("write", [as_npz, as_compressed, as_pt, as_legacy])
def test_a_damaged_file_is_told_wherever_the_damage_is(tmp_path, write):
    write(tmp_path / "whole.npz", x=np.random.default_rng(0).random((50, 8)), y=np.arange(50))
    whole = (tmp_path / "whole.npz").read_bytes()
    refused = 0
    for cut in range(0, len(whole), 97):
        flipped = bytearray(whole)
        flipped[cut] ^= 0xFF
        for content in (whole[:cut], bytes(flipped)):
            (tmp_path / "d.npz").write_bytes(content)
            try:
                from_file(tmp_path / "d.npz")
            except DataError:
                refused += 1
    assert refused >= len(whole) // 97  # every cut; not every flipped bit is noticed by the formats


def test_a_flipped_bit_of_tensors_that_were_saved_by_torch_is_told(tmp_path):
    path = tmp_path / "d.pt"
    x = np.random.default_rng(0).random((50, 8))
    as_pt(path, x=x, y=np.arange(50))
    content = bytearray(path.read_bytes())
    content[content.index(x.tobytes()) + 9] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"is damaged: .*data/\d does not match its checksum"):
        from_file(path)


def test_a_zip_of_something_else_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", "nonsense")
    with pytest.raises(DataError, match=r"neither \.npz nor tensors"):
        from_file(tmp_path / "d.npz")


@pytest.mark.parametrize(("name", "words"), [("no.npz", "No such file"), ("", "holds no data set")])
def test_what_cannot_be_opened_is_told(tmp_path, name, words):
    with pytest.raises(DataError, match=words):
        from_file(tmp_path / name)


def test_entries_that_are_no_tensors_are_shown(tmp_path):
    torch.save({"x": torch.zeros(3), "y": [1, 2, 3], "classes": ["cat"] * 1000}, tmp_path / "d.pt")
    with pytest.raises(DataError, match=r"got \{x: float32\[3\], y: \(int, int, int\), classes:"):
        from_file(tmp_path / "d.pt")


def big(*shape, dtype=torch.uint8):
    """Show one number a great many times; a file holds it once."""
    return torch.ones(1, dtype=dtype).expand(*shape)


WINDOWS = torch.arange(1000.0).as_strided((500, 500), (1, 1))  # each value up to 500 times
MANY = torch.arange(2000.0)[:, None]  # under 40 names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"x": big(10_000, 30_000), "y": torch.zeros(10_000)},
            r"a tensor of the size \(10000, 30000\), and 1 bytes for it",
        ),
        ({"x": torch.zeros(9, 2), "y": big(9, 10**9, dtype=torch.int64)}, "a tensor of the size"),
        ((torch.zeros(9, 2), big(9, 1000)), "whose values repeat the same bytes; write it"),
        ({"x": WINDOWS, "y": torch.zeros(500)}, "whose values repeat"),
        ({f"x{n}": MANY.view(2000, 1) for n in range(40)}, "tensors take 320000 bytes, but it has"),
        ({"x": torch.zeros(3, 2).to_sparse(), "y": torch.zeros(3)}, "a sparse tensor"),
        ({"x": torch.zeros(3, 2, device="meta"), "y": torch.zeros(3)}, "a tensor without values"),
    ],
    ids=["image", "labels", "pair", "windows", "names", "sparse", "meta"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_tensors_that_are_more_than_the_file_holds_are_refused(tmp_path, content, words, zipped):
    torch.save(content, tmp_path / "d.pt", _use_new_zipfile_serialization=zipped)
    assert (tmp_path / "d.pt").stat().st_size < 64_000
    with pytest.raises(DataError, match=f"d.pt was not read: it.*{words}"):
        from_file(tmp_path / "d.pt")


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch will do without them one day
def test_quantised_tensors_are_refused(tmp_path):
    x = torch.quantize_per_tensor(torch.zeros(3, 2), 0.1, 0, torch.qint8)
    torch.save({"x": x, "y": torch.zeros(3)}, tmp_path / "d.pt")
    with pytest.raises(DataError, match=r"sparse, nested or quantized|none of its code was run"):
        from_file(tmp_path / "d.pt")


def test_views_of_what_the_file_holds_are_read(tmp_path):
    x = torch.arange(12.0).reshape(3, 4)
    torch.save({"values": x, "wanted": x, "labels": x.T[:3], "mask": x[:, 1:]}, tmp_path / "d.pt")
    tensors = from_file(tmp_path / "d.pt").all
    assert torch.equal(x, tensors["wanted"])
    assert torch.equal(x.T[:3], tensors["labels"])


def test_a_value_that_holds_itself_again_and_again_is_looked_at_once(tmp_path):
    nested = [torch.zeros(2)]
    for _ in range(60):
        nested = [nested, nested]  # 2**60 ways to the tensor
    torch.save(nested, tmp_path / "d.pt")
    with pytest.raises(DataError, match="must contain tensors x and y"):
        from_file(tmp_path / "d.pt")


def test_arrays_that_are_packed_too_well_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mdtree.datasets.files._LARGEST", 1 << 20)
    np.savez_compressed(tmp_path / "d.npz", x=np.zeros((50, 50, 50), bool), y=np.zeros(50))
    assert len(from_file(tmp_path / "d.npz")) == 50  # 1,000,400 bytes
    np.savez_compressed(tmp_path / "d.npz", x=np.zeros((60, 50, 50), bool), y=np.zeros(60))
    with pytest.raises(DataError, match="would take 1200240 bytes of memory, more than 100 times"):
        from_file(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", x=np.zeros((60, 50, 50), bool), y=np.zeros(60))
    assert len(from_file(tmp_path / "d.npz")) == 60


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_entries_that_are_unpacked_all_at_once_are_refused(tmp_path, how):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "d.npz", "w", how) as archive:
        archive.write(tmp_path / "x.npy", "x.npy")
        archive.write(tmp_path / "x.npy", "y.npy")
    with pytest.raises(DataError, match="its entries are not packed the way NumPy packs"):
        from_file(tmp_path / "d.npz")
