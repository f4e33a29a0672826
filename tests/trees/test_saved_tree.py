"""Saved trees: what is written is what is read, and says the same of every group."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mdtree.exceptions import OutputError, ProtocolError, TreeError
from mdtree.rows import rows_from_csv
from mdtree.trees import (
    Leaf,
    RemedyGain,
    SavedTree,
    TrainingDistribution,
    ends,
    read_tree,
    training_distribution,
    walk,
    write_tree,
)
from mdtree.trees.fit import fit_tree
from mdtree.trees.posterior import averaged, posterior
from tests.support.rows import row
from tests.support.trees import cka_split

KINDS = [
    ("cart", "failure"),
    ("mdtree", "temperature"),
    ("mdtree", "width"),
    ("posterior", "temperature"),
    ("posterior", "failure"),
]


@pytest.fixture(scope="module")
def rows(published_table):
    return rows_from_csv(published_table, protocol="paper-1").rows


def saved(tree, **changed):
    given = {
        "task": "temperature",
        "method": "cart",
        "protocol": "paper-1",
        "classes": ("a", "b"),
        "features": ("cka", "train_error"),
        "groups": 3,
        "ranges": {"cka": (0.0, 1.0)},
        "provenance": {"rows": "somewhere"},
        "tree": tree,
    }
    return SavedTree(**{**given, **changed})


def leaf(answer="a", **counts):
    return Leaf(answer=answer, counts=counts)


def judged(tree, rows):
    """Say what a saved tree says of rows: a posterior averages, other trees walk."""
    matrix = tree.matrix(rows)
    columns = {name: number for number, name in enumerate(tree.features)}
    if tree.components:
        return averaged([(w, posterior(binned)) for w, binned in tree.components], matrix, columns)
    answers = np.empty(len(rows), dtype=object)
    for end, lines in ends(tree.tree, matrix, columns):
        answers[lines] = end.answer
    return answers


@pytest.mark.parametrize(("method", "task"), KINDS)
def test_a_tree_that_was_written_and_read_says_exactly_the_same(rows, tmp_path, method, task):
    fitted = fit_tree(rows, task=task, method=method, provenance={"licence": "MIT, © nobody"})
    write_tree(tmp_path / "tree.json", fitted)
    read = read_tree(tmp_path / "tree.json")
    np.testing.assert_array_equal(judged(fitted, rows), judged(read, rows))
    for name in ("task", "method", "protocol", "classes", "features", "groups", "ranges"):
        assert getattr(fitted, name) == getattr(read, name)
    assert read.provenance == fitted.provenance
    assert (read.tree, read.population) == (fitted.tree, fitted.population)
    assert fitted.population is not None
    assert [w for w, _ in read.components] == [w for w, _ in fitted.components]


@pytest.mark.parametrize(("method", "task"), KINDS)
def test_writing_what_was_read_changes_no_byte(rows, tmp_path, method, task):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write_tree(first, fit_tree(rows, task=task, method=method))
    write_tree(second, read_tree(first))
    assert first.read_bytes() == second.read_bytes()


def test_a_threshold_edited_by_hand_takes_effect(tmp_path):
    path = tmp_path / "tree.json"
    write_tree(path, saved(cka_split(leaf("a"), leaf("b"))))
    assert walk(read_tree(path).tree, {"cka": 0.7})[1].answer == "b"
    path.write_text(path.read_text().replace('"threshold": 0.5', '"threshold": 0.9'))
    assert walk(read_tree(path).tree, {"cka": 0.7})[1].answer == "a"


def test_a_change_of_one_number_is_a_change_of_one_line(tmp_path):
    def lines(threshold):
        write_tree(
            tmp_path / "t.json", saved(cka_split(leaf("a", a=3), leaf("b"), threshold=threshold))
        )
        return (tmp_path / "t.json").read_text().splitlines()

    differing = [pair for pair in zip(lines(0.5), lines(0.25), strict=True) if len(set(pair)) > 1]
    assert differing == [('    "threshold": 0.5,', '    "threshold": 0.25,')]


def test_the_file_is_plain_json_with_the_tree_before_the_numbers_of_its_posterior(rows, tmp_path):
    write_tree(tmp_path / "t.json", fit_tree(rows, task="temperature"))
    content = json.loads((tmp_path / "t.json").read_text(encoding="ascii"))
    assert list(content)[:2] == ["format", "task"]
    assert list(content)[-3:] == ["tree", "population", "posterior"]
    assert content["format"] == 1
    assert content["tree"].keys() == {"feature", "threshold", "missing", "low", "high"}


def test_the_deepest_tree_that_is_written_is_read_again(tmp_path):
    tree = leaf()
    for _ in range(99):
        tree = cka_split(tree, leaf("b", b=1))
    write_tree(tmp_path / "deep.json", saved(tree))
    assert read_tree(tmp_path / "deep.json").tree == tree
    with pytest.raises(TreeError, match="more than 100 nodes deep"):
        write_tree(tmp_path / "deeper.json", saved(cka_split(tree, tree)))
    assert not (tmp_path / "deeper.json").exists()


KNOWN = training_distribution(np.random.default_rng(0).normal(size=(30, 2)), ("cka", "train_error"))
UNKNOWN = TrainingDistribution(
    quantiles={"cka": (0.0, 0.5)}, names=(), correlation=(), limit=math.inf
)
WAYS = {
    "raise_temperature": RemedyGain(low=-0.5, high=3.1, fact="batch_size", factor=0.25),
    "add_data": RemedyGain(low=0.0, high=0.0),
}


@pytest.mark.parametrize("population", [KNOWN, UNKNOWN, None], ids=["known", "few", "none"])
def test_the_population_and_the_ways_are_read_as_they_were_written(tmp_path, population):
    end = Leaf(answer="a", counts={}, gains=dict.fromkeys(WAYS, 1.5), ways=WAYS)
    tree = saved(cka_split(end, leaf("b")), population=population)
    write_tree(tmp_path / "tree.json", tree)
    assert read_tree(tmp_path / "tree.json") == tree


def circle():
    node = cka_split(leaf(), leaf())
    object.__setattr__(node, "high", node)
    return node


def doubled():
    """Fifty questions whose sides are one and the same object: 2^50 leaves."""
    tree = leaf()
    for _ in range(50):
        tree = cka_split(tree, tree)
    return tree


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (circle(), "contains a cycle"),
        (doubled(), "more than 20000 nodes"),
        (cka_split(leaf(), leaf("c")), "a leaf holds 'c', which is not among its classes"),
        (cka_split(leaf(c=1), leaf()), "a leaf holds 'c', which is not among its classes"),
        (
            cka_split(leaf(), leaf(), feature="train_loss"),
            "asks for 'train_loss', which is not among",
        ),
        (
            Leaf(answer="a", counts={}, gains={"luck": 1.0}),
            "the gain of 'luck', which is not a remedy",
        ),
        (cka_split(leaf(), leaf(), threshold=math.nan), "not JSON compliant"),
        (cka_split(leaf(), leaf(), threshold=math.inf), "not JSON compliant"),
    ],
    ids=["circle", "doubled", "answer", "counts", "feature", "gain", "nan", "infinite"],
)
def test_a_tree_that_could_not_be_read_again_is_not_written(tmp_path, tree, reason):
    path = tmp_path / "tree.json"
    path.write_text("an earlier tree")
    with pytest.raises(TreeError, match=f"cannot be written; .*{reason}"):
        write_tree(path, saved(tree))
    assert path.read_text() == "an earlier tree"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"features": ("cka", "cka")}, "features must be one or more distinct"),
        ({"features": ("cka", "luck")}, "feature 'luck' is unknown"),
        ({"classes": ()}, "classes must be one or more distinct names"),
        ({"ranges": {"train_loss": (0.0, 1.0)}}, "asks for 'train_loss'"),
        ({"ranges": {"cka": (1.0, 0.0)}}, "the range of cka ends at 0.0"),
        ({"features": ("cka",), "population": KNOWN}, "asks for 'train_error'"),
    ],
)
def test_words_that_contradict_each_other_are_not_written(tmp_path, changed, reason):
    with pytest.raises(TreeError, match=reason):
        write_tree(tmp_path / "tree.json", saved(leaf(), **changed))


@pytest.mark.parametrize("place", ["", "no/such/folder/tree.json"])
def test_where_nothing_can_be_written_the_error_says_so(tmp_path, place):
    with pytest.raises(OutputError, match=r"cannot be written: (Is a directory|No such file)"):
        write_tree(tmp_path / place, saved(leaf()))


def test_rows_become_the_columns_of_the_tree():
    np.testing.assert_array_equal(
        saved(leaf()).matrix([row(protocol="paper-1", cka=0.25)]), [[0.25, np.nan]]
    )


def test_rows_of_another_protocol_are_refused_with_both_names_unless_that_is_allowed():
    rows = [row(protocol="paper-1", cka=0.5), row(protocol="standard-1", cka=0.75)]
    with pytest.raises(
        ProtocolError, match=r"'paper-1', but these rows have 'standard-1'.*--allow"
    ):
        saved(leaf()).matrix(rows)
    matrix = saved(leaf()).matrix(rows, allow_protocol_mismatch=True)
    assert matrix[:, 0].tolist() == [0.5, 0.75]
