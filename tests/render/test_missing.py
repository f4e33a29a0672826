"""What was not measured: why, and what it could change."""

from __future__ import annotations

from dataclasses import replace

from mdtree.diagnosis import MissingMeasurement
from mdtree.render.formatting import feature_name, share
from mdtree.render.missing import absent
from mdtree.rows import Missing
from tests.support.reports import grid, judged, parsed

ONE_SEED = Missing(missing="needs 2 checkpoints, found 1")


def test_what_the_tree_asks_for_in_vain_is_told_with_its_weight():
    row = grid()[0]
    lost = dict.fromkeys(("connectivity_peak", "cka"), ONE_SEED)
    row = replace(row, quantities={**row.quantities, **lost})
    verdict = judged(row)
    lines = parsed(absent(verdict, row)).find("li")
    assert [lack.metric for lack in verdict.missed] == [line.one("b").text for line in lines]
    for line, lack in zip(lines, verdict.missed, strict=True):
        assert "Needs 2 checkpoints, found 1." in line.text
        assert line.text.endswith(f"with a probability of {share(lack.flips)}.")
        assert all(feature_name(name) in line.text for name in lack.features)


def test_a_failed_metric_that_no_tree_asks_for_is_listed_once():
    row = grid()[0]
    row = replace(row, quantities={**row.quantities, "fork_cka": Missing(missing="no training")})
    (line,) = parsed(absent(judged(row), row)).find("li")
    assert line.text == "fork CKA : No training."


def test_what_the_tree_asks_for_is_not_listed_again():
    row = replace(grid()[0], quantities={**grid()[0].quantities, "cka": ONE_SEED})
    missed = (MissingMeasurement(metric="similarity", features=("cka",), reason="why", flips=0.25),)
    (line,) = parsed(absent(judged(row, missed=missed), row)).find("li")
    assert line.text == (
        "similarity : Why. To know CKA would change the most probable answer with a probability "
        "of 25 %."
    )


def test_nothing_missing_nothing_said():
    assert absent(judged(grid()[0]), grid()[0]) is None
    assert absent(judged(grid()[0], missed=()), None) is None
