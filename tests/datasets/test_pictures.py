"""Pictures as they lie on users' disks: written by PIL, and in the format of MNIST."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from mdtree.datasets import data_digest, load_data
from mdtree.exceptions import DataError, RecipeError, UntrustedError
from mdtree.recipes import Images, TorchvisionData, Transform, Trust

OWN = Trust(any_factory=True)


def load(spec, folder, trust=OWN, **kwargs):
    return load_data(spec, folder, trust=trust, **kwargs)


def write_mnist(root, *, train=5, test=3, name="MNIST"):
    """Write the four files of MNIST: big-endian headers, then bytes."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    written = []
    for half, count in (("train", train), ("t10k", test)):
        x = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        y = rng.permutation(np.arange(count, dtype=np.uint8))
        head = struct.pack(">IIII", 0x803, count, 28, 28)
        (raw / f"{half}-images-idx3-ubyte").write_bytes(head + x.tobytes())
        head = struct.pack(">II", 0x801, count)
        (raw / f"{half}-labels-idx1-ubyte").write_bytes(head + y.tobytes())
        written.append((x, y))
    return written


def write_folders(root, halves, *, size=(6, 4), classes=("cat", "dog"), count=2):
    """Write PNGs of one colour: the red channel tells half, class and number."""
    for half in halves:
        for label, name in enumerate(classes):
            (root / half / name).mkdir(parents=True)
            for number in range(count):
                colour = (100 * halves.index(half) + 10 * label + number, 0, 255)
                Image.new("RGB", size, colour).save(root / half / name / f"{number}.png")
    return root


def red(items):
    return [round(float(x[0, 0, 0]) * 255) for x, *_ in zip(*items.all, strict=True)]


@pytest.fixture
def offline(monkeypatch):
    """Count attempts to reach the network; each fails."""
    tried = []

    def refuse(*args, **kwargs):
        tried.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


def mnist(**kwargs):
    return TorchvisionData(name="MNIST", root="data", **kwargs)


def test_torchvision_reads_its_data_set_from_a_local_folder(tmp_path, offline):
    (x, y), (test_x, test_y) = write_mnist(tmp_path / "data")

    data = load(mnist(), tmp_path)

    assert torch.equal(torch.from_numpy(x).float().unsqueeze(1) / 255, data.train.all[0])
    assert y.tolist() == data.train.labels().tolist()
    assert torch.equal(torch.from_numpy(test_x).float().unsqueeze(1) / 255, data.test.all[0])
    assert test_y.tolist() == data.test.labels().tolist()
    assert offline == []


def test_a_torchvision_data_set_is_normalised_thinned_and_spoilt_as_the_recipe_says(tmp_path):
    (x, y), _ = write_mnist(tmp_path / "data")
    spec = mnist(
        transform=Transform(mean=[0.25], std=[0.5]), amount=2, subset="first", label_noise=1.0
    )

    train = load(spec, tmp_path).train

    torch.testing.assert_close(
        (torch.from_numpy(x[:2]).float().unsqueeze(1) / 255 - 0.25) / 0.5, train.all[0]
    )
    assert int((train.labels() == torch.from_numpy(y[:2])).sum()) == 0


def test_a_data_set_with_another_way_to_name_its_halves_is_read_too(tmp_path):
    (_, y), _ = write_mnist(tmp_path / "data", name="EMNIST")
    for file in (tmp_path / "data" / "EMNIST" / "raw").iterdir():
        half, _, rest = file.name.partition("-")
        half = {"t10k": "test"}.get(half, half)
        file.rename(file.with_name(f"emnist-digits-{half}-{rest}"))

    spec = TorchvisionData(name="EMNIST", root="data", kwargs={"split": "digits"})

    assert y.tolist() == load(spec, tmp_path).train.labels().tolist()


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10", "SVHN", "ImageNet"])
def test_absent_data_are_not_fetched_and_the_error_says_how_to_allow_it(tmp_path, offline, name):
    with pytest.raises(DataError, match="--allow-download") as caught:
        load(TorchvisionData(name=name, root="data"), tmp_path)

    assert str(tmp_path / "data") in str(caught.value)
    assert offline == []
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_data_are_fetched_when_that_is_allowed(tmp_path, offline):
    with pytest.raises(DataError, match=r"no network in this test|Error downloading"):
        load(mnist(), tmp_path, allow_download=True)
    assert offline


@pytest.mark.parametrize("key", ["download", "root", "train", "transform"])
def test_a_recipe_cannot_fetch_data_or_change_halves_by_the_back_door(tmp_path, offline, key):
    with pytest.raises(DataError, match=rf"data\.kwargs must not contain {key}.*--allow-download"):
        load(mnist(kwargs={key: True}), tmp_path)
    assert offline == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CIFAR", "no data set 'CIFAR', did you mean 'CIFAR10"),
        ("os", "no data set 'os'"),
        ("folder", "no data set 'folder'"),
        ("FakeData", "FakeData has no training and test half.*write a factory"),
    ],
)
def test_a_name_that_is_no_data_set_is_told(tmp_path, name, words):
    with pytest.raises(DataError, match=words):
        load(TorchvisionData(name=name, root="."), tmp_path)


def test_a_wrong_argument_and_a_damaged_file_are_told(tmp_path):
    write_mnist(tmp_path / "data")
    with pytest.raises(DataError, match="unexpected keyword argument 'spilt'"):
        load(mnist(kwargs={"spilt": 1}), tmp_path)

    images = tmp_path / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:100])
    with pytest.raises(DataError, match=r"MNIST cannot be read from .*5, 28, 28"):
        load(mnist(), tmp_path)


