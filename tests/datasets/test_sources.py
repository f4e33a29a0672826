"""Digits, arrays and factories, as a recipe names them; how changes of the data are noticed."""

from __future__ import annotations

import gzip
import importlib
import os

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from mdtree.datasets import TensorItems, data_digest, load_data
from mdtree.exceptions import DataError, RecipeError, UntrustedError
from mdtree.recipes import Digits, FactoryData, Images, Tensors, Transform, Trust

OWN = Trust(any_factory=True)
X, Y = torch.arange(10.0).reshape(5, 2), torch.tensor([0, 1, 1, 0, 2])


def load(spec, folder=None, trust=OWN):
    return load_data(spec, folder, trust=trust)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(X[0], Y[0])])


def doubled(rows):
    """A collate function of one's own."""
    return 2 * torch.stack([x for x, _ in rows]), torch.stack([y for _, y in rows])


MADE = {
    "tensors": lambda: (X, Y),
    "list": lambda: [X, Y],
    "dictionary": lambda: {"ids": X, "labels": Y},
    "data set": lambda: TensorDataset(X, Y),
    "items": lambda: TensorItems((X, Y)),
    "loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=2, shuffle=True),
    "own collate": lambda: DataLoader(TensorDataset(X, Y), batch_size=2, collate_fn=doubled),
    "one item": lambda: (X[:1], Y[:1]),
    "none": lambda: None,
    "empty": lambda: (X[:0], Y[:0]),
    "empty data set": lambda: TensorDataset(X[:0], Y[:0]),
    "number": lambda: 3,
    "text": lambda: "cifar",
    "one tensor": lambda: X,
    "unequal": lambda: (X, Y[:3]),
    "arrays": lambda: (X.numpy(), Y.numpy()),
    "loader of a stream": lambda: DataLoader(Stream()),
    "stream": Stream,
    "no labels": lambda: {"ids": X},
    "triples": lambda: TensorDataset(X, Y, Y),
}


def make(train="tensors", test="none"):
    """A data factory as a user writes it."""
    return MADE[train](), MADE[test]()


def make_badly(how):
    if how == "raise":
        raise OSError("disk not mounted")
    return {"one": X, "three": (X, Y, X), "nothing": None}[how]


def own(name="make", **kwargs):
    return FactoryData(source=f"tests.datasets.test_sources:{name}", kwargs=kwargs)


def test_digits_are_all_of_scikit_learn_s_in_two_halves():
    data = load(Digits())
    (x, _), (test_x, _) = data.train.all, data.test.all

    assert (tuple(x.shape), tuple(test_x.shape)) == ((1200, 1, 8, 8), (597, 1, 8, 8))
    assert (float(x.min()), float(x.max())) == (0.0, 1.0)
    bunch = load_digits()
    rows = {
        (*image.flatten().tolist(), int(label)) for image, label in zip(*both(data), strict=True)
    }
    assert rows == {
        (*image.flatten().tolist(), int(label))
        for image, label in zip(bunch.images, bunch.target, strict=True)
    }
    assert len(rows) == 1797  # no item stands in both halves


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (None, "pip install scikit-learn"),
        (b"not packed", "cannot be read: Not a gzipped file"),
        (gzip.compress(b"1,2\n3,x\n", mtime=0), "cannot be read: could not convert"),
        (gzip.compress(b"1,2\n" * 600_000, mtime=0), "it has more than 1 MiB"),
    ],
    ids=["missing", "not packed", "not numbers", "too large"],
)
def test_digits_that_are_missing_or_damaged_are_told(tmp_path, monkeypatch, packed, words):
    place = tmp_path / "sklearn" / "datasets" / "data" / "digits.csv.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(packed or b"")
    found = None if packed is None else tmp_path
    module = importlib.import_module("mdtree.datasets.digits")  # the package has its function
    monkeypatch.setattr(module, "installed_folder", lambda _: found)
    with pytest.raises(DataError, match=words):
        load(Digits())


