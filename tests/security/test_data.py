"""Data of strangers: pictures that are programs, bombs, and data sets that would be unpickled."""

from __future__ import annotations

import bz2
import io
import os
import pickle
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image
from torch.utils.data import Dataset

from mdtree import items
from mdtree.datasets import DatasetItems, decoding, load_data
from mdtree.datasets.decoding import FORMATS, Guarded, picture
from mdtree.exceptions import DataError, RecipeError, UntrustedError
from mdtree.recipes import Images, TorchvisionData, Transform, Trust
from mdtree.runtime import torchvision as vision

FOUND = Trust()
OWN = Trust(any_factory=True)
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\nshowpage\n"


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """Put a program in the place of Ghostscript that leaves a trace when it is started."""
    trace = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return trace


def folder_of(
    root: Path, name: str, content: bytes, transform: Transform | None = None, *, count: int = 1
) -> Images:
    (root / "pictures" / "train" / "cat").mkdir(parents=True)
    for number in range(count):
        (root / "pictures" / "train" / "cat" / f"{number or ''}{name}").write_bytes(content)
    return Images(root="pictures", transform=transform or Transform())


def test_ghostscript_would_leave_a_trace(tmp_path, ghostscript):
    (tmp_path / "0.png").write_bytes(POSTSCRIPT)
    with pytest.raises(OSError, match=r"."), Image.open(tmp_path / "0.png") as opened:
        opened.load()
    assert ghostscript.exists()


@pytest.mark.parametrize("name", ["0.png", "0.jpg", "0.tif", "0.webp"])
def test_a_picture_that_is_postscript_is_not_given_to_ghostscript(tmp_path, ghostscript, name):
    spec = folder_of(tmp_path, name, POSTSCRIPT)
    with pytest.raises(DataError, match="after item 0: UnidentifiedImageError"):
        load_data(spec, tmp_path, trust=FOUND)
    assert not ghostscript.exists()


def test_data_sets_of_torchvision_open_the_same_formats_alone(tmp_path, ghostscript):
    base = tmp_path / "data" / "gtsrb"
    for where in ("GTSRB/Training/00000", "GTSRB/Final_Test/Images"):
        (base / where).mkdir(parents=True)
        (base / where / "0.ppm").write_bytes(POSTSCRIPT)
    (base / "GT-final_test.csv").write_text("Filename;ClassId\n0.ppm;0\n")
    with pytest.raises(DataError, match="after item 0: UnidentifiedImageError"):
        load_data(TorchvisionData(name="GTSRB", root="data"), tmp_path, trust=FOUND)
    assert not ghostscript.exists()


def test_the_user_s_own_pillow_opens_what_it_did(tmp_path):
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(OSError, match="cannot identify"):
        picture(str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.format == "EPS"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_pictures_of_the_common_formats_are_read_as_torchvision_reads_them(tmp_path, form, mode):
    path = tmp_path / "picture"
    drawn = torch.arange(192, dtype=torch.uint8).reshape(8, 8, 3).numpy()
    made = Image.fromarray(drawn).convert(mode)
    made.convert("RGB" if form in ("JPEG", "PPM", "WEBP") else mode).save(path, format=form)
    theirs = vision.torchvision("torchvision.datasets.folder").pil_loader(str(path))
    ours = picture(str(path))
    assert ours.mode == "RGB"
    assert np.array_equal(np.asarray(theirs), np.asarray(ours))


@pytest.mark.parametrize("side", [40, 60])
def test_a_bomb_is_an_error_also_where_pillow_only_warns(tmp_path, monkeypatch, side):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    made = Image.new("1", (side, 40))
    made.save(tmp_path / "bomb.png")
    spec = folder_of(tmp_path, "0.png", (tmp_path / "bomb.png").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"0\.png was not decoded: .*; store it with fewer"):
            load_data(spec, tmp_path, trust=FOUND)


def header(width: int, height: int) -> bytes:
    """Write the beginning of a PNG: whoever decodes it fails in another way."""
    size = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(size))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + size + crc + b"\0\0\0\x01IDAT"


@pytest.mark.parametrize(
    ("size", "transform", "words"),
    [
        (
            (9000, 9000),
            Transform(),
            "9000 x 9000 pixels would become 927 MiB, .* set transform.size",
        ),
        ((5000, 4800), Transform(mean=[0.5]), "become 275 MiB, but 256 MiB are allowed: set"),
        ((5, 8), Transform(size=5000), "become 286 MiB, but 256 MiB are allowed: lower transform"),
        ((9000, 1), Transform(size=100), "become 90000000 by transform.size = 100.*crop the image"),
        (
            (1, 9000),
            Transform(size=100, factory="torchvision.transforms:ToTensor"),
            "become 90000000 by transform.size = 100",
        ),
    ],
)
def test_a_picture_that_becomes_too_large_is_refused_by_its_header(
    tmp_path, size, transform, words
):
    spec = folder_of(tmp_path, "0.png", header(*size), transform)
    with pytest.raises(DataError, match=rf"image .*0\.png was not decoded: its .*{words}"):
        load_data(spec, tmp_path, trust=OWN)