def test_folders_of_images_are_classes_in_order_of_their_names(tmp_path):
    write_folders(tmp_path, ["train", "test"])

    data = load(Images(root="."), tmp_path)

    assert tuple(data.train.all[0].shape) == (4, 3, 4, 6)  # channels, height, width
    assert [0, 0, 1, 1] == data.train.labels().tolist() == data.test.labels().tolist()
    assert red(data.train) == [0, 1, 10, 11]
    assert red(data.test) == [100, 101, 110, 111]


def test_other_names_of_the_halves_are_the_recipe_s_business(tmp_path):
    write_folders(tmp_path / "pictures", ["training", "val"])
    data = load(Images(root="pictures", train="training", test="val"), tmp_path)
    assert red(data.test) == [100, 101, 110, 111]


def test_without_a_test_folder_there_are_no_test_data(tmp_path):
    write_folders(tmp_path, ["train"])
    assert None is load(Images(root="."), tmp_path).test


def test_size_resizes_the_shorter_side_and_cuts_the_centre(tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    wide = Image.new("RGB", (40, 10), (0, 0, 0))
    wide.paste((255, 255, 255), (15, 0, 25, 10))  # the centre is white
    wide.save(tmp_path / "train" / "a" / "wide.png")
    Image.new("L", (7, 7), 128).save(tmp_path / "train" / "a" / "grey.png")

    x, _ = load(Images(root=".", transform=Transform(size=5)), tmp_path).train.all

    assert tuple(x.shape) == (2, 3, 5, 5)
    assert pytest.approx(float(x[0].mean())) == 128 / 255
    assert float(x[1, :, :, 2].mean()) > 0.9


def test_images_of_different_sizes_need_a_size(tmp_path):
    write_folders(tmp_path, ["train"])
    Image.new("RGB", (9, 9)).save(tmp_path / "train" / "cat" / "other.png")
    with pytest.raises(DataError, match=r"transform\.size"):
        load(Images(root="."), tmp_path)


def test_mean_and_std_are_per_channel_of_values_from_0_to_1(tmp_path):
    write_folders(tmp_path, ["train"])
    transform = Transform(mean=[0.5, 0.0, 0.4], std=[0.5, 1.0, 0.2])

    x, _ = load(Images(root=".", transform=transform), tmp_path).train.all

    assert pytest.approx(x[2, :, 0, 0].tolist()) == [(10 / 255 - 0.5) / 0.5, 0.0, (1 - 0.4) / 0.2]


def test_a_mean_alone_is_subtracted(tmp_path):
    write_folders(tmp_path, ["train"])
    x, _ = load(Images(root=".", transform=Transform(mean=[0.5])), tmp_path).train.all
    assert x[0, :, 0, 0].tolist() == [-0.5, -0.5, 0.5]


def only_red():
    """A transform of one's own: from a picture to a tensor."""
    return lambda picture: torch.tensor([[[float(picture.getpixel((0, 0))[0])]]])


def test_a_function_of_one_s_own_takes_the_place_of_the_conversion(tmp_path):
    write_folders(tmp_path, ["train"])
    transform = Transform(factory="tests.datasets.test_pictures:only_red", mean=[1.0], std=[2.0])

    x, _ = load(Images(root=".", transform=transform), tmp_path).train.all
    assert x.flatten().tolist() == [-0.5, 0.0, 4.5, 5.0]

    with pytest.raises(UntrustedError):
        load(Images(root=".", transform=transform), tmp_path, trust=Trust())


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (Transform(mean=[0.1, 0.2], std=[1.0]), "mean has 2 values, but transform.std 1"),
        (Transform(mean=[0.1, 0.2], std=[1.0, 1.0]), "size of tensor"),
        (Transform(factory="torchvision.transforms:ToTensor", kwargs={"a": 1}), "takes nothing"),
    ],
)
def test_a_transform_that_does_not_fit_is_told(tmp_path, transform, words):
    write_folders(tmp_path, ["train"])
    with pytest.raises((DataError, RecipeError), match=words):
        load(Images(root=".", transform=transform), tmp_path)


def test_class_folders_that_differ_are_told(tmp_path):
    write_folders(tmp_path, ["train"])
    write_folders(tmp_path, ["test"], classes=("cat", "mouse"))
    with pytest.raises(DataError, match=r"train \['cat', 'dog'\] and test \['cat', 'mouse'\]"):
        load(Images(root="."), tmp_path)


def test_no_folders_and_no_images_are_told(tmp_path):
    with pytest.raises(DataError, match="no image folder"):
        load(Images(root="nowhere"), tmp_path)
    (tmp_path / "train" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no image folder.*cat"):
        load(Images(root="."), tmp_path)


def test_a_file_that_is_no_image_is_told(tmp_path):
    write_folders(tmp_path, ["train"])
    (tmp_path / "train" / "cat" / "1.png").write_bytes(b"text")
    with pytest.raises(DataError, match="cannot identify image file"):
        load(Images(root="."), tmp_path)


def test_the_digest_of_folders_sees_new_names_and_other_sizes(tmp_path):
    spec = Images(root="pictures")
    root = write_folders(tmp_path / "pictures", ["train"])

    def digest():
        return data_digest(spec, tmp_path)

    first = digest()
    assert first == digest()
    (root / "train" / "cat" / "0.png").rename(root / "train" / "dog" / "7.png")
    moved = digest()
    (root / "train" / "dog" / "7.png").write_bytes(b"")
    assert len({first, moved, digest()}) == 3
