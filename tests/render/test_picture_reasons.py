"""Why a picture cannot be drawn: the true reason, before the advice to measure more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.exceptions import RowsError
from mdtree.render.picture_file import KINDS, picture_svg
from mdtree.render.pictures import PICTURES
from mdtree.rows import MISSING_DETAIL, QUANTITIES, Detail, Measured, Missing
from tests.support.reports import detail, whole_row
from tests.support.steps import epochs


def bare(quantities=None, *, notes=(), metrics=(), **details):
    """A row with these details alone."""
    known = whole_row()
    origin = replace(known.provenance, notes=notes, metrics=metrics)
    return replace(known, quantities=quantities or {}, details=details, provenance=origin)


def message(row, what, rows=()):
    with pytest.raises(RowsError) as caught:
        picture_svg(row, what, rows)
    return str(caught.value)


def test_a_flow_of_too_few_layers():
    layers = detail(
        "member", "layer", "kind", "state", "alpha",
        lines=[
            ("a", "embed", "embedding", "2 to 6", 3.0),
            ("a", "one", "dense", "2 to 6", 3.0),
            ("b", "one", "dense", "2 to 6", 3.0),
            ("a", "two", "dense", "none", None),
        ],
    )  # fmt: skip
    said = message(bare(spectrum=layers), "flow")
    assert said == (
        "group 'wide' has no flow: alpha is known for 1 layer (embeddings do not count), and a "
        "flow needs 2"
    )


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_tables_without_numbers_say_so_and_do_not_ask_to_measure_again(picture):
    tables = {name: detail("nothing", lines=[("x",)]) for name in picture.details}
    said = message(bare(**tables), picture.name)
    assert said.startswith(f"group 'wide' has no {picture.name}: ")
    assert "mdtree measure" not in said


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_detail_that_says_why_is_believed(picture):
    tables = {name: Detail(columns={MISSING_DETAIL: ("no items",)}) for name in picture.details}
    assert message(bare(**tables), picture.name) == f"group 'wide' has no {picture.name}: no items"


@pytest.mark.parametrize("what", ["profile", "cka", "density"])
def test_numbers_that_are_missing_have_the_reason(what):
    metric = next(picture.metric for picture in PICTURES if picture.name == what)
    names = [name for name, quantity in QUANTITIES.items() if quantity.metric == metric]
    lost = dict.fromkeys(names, Missing(missing="needs 2 checkpoints, found 1"))
    said = message(bare(lost), what)
    assert said == f"group 'wide' has no {what}: needs 2 checkpoints, found 1"


def test_a_note_on_the_measurement_is_the_reason():
    notes = ("spectra: something", "layers: needs 10 training items, found 5")
    said = message(bare(notes=notes, metrics=("layers",)), "layers")
    assert said == "group 'wide' has no layers: needs 10 training items, found 5"


def test_paper_1_measures_no_density():
    row = replace(bare({"hessian_top": Measured(value=1.0)}), protocol="paper-1")
    assert "protocol paper-1 does not measure it" in message(row, "density")


@pytest.mark.parametrize("what", [kind for kind in KINDS if kind != "history"])
def test_what_was_measured_without_its_table_is_not_said_to_be_unmeasured(what):
    metric = next(picture.metric for picture in PICTURES if picture.name == what)
    said = message(bare(metrics=(metric,)), what)
    assert f"measure it again, because the row has no table of {metric} to draw" in said
    plain = message(bare(), what)
    assert f"measure it with the metric {metric}: mdtree measure DIR --metrics {metric}" in plain


def test_a_history_without_numbers():
    rows = [replace(row, quantities={"cka": Missing(missing="one")}) for row in epochs(30, 20)]
    said = message(rows[0], "history", rows)
    assert said.endswith(
        "has no history: no quantity that is drawn was measured at two of its steps"
    )
