"""Random features: the same from the same source, and enough for tasks that are not linear."""

import pytest
import torch

from mdtree.baselines import Pictures, Tokens, Vectors, least_squares, random_features


def source(seed=0):
    return torch.Generator().manual_seed(seed)


INPUTS = {
    "vectors": Vectors(torch.randn(300, 5, generator=source())),
    "pictures": Pictures(torch.randn(300, 2, 9, 8, generator=source())),
    "small pictures": Pictures(torch.randn(300, 1, 3, 4, generator=source())),
    "signals": Pictures(torch.randn(300, 1, 1, 40, generator=source())),
    "tokens": Tokens(torch.randint(9, (300, 6), generator=source()), 9),
    "one token": Tokens(torch.randint(9, (300, 1), generator=source()), 9),
    "many tokens": Tokens(torch.randint(5000, (300, 6), generator=source()), 5000),
    "constant": Vectors(torch.ones(300, 3)),
    "black": Pictures(torch.zeros(300, 1, 9, 9)),
}


@pytest.mark.parametrize("name", INPUTS)
def test_they_are_finite_and_the_same_from_the_same_source(name):
    inputs = INPUTS[name]
    features = random_features(inputs, source(3))(inputs)
    assert len(features) == 300
    assert features.isfinite().all()
    assert torch.equal(features, random_features(inputs, source(3))(inputs))
    part = type(inputs)(inputs.values[:7], *([inputs.vocabulary] if "token" in name else []))
    assert torch.allclose(random_features(inputs, source(3))(part), features[:7], atol=1e-5)


def test_an_exclusive_or_is_learnt_that_no_linear_classifier_knows():
    vectors = torch.randn(800, 2, generator=source(1))
    labels = (vectors[:, 0] * vectors[:, 1] > 0).long()
    inputs = Vectors(vectors[:600])
    features = random_features(inputs, source(2))
    fit = least_squares(features(inputs), labels[:600], 2)
    wrong = (fit.classes_of(features(Vectors(vectors[600:]))) != labels[600:]).float().mean()
    plain = least_squares(vectors[:600], labels[:600], 2).classes_of(vectors[600:])
    assert wrong < 0.1
    assert (plain != labels[600:]).float().mean() > 0.3


def test_a_mark_at_any_place_of_a_picture_is_found():
    pictures = torch.zeros(600, 1, 12, 12)
    where = torch.randint(0, 9, (600, 2), generator=source(4))
    labels = torch.arange(600) % 2
    for number, (row, column) in enumerate(where.tolist()):
        if labels[number]:
            pictures[number, 0, row : row + 3, column + 1] = 1  # a line that stands
        else:
            pictures[number, 0, row + 1, column : column + 3] = 1  # one that lies
    train, test = Pictures(pictures[:400]), Pictures(pictures[400:])
    features = random_features(train, source(5))
    fit = least_squares(features(train), labels[:400], 2)
    assert (fit.classes_of(features(test)) != labels[400:]).float().mean() < 0.05


def test_a_word_at_any_place_of_a_sequence_is_found():
    ids = torch.randint(2, 8, (900, 12), generator=source(6))
    labels = torch.arange(900) % 2
    places = torch.randint(0, 11, (900,), generator=source(7))
    for number, place in enumerate(places.tolist()):
        ids[number, place : place + 2] = torch.tensor([0, 1] if labels[number] else [1, 0])
    train, test = Tokens(ids[:700], 8), Tokens(ids[700:], 8)
    features = random_features(train, source(8))
    fit = least_squares(features(train), labels[:700], 2)
    assert (fit.classes_of(features(test)) != labels[700:]).float().mean() < 0.1


def test_of_long_sequences_not_all_windows_are_seen_but_short_ones_whole():
    long = Tokens(torch.randint(9, (3, 512), generator=source(9)), 9)
    values = random_features(long, source(1))(long)
    assert values.shape == (3, 1020)
    assert bool(values.isfinite().all())
    short = Tokens(torch.randint(9, (3, 64), generator=source(9)), 9)
    again = Tokens(short.values.roll(1, 1), 9)  # other windows, but most of them the same
    features = random_features(short, source(1))
    assert not torch.equal(features(short), features(again))


@pytest.mark.parametrize("name", ["vectors", "pictures", "tokens", "many tokens"])
def test_the_default_type_of_numbers_changes_nothing(name):
    inputs = INPUTS[name]
    expected = random_features(inputs, source(1))(inputs)
    torch.set_default_dtype(torch.float64)
    try:
        values = random_features(inputs, source(1))(inputs)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(values, expected)
