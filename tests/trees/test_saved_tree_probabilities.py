"""What a saved tree answers is what the estimator said before it was saved."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.exceptions import ProtocolError
from mdtree.rows import Measured, Row
from mdtree.trees import (
    LANDSCAPE,
    CartTree,
    Leaf,
    PosteriorTree,
    SavedTree,
    Split,
    feature_matrix,
    probabilities,
    read_tree,
    write_tree,
)
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree

WIDTHS, BATCHES = (2, 4, 8), (16, 64, 256, 1024)


def row(width, batch_size, protocol="standard-1"):
    """Invent a group: the larger the batch, the larger the training error."""
    error = 0.4 * np.log2(batch_size) ** 1.5 / width
    numbers = {
        "train_error": error,
        "train_loss": error / 30,
        "test_error": 10 + abs(np.log2(batch_size) - 6) * 2 - np.log2(width),
        "hessian_top": 3.0 * batch_size,
        "hessian_trace": 40.0 * batch_size**0.9,
        "connectivity": 8 - np.log2(batch_size) + width / 7,
        "connectivity_peak": -error - 1,
        "cka": 0.5 + 0.01 * width,
    }
    quantities = {name: Measured(value=float(value)) for name, value in numbers.items()}
    facts = {"width": width, "batch_size": batch_size}
    name = f"w{width}-b{batch_size}"
    return Row(format=1, group=name, protocol=protocol, facts=facts, quantities=quantities)


ROWS = [row(width, batch) for width in WIDTHS for batch in BATCHES]


@pytest.mark.parametrize(
    ("method", "rival"),
    [
        ("posterior", PosteriorTree(task="temperature", features=LANDSCAPE)),
        ("cart", CartTree(features=LANDSCAPE)),
    ],
)
def test_a_tree_read_from_its_file_answers_as_the_estimator_did(tmp_path, method, rival):
    write_tree(tmp_path / "t.json", fit_tree(ROWS, task="temperature", method=method))
    saved = read_tree(tmp_path / "t.json")
    chances = probabilities(saved, saved.matrix(ROWS))

    chosen, labels, _ = labelled(ROWS, "temperature")
    rival.fit(feature_matrix(chosen, LANDSCAPE), np.array(labels))
    expected = rival.predict_proba(feature_matrix(ROWS, LANDSCAPE))
    assert saved.classes == tuple(map(str, rival.classes_))
    assert chances == pytest.approx(expected, rel=1e-6)


def tree(low, high):
    return SavedTree(
        task="temperature",
        method="cart",
        protocol="standard-1",
        classes=("temperature_high", "temperature_low"),
        features=("cka", "train_error"),
        groups=4,
        ranges={},
        provenance={},
        tree=Split(feature="cka", threshold=0.53, low=low, high=high),
    )


def test_probabilities_are_the_shares_in_the_leaf_and_an_empty_one_has_its_answer_alone():
    low = Leaf(answer="temperature_low", counts={"temperature_high": 1, "temperature_low": 3})
    high = Leaf(answer="temperature_high", counts={})
    chances = probabilities(tree(low, high), np.array([[0.5, 1.0], [0.6, 1.0], [np.nan, 1.0]]))
    assert chances.tolist() == [[0.25, 0.75], [1, 0], [0.25, 0.75]]


def test_rows_of_another_protocol_are_refused_unless_that_is_allowed():
    leaf = Leaf(answer="temperature_low", counts={})
    other = [row(2, 16, protocol="paper-1")]
    with pytest.raises(ProtocolError, match="standard-1"):
        tree(leaf, leaf).matrix(other)
    allowed = tree(leaf, leaf).matrix(other, allow_protocol_mismatch=True)
    assert allowed.shape == (1, 2)
