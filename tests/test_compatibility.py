"""Rows and trees that were written before the package was renamed give the verdicts of that time.

tests/data/before_renaming holds rows of the reference zoos, trees of three methods, and what
`mdtree diagnose --json` said of these rows.
"""

from __future__ import annotations

import json

import pytest

from mdtree.diagnosis import Diagnoser, to_plain_data
from mdtree.rows import read_rows
from mdtree.trees import probabilities, read_tree
from tests.support.paths import DATA

FOLDER = DATA / "before_renaming"
AGREE = 1e-9
DRAWN = 0.4  # the errors of clues were those of 200 draws; they are those of the row by now
PROSE = {"advice", "chosen", "reason", "says", "why_unsure"}  # sentences, which may be reworded
EXPECTED = json.loads((FOLDER / "verdicts.json").read_text())


def assert_equal(value, expected, place=""):
    """Compare JSON values; numbers agree to 1e-9, everything else but prose exactly."""
    if isinstance(expected, dict):
        new = {"answers", "resources", "checks", "headline", "next_step", "test_accuracy"}
        assert value.keys() - new == expected.keys(), place
        for key in expected.keys() - PROSE - {"stderr", "flips_at"}:
            assert_equal(value[key], expected[key], f"{place}.{key}")
        for key in expected.keys() & {"stderr", "flips_at"}:
            wanted = expected[key]
            near = None if wanted is None else pytest.approx(wanted, rel=DRAWN)
            assert value[key] == near, f"{place}.{key}"
    elif isinstance(expected, list):
        assert len(value) == len(expected), place
        for number, (inner, wanted) in enumerate(zip(value, expected, strict=True)):
            assert_equal(inner, wanted, f"{place}[{number}]")
    elif isinstance(expected, float):
        assert value == pytest.approx(expected, rel=AGREE, abs=AGREE), place
    else:
        assert value == expected, place


def within_error(verdict, row):
    """End the gains of that time at the test error: nothing gains more."""
    most = row.quantities["test_error"].value
    for gain in verdict["gains"]:
        gain |= {key: min(gain[key], most) for key in ("mean", "low", "high") if key in gain}


@pytest.mark.parametrize("name", EXPECTED)
def test_rows_and_trees_of_the_version_before_give_the_same_verdicts(name):
    saved = read_tree(FOLDER / f"{name}.json")
    rows = [row for row in read_rows(FOLDER / "rows.jsonl") if row.protocol == saved.protocol]
    shares = probabilities(saved, saved.matrix(rows))
    assert len(rows) == len(EXPECTED[name]) > 0
    failure = saved.task == "failure"
    # 0.5 was the default of that time
    diagnoser = Diagnoser(saved, name=name, confidence=0.5) if failure else None
    for row, probability, expected in zip(rows, shares.tolist(), EXPECTED[name], strict=True):
        assert_equal(probability, expected["shares"], row.group)
        if diagnoser is not None:
            verdict = json.loads(json.dumps(to_plain_data(diagnoser(row))))
            warnings = verdict["basis"].pop("warnings")  # of them there may be more by now
            assert set(expected["verdict"]["basis"].pop("warnings")) <= set(warnings)
            for basis in (verdict["basis"], expected["verdict"]["basis"]):
                assert basis["versions"].pop("mdtree")  # it is another one by now
            within_error(expected["verdict"], row)
            assert_equal(verdict, expected["verdict"], row.group)