def test_data_sets_of_torchvision_are_held_to_the_same(tmp_path):
    base = tmp_path / "data" / "gtsrb"
    for where in ("GTSRB/Training/00000", "GTSRB/Final_Test/Images"):
        (base / where).mkdir(parents=True)
        (base / where / "0.ppm").write_bytes(b"P6 9000 9000 255 ")
    (base / "GT-final_test.csv").write_text("Filename;ClassId\n0.ppm;0\n")
    with pytest.raises(
        DataError, match=r"0\.ppm was not decoded: its 9000 x 9000 pixels would become"
    ):
        load_data(TorchvisionData(name="GTSRB", root="data"), tmp_path, trust=FOUND)


def encoded(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height), 1).save(file, "PNG")
    return file.getvalue()


def test_a_large_photograph_that_is_resized_is_read(tmp_path):
    spec = folder_of(tmp_path, "0.png", encoded(8000, 6000), Transform(size=8))
    x, _ = load_data(spec, tmp_path, trust=FOUND).train.all
    assert torch.equal(x, torch.ones(1, 3, 8, 8))


@pytest.mark.parametrize(("side", "fits"), [(20, True), (21, False)])
def test_what_a_transform_of_one_s_own_makes_is_looked_at(tmp_path, monkeypatch, side, fits):
    monkeypatch.setattr(decoding, "LARGEST", 3 * 4 * 20 * 20)
    transform = Transform(factory="torchvision.transforms:ToTensor")
    spec = folder_of(tmp_path, "0.png", encoded(side, side), transform)
    if fits:
        assert load_data(spec, tmp_path, trust=OWN).train.all[0].shape[2:] == (side, side)
    else:
        with pytest.raises(DataError, match=r"item 0 takes .*transform\.size in the recipe or in"):
            load_data(spec, tmp_path, trust=OWN)


def test_a_batch_of_pictures_has_a_bound_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_LARGEST_BATCH", 4 * 3 * 4 * 10 * 10)
    monkeypatch.setattr(items, "_MEMORY", 0)  # as where there are so many that they are not kept
    spec = folder_of(tmp_path, "0.png", encoded(10, 10), count=5)
    train = load_data(spec, tmp_path, trust=FOUND).train
    assert [len(x) for x, _ in train.batches(4)] == [4, 1]
    with pytest.raises(DataError, match=r"^5 images such as item 0 take .*: lower batch_size"):
        next(train.batches(5))