def both(data):
    halves = data.train.all, data.test.all
    return torch.cat([x for x, _ in halves]) * 16, torch.cat([y for _, y in halves])


def test_digits_are_balanced_in_both_halves_and_always_the_same():
    data = load(Digits())

    for items, expected in ((data.train, 120), (data.test, 59.7)):
        counts = torch.bincount(items.labels(), minlength=10)
        assert float((counts / expected - 1).abs().max()) < 0.25
    assert torch.equal(data.train.all[0], load(Digits()).train.all[0])


@pytest.mark.parametrize("kind", ["tensors", "list", "data set", "items", "loader"])
def test_a_factory_gives_what_people_have(kind):
    data = load(own(train=kind, test=kind))
    for items in (data.train, data.test):
        assert torch.equal(X, items.all[0])
        assert torch.equal(Y, items.all[1])


def test_a_factory_may_give_named_inputs():
    assert {"ids", "labels"} == load(own(train="dictionary")).train.all.keys()


def test_a_loader_s_own_way_to_make_batches_is_kept():
    x, y = load(own(train="own collate")).train.all
    assert torch.equal(2 * X, x)
    assert torch.equal(Y, y)


def test_there_may_be_no_test_data_and_there_may_be_one_item():
    data = load(own(train="one item"))
    assert len(data.train) == 1
    assert None is data.test


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"train": "number"}, "or a DataLoader of one; got int"),
        ({"train": "none"}, "or a DataLoader of one; got NoneType"),
        ({"train": "text"}, "or a DataLoader of one; got str"),
        ({"train": "one tensor"}, r"or a DataLoader of one; got float32\[5, 2\]"),
        ({"test": "stream"}, "a Dataset with a length.*got Stream"),
        ({"test": "loader of a stream"}, "a Dataset with a length.*got Stream"),
        ({"train": "unequal"}, r"got \(float32\[5, 2\], int64\[3\]\)"),
        ({"train": "arrays"}, r"got \(ndarray, ndarray\)"),
        ({"train": "no labels"}, "one of them named 'labels'"),
        ({"train": "triples"}, r"a batch must be \(x, y\)"),
        ({"train": "empty"}, "there are no training items"),
        ({"train": "empty data set"}, "there are no training items"),
        ({"test": "empty"}, "there are no test items"),
        ({"tests": "tensors"}, "did you mean 'test'"),
        ({"name": "make_badly", "how": "one"}, r"must return \(train, test\), got float32"),
        ({"name": "make_badly", "how": "three"}, r"must return \(train, test\), got \(float32"),
        ({"name": "make_badly", "how": "nothing"}, r"must return \(train, test\), got NoneType"),
        ({"name": "make_badly", "how": "raise"}, "OSError: disk not mounted"),
    ],
)
def test_what_is_no_data_is_told(kwargs, words):
    with pytest.raises((DataError, RecipeError), match=words):
        load(own(**kwargs))


def test_a_recipe_found_beside_checkpoints_may_not_name_a_data_factory():
    with pytest.raises(UntrustedError, match="--trust tests"):
        load(own(), trust=Trust())
    named = Trust(names=frozenset(["tests.datasets.test_sources:make"]))
    assert len(load(own(), trust=named).train) == 5


def test_noise_on_empty_data_is_the_same_error_as_without():
    spec = FactoryData(source=own().source, kwargs={"train": "empty"}, label_noise=0.5, amount=1)
    with pytest.raises(DataError, match="there are no training items"):
        load(spec)


def test_more_items_than_there_are_cannot_be_asked_for():
    with pytest.raises(DataError, match="amount must be at most the 1200 training items, got 1201"):
        load(Digits(amount=1201))


def arrays(folder, x=X, **kwargs):
    np.savez(folder / "train.npz", x=x, y=Y)
    return Tensors(train="train.npz", **kwargs)


