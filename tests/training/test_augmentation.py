from __future__ import annotations

import itertools

import pytest
import torch

from mdtree.exceptions import DataError
from mdtree.training.augmentation import augmented

COUNT = 2000
LABELS = torch.arange(COUNT)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(height, width, channels=2):
    """Make pictures of numbers that are all different, and none of them zero."""
    numbers = torch.arange(1, COUNT * channels * height * width + 1, dtype=torch.float64)
    return numbers.reshape(COUNT, channels, height, width)


def moved(x, down, right):
    """Move pictures by hand, pixel by pixel, with zeros where nothing comes from."""
    shifted, (height, width) = torch.zeros_like(x), x.shape[2:]
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                shifted[:, :, row, column] = x[:, :, row - down, column - right]
    return shifted


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 3), (5, 24), (2, 15)])
@pytest.mark.parametrize("how", ["shift", "shift_flip"])
def test_each_picture_is_moved_by_up_to_an_eighth_and_maybe_mirrored(how, height, width):
    x = pictures(height, width)
    down, right = max(height // 8, 1), max(width // 8, 1)

    changed, labels = augmented((x, LABELS), how, source())

    assert torch.equal(labels, LABELS)
    ways = itertools.product(range(-down, down + 1), range(-right, right + 1))
    made = [moved(x, *way) for way in ways]
    if how == "shift_flip":
        made += [picture.flip(3) for picture in made]
    fits = torch.stack([(picture == changed).flatten(1).all(1) for picture in made])
    assert (fits.sum(0) == 1).all()  # each is one of them
    assert fits.any(1).all()  # and each of them is there


def test_shifts_are_even_and_half_of_the_pictures_are_mirrored():
    """A picture with one bright pixel in the middle tells its shift; two tell its side."""
    x = torch.zeros(COUNT, 1, 8, 16)
    x[:, 0, 4, 8] = 1
    ones = augmented((x, LABELS), "shift", source())[0].nonzero()
    assert len(ones) == COUNT
    for column, values in ((2, range(3, 6)), (3, range(6, 11))):
        counts = torch.bincount(ones[:, column], minlength=16)[values.start : values.stop]
        expected = COUNT / len(values)
        assert counts.sum() == COUNT
        assert (counts - expected).abs().max() < 5 * expected**0.5

    x[:, 0, 4, 9] = 2
    mirrored = augmented((x, LABELS), "shift_flip", source())[0]
    first, second = ((mirrored == value).nonzero()[:, 3] for value in (1, 2))
    flips = int((second < first).sum())
    assert abs(flips - COUNT / 2) < 5 * (COUNT / 4) ** 0.5


@pytest.mark.parametrize("how", ["shift", "shift_flip"])
def test_the_generator_decides_and_nobody_elses_numbers_are_drawn(how):
    batch = pictures(8, 8), LABELS
    before = torch.random.get_rng_state()
    (first, _), (again, _), (other, _) = (augmented(batch, how, source(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())
    generator = source()
    assert not torch.equal(augmented(batch, how, generator)[0], augmented(batch, how, generator)[0])


def test_the_pictures_that_are_given_stay_as_they_are():
    x = pictures(8, 8)
    kept = x.clone()
    changed, _ = augmented((x, LABELS), "shift_flip", source())
    assert torch.equal(x, kept)
    assert (changed.dtype, changed.shape, changed.is_contiguous()) == (x.dtype, x.shape, True)


def test_none_takes_any_batch_as_it_is_and_draws_nothing():
    generator = source()
    for batch in ((torch.zeros(3, 5), torch.zeros(3)), {"ids": torch.ones(2, 4), "labels": LABELS}):
        assert augmented(batch, "none", generator) is batch
    assert torch.equal(generator.get_state(), source().get_state())


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ((torch.zeros(3, 5), torch.zeros(3)), r"\(float32\[3, 5\], float32\[3\]\)"),
        ({"ids": torch.ones(2, 4), "labels": torch.ones(2)}, r"\{ids: float32\[2, 4\], labels"),
    ],
)
def test_what_is_no_picture_is_refused(batch, said):
    with pytest.raises(DataError, match=rf"needs images \(n, channels, h, w\), got {said}"):
        augmented(batch, "shift", source())