class Unlisted(Dataset):
    """Pictures, and no list of their labels."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.zeros(100), index


def test_labels_alone_can_be_read_of_all_pictures_that_are_allowed(monkeypatch):
    largest = decoding._LARGEST_BATCH // decoding.LARGEST  # pictures of the largest size
    monkeypatch.setattr(decoding, "LARGEST", 400)
    monkeypatch.setattr(decoding, "_LARGEST_BATCH", 400 * largest)
    train = DatasetItems(Guarded(Unlisted()), torch.arange(40))
    assert train.labels().tolist() == list(range(40))


class Code:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return (open, (self.trace, "w"))


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_pickles_of_cifar_are_those_of_its_authors_or_none(tmp_path, name):
    theirs = getattr(vision.torchvision("torchvision.datasets"), name)
    folder = tmp_path / "data" / theirs.base_folder
    folder.mkdir(parents=True)
    for file, _ in [*theirs.train_list, *theirs.test_list, (theirs.meta["filename"], None)]:
        (folder / file).write_bytes(pickle.dumps(Code(tmp_path / "trace")))
    with pytest.raises(DataError, match=f"{name} cannot be read from .*corrupted"):
        load_data(TorchvisionData(name=name, root="data"), tmp_path, trust=FOUND)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "name", ["LSUN", "StanfordCars", "Cityscapes", "PCAM", "PhotoTour", "Kinetics", "MovingMNIST"]
)
def test_a_found_recipe_may_not_name_data_that_are_unpacked_unchecked(tmp_path, name):
    spec = TorchvisionData(name=name, root="data")
    words = rf"torchvision's {name}, which unpacks.*--trust torchvision\.datasets:{name}, or"
    with pytest.raises(UntrustedError, match=words):
        load_data(spec, tmp_path, trust=FOUND)
    named = Trust(names=frozenset({f"torchvision.datasets:{name}"}))
    for trust in (named, Trust(any_factory=True)):
        with pytest.raises(DataError, match=f"torchvision's {name}"):  # they are not there
            load_data(spec, tmp_path, trust=trust)


MNISTS = ["MNIST", "FashionMNIST", "KMNIST", "QMNIST"]


def write_old_form(root: Path, name: str, content: object) -> None:
    """Write MNIST as torchvision did years ago, and still reads it."""
    (root / name / "processed").mkdir(parents=True)
    for half in ("training.pt", "test.pt"):
        torch.save(content, root / name / "processed" / half)


@pytest.mark.parametrize("name", MNISTS[:3])
def test_mnist_of_the_old_form_is_read(tmp_path, name):
    x, y = torch.arange(8 * 784).reshape(8, 28, 28).to(torch.uint8), torch.arange(8)
    write_old_form(tmp_path / "data", name, (x, y))
    data = load_data(TorchvisionData(name=name, root="data"), tmp_path, trust=FOUND)
    assert torch.equal(x[:, None] / 255, data.train.all[0])
    assert torch.equal(y, data.test.labels())


@pytest.mark.parametrize("name", MNISTS)
def test_mnist_of_the_old_form_that_repeats_itself_is_refused(tmp_path, name):
    pixels = torch.zeros(1, dtype=torch.uint8).expand(10**8, 28, 28)
    write_old_form(tmp_path / "data", name, (pixels, torch.zeros(1).long().expand(10**8)))
    with pytest.raises(DataError, match=r"\.pt was not read: it holds a tensor of the size"):
        load_data(TorchvisionData(name=name, root="data"), tmp_path, trust=FOUND)


def test_the_names_of_imagenet_are_looked_through_before_they_are_read(tmp_path):
    (tmp_path / "data").mkdir()
    torch.save(torch.zeros(1).expand(10**12), tmp_path / "data" / "meta.bin")
    with pytest.raises(DataError, match=r"meta\.bin was not read: it holds a tensor of the size"):
        load_data(TorchvisionData(name="ImageNet", root="data"), tmp_path, trust=FOUND)


def usps(count: int) -> bytes:
    """Write lines of a label and 256 values."""
    values = " ".join(f"{place}:{place / 256 - 0.5:.6f}" for place in range(1, 257))
    return "".join(f"{number % 10 + 1} {values}\n" for number in range(count)).encode()


def write_usps(root: Path, train: bytes, test: bytes) -> TorchvisionData:
    root.mkdir()
    (root / "usps.bz2").write_bytes(train)
    (root / "usps.t.bz2").write_bytes(test)
    return TorchvisionData(name="USPS", root="data")


def test_usps_is_read(tmp_path):
    spec = write_usps(tmp_path / "data", bz2.compress(usps(20)), bz2.compress(usps(10)))
    data = load_data(spec, tmp_path, trust=FOUND)
    assert (len(data.train), len(data.test)) == (20, 10)
    assert data.train.labels().tolist() == list(range(10)) * 2


@pytest.mark.parametrize("half", ["train", "test"])
def test_a_kilobyte_that_would_become_gigabytes_is_refused(tmp_path, half):
    bomb = bz2.compress(b"1" * (50 << 20))
    assert len(bomb) < 1000
    small = bz2.compress(usps(2))
    spec = write_usps(tmp_path / "data", *((bomb, small) if half == "train" else (small, bomb)))
    with pytest.raises(DataError, match=r"bytes unpack to more than 1048576, unlike the published"):
        load_data(spec, tmp_path, trust=FOUND)


def test_data_that_are_damaged_or_never_end_are_told(tmp_path):
    whole = bz2.compress(usps(5))
    spec = write_usps(tmp_path / "data", whole[:-20], whole)
    with pytest.raises(DataError, match=r"usps\.bz2 cannot be unpacked: .*end"):
        load_data(spec, tmp_path, trust=FOUND)
    (tmp_path / "data" / "usps.bz2").unlink()
    os.mkfifo(tmp_path / "data" / "usps.bz2")
    with pytest.raises(DataError, match="a pipe or a device"):
        load_data(spec, tmp_path, trust=FOUND)


def test_a_data_set_that_asks_for_the_network_by_itself_gets_none(tmp_path, monkeypatch):
    datasets = vision.torchvision("torchvision.datasets")

    def fetch(self, *args, **kwargs):
        torch.hub.download_url_to_file("https://mdtree.invalid/x", str(tmp_path / "x"))

    monkeypatch.setattr(datasets.GTSRB, "__init__", fetch)
    with pytest.raises(RecipeError, match=r"^torchvision's GTSRB needs network access"):
        load_data(TorchvisionData(name="GTSRB", root="data"), tmp_path, trust=FOUND)
