"""The rows of the reference zoos that come along: whole, and found again by who trains anew."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from sklearn import __version__ as sklearn_version

from mdtree.failure_modes import AXES
from mdtree.labelling import label_rows, number_of
from mdtree.measurement import Request, measure
from mdtree.recipes import Trust, read_zoo
from mdtree.rows import Measured, read_rows
from mdtree.trees import probabilities
from mdtree.trees.bundled import reference_collection, shipped_rows, shipped_trees
from mdtree.trees.fit import fit_tree
from mdtree.zoo import train_zoo
from tests.support.paths import ROOT
from tests.support.same import assert_same_tree

ZOOS = Path(str(resources.files("mdtree"))) / "data" / "zoos"
FILES = sorted(ZOOS.glob("*.jsonl"))
BEYOND_CHANCE = 6.0  # points, which a network that knows one class alone does not reach
CORNER = {"width": (1, 2), "batch_size": (256, 512), "data_amount": (300, 600)}

# Training multiplies differences in rounding, which another CPU or version of torch brings, so that
# groups agree as networks of other seeds do at worst.  Means over the corner are far nearer.
TOLERANCES = {  # relative, of the mean over the corner
    "train_loss": 0.1,
    "test_error": 0.1,
    "hessian_trace": 0.25,
    "log_norm": 0.02,
    "alpha": 0.1,
}


def test_the_rows_are_small_enough_to_come_along():
    assert FILES
    assert sum(path.stat().st_size for path in FILES) < 3_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_is_whole_and_the_zoo_is_a_grid(path):
    rows = read_rows(path)
    assert all(row.failure is None for row in rows)
    assert {row.protocol for row in rows} == {path.stem.split("-", 1)[1]}
    assert {row.facts["zoo"] for row in rows} == {path.stem.split("-")[0]}
    if path.stem.endswith("standard-1"):
        zoo = read_zoo(ROOT / "configs" / f"zoo-{path.stem.split('-')[0]}.yaml")
        assert sorted(row.group for row in rows) == sorted(map(zoo.group, zoo.points()))
        assert len({label.mode for label in label_rows(rows)}) > 2


NAME = "digits-standard-1"


@pytest.mark.skipif(
    sklearn_version.startswith("1.8."),
    reason="of equal questions, scikit-learn 1.8 takes another one than 1.9, which is locked",
)
@pytest.mark.parametrize("task", ["failure", "temperature"])
def test_the_trees_of_the_digits_are_what_fitting_their_rows_gives(task):
    saved = shipped_trees()[NAME if task == "failure" else f"{NAME}-{task}"]
    rows = shipped_rows(NAME)
    fresh = fit_tree(rows, task=task)
    assert (saved.task, saved.method, saved.groups) == (task, "grown", fresh.groups)
    assert_same_tree(saved.tree, fresh.tree)
    matrix = saved.matrix(rows)
    assert probabilities(saved, matrix) == pytest.approx(probabilities(fresh, matrix), abs=1e-9)
    assert "scripts/rebuild_reference_zoos.sh" in saved.provenance["commands"]


@pytest.mark.parametrize("task", ["failure", "resources"])
def test_the_general_trees_are_what_fitting_the_collection_gives(task):
    """Another processor may choose another of two nearly equal questions of a boosted tree."""
    saved = shipped_trees()[
        "general-standard-1" if task == "failure" else f"general-standard-1-{task}"
    ]
    rows = [row for rows in reference_collection().values() for row in rows]
    fresh = fit_tree(rows, task=task, method="gains", facts=True)
    assert (saved.task, saved.method, saved.groups) == (task, "gains", fresh.groups)
    matrix = saved.matrix(rows)
    shipped, again = probabilities(saved, matrix), probabilities(fresh, matrix)
    assert np.abs(shipped - again).mean() < 2e-3
    assert (shipped.argmax(axis=1) == again.argmax(axis=1)).mean() > 0.995


@pytest.mark.slow
def test_a_corner_of_the_digits_that_is_trained_anew_has_the_rows_that_come_along(tmp_path):
    whole = read_zoo(ROOT / "configs" / "zoo-digits.yaml")
    zoo = whole.model_copy(update={"grid": CORNER})
    train_zoo(zoo, folder=ROOT / "configs", out=tmp_path, trust=Trust())
    request = Request(
        root=tmp_path,
        recipe=zoo.recipe(),
        folder=tmp_path,
        trust=Trust(),
        protocol="standard-1",
        metrics=("error_rate", "hessian", "spectrum"),
        seed=0,
        device="cpu",
        allow_download=False,
    )
    measure(request, out=tmp_path / "rows.jsonl")
    fresh = {row.group: row for row in read_rows(tmp_path / "rows.jsonl")}
    known = {row.group: row for row in read_rows(ZOOS / "digits-standard-1.jsonl")}

    assert len(fresh) == 8
    facts = [axis.fact for axis in AXES]
    for group, row in fresh.items():
        assert [number_of(row, f) for f in facts] == [number_of(known[group], f) for f in facts]
    for name, tolerance in TOLERANCES.items():
        ours, theirs = (
            [value.value for value in (rows[group].quantities[name] for group in fresh)
             if isinstance(value, Measured)]
            for rows in (fresh, known)
        )  # fmt: skip
        assert len(ours) == len(theirs) == 8
        assert sum(ours) == pytest.approx(sum(theirs), rel=tolerance), name


@pytest.mark.parametrize("held_out", [False, True])
def test_no_zoo_is_worse_than_chance(held_out):
    """Where wrong labels fill the small training sets, networks learn what is wrong."""
    for zoo, rows in reference_collection(held_out=held_out).items():
        errors = [
            [row.quantities[name].value for name in ("test_error", "chance_error")]
            for row in rows
            if {"test_error", "chance_error"} <= row.quantities.keys()
        ]
        worse = sum(error > chance + BEYOND_CHANCE for error, chance in errors)
        assert worse <= len(errors) / 20, zoo