@pytest.mark.parametrize(
    ("x", "transform", "wanted"),
    [
        (X, {"mean": [1, 2], "std": [2, 4]}, [[(a - 1) / 2, (b - 2) / 4] for a, b in X.tolist()]),
        (X, {"mean": [3]}, [[a - 3, b - 3] for a, b in X.tolist()]),
        (X, {"std": [2]}, [[a / 2, b / 2] for a, b in X.tolist()]),
        (X[:, 0], {"mean": [2], "std": [2]}, [a / 2 - 1 for a in X[:, 0].tolist()]),
        (
            X[:, :, None, None].expand(5, 2, 1, 2),
            {"mean": [0, 1], "std": [1, 2]},
            [[[[a, a]], [[(b - 1) / 2] * 2]] for a, b in X.tolist()],
        ),
    ],
)
def test_mean_and_std_are_per_channel(tmp_path, x, transform, wanted):
    spec = arrays(tmp_path, x, transform=Transform(**transform))
    assert wanted == load(spec, tmp_path).train.all[0].tolist()


def squared(power=2):
    return lambda x: x**power


def test_a_function_of_one_s_own_comes_before_mean_and_std(tmp_path):
    factory = "tests.datasets.test_sources:squared"
    transform = Transform(factory=factory, kwargs={"power": 2}, mean=[1], std=[2])

    x, _ = load(arrays(tmp_path, transform=transform), tmp_path).train.all

    torch.testing.assert_close((X**2 - 1) / 2, x)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"transform": Transform(mean=[1, 2, 3])}, "3 values for 2 channels"),
        ({"transform": Transform(size=8)}, r"transform\.size applies to image files"),
        ({"test": "test.npz"}, "test.npz cannot be read: No such file"),
    ],
)
def test_what_does_not_fit_arrays_is_told(tmp_path, spec, words):
    with pytest.raises(DataError, match=words):
        load(arrays(tmp_path, **spec), tmp_path)


def test_one_column_has_one_channel(tmp_path):
    with pytest.raises(DataError, match="2 values for 1 channel"):
        load(arrays(tmp_path, X[:, 0], transform=Transform(mean=[1, 2])), tmp_path)


def test_named_inputs_and_factories_do_their_own_transform(tmp_path):
    np.savez(tmp_path / "d.npz", ids=X, labels=Y)
    with pytest.raises(DataError, match="named inputs: remove the key"):
        load(Tensors(train="d.npz", transform=Transform(mean=[1])), tmp_path)
    with pytest.raises(DataError, match="does its own transform; remove the key"):
        load(FactoryData(source=own().source, transform=Transform(mean=[1])))


def test_the_digest_is_that_of_the_content(tmp_path):
    spec = arrays(tmp_path)
    first = data_digest(spec, tmp_path)
    stat = (tmp_path / "train.npz").stat()
    arrays(tmp_path, X + 1)
    os.utime(tmp_path / "train.npz", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other = data_digest(spec, tmp_path)
    arrays(tmp_path)

    assert first != other
    assert first == data_digest(spec, tmp_path)


def test_test_data_are_part_of_the_digest(tmp_path):
    spec = arrays(tmp_path, test="test.npz")
    np.savez(tmp_path / "test.npz", x=X, y=Y)
    first = data_digest(spec, tmp_path)
    np.savez(tmp_path / "test.npz", x=X, y=Y + 1)

    assert len({first, data_digest(spec, tmp_path), data_digest(arrays(tmp_path), tmp_path)}) == 3


@pytest.mark.parametrize("spec", [Digits(), own()])
def test_data_without_files_have_no_digest(spec):
    assert None is data_digest(spec, None)


def test_the_digest_of_nothing_is_an_error_or_that_of_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"train\.npz cannot be read"):
        data_digest(Tensors(train="train.npz"), tmp_path)
    assert isinstance(data_digest(Images(root="nowhere"), tmp_path), str)
