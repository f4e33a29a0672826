"""Pictures as files: well-formed, readable without a page, and harmless; or the true reason."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from mdtree.exceptions import RowsError
from mdtree.metrics import METRICS
from mdtree.render.picture_file import KINDS, picture_svg
from mdtree.render.pictures import PICTURES
from mdtree.rows import MISSING_DETAIL, QUANTITIES, Detail, Measured, Missing
from tests.support.reports import HOSTILE, detail, parsed, whole_row
from tests.support.steps import epochs

OF_A_ROW = [picture.name for picture in PICTURES]
SVG = "{http://www.w3.org/2000/svg}"


def test_kinds_have_names_of_their_own_and_a_metric_that_there_is():
    assert len(set(KINDS)) == len(KINDS) == len(PICTURES) + 1
    assert {picture.metric for picture in PICTURES} <= METRICS.keys()


@pytest.mark.parametrize("what", OF_A_ROW)
def test_every_picture_is_a_file_with_its_title_and_colours(what):
    text = picture_svg(whole_row(), what)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    titles = {picture.name: picture.title for picture in PICTURES}
    assert root.find(f"{SVG}title").text == f"wide · {titles[what]}" == root.get("aria-label")
    assert root.find(f"{SVG}desc").text
    assert root.get("role") == "img"
    style = root.find(f"{SVG}style").text
    assert "var(" not in text
    assert "prefers-color-scheme:dark" in style
    assert {"#ffffff", "#12161b"} <= set(re.findall(r"#[0-9a-f]{6}", style))
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
    for inner in root.findall(f"{SVG}svg"):  # what is drawn lies inside
        assert float(inner.get("x")) + float(inner.get("width")) <= width
        assert float(inner.get("y")) + float(inner.get("height")) <= height


def test_the_words_below_a_matrix_are_its_names():
    texts = [text.text for text in parsed(picture_svg(whole_row(), "cka")).find("text")]
    assert [text for text in texts if text.startswith(("1. ", "2. ", "3. "))] == [
        "1. seed-0",
        "2. seed-1",
        "3. seed-2",
    ]


@pytest.mark.parametrize("count", [32, 40])
def test_many_names_are_counted(count):
    members = [f"s{number}" for number in range(count)]
    text = picture_svg(whole_row(members=members), "cka")
    assert ("... and 8 more" in text) == (count == 40)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("name", [*HOSTILE, "n" * 5000])
def test_hostile_names_are_text(what, name):
    if what == "history":
        rows = epochs(30, 20, run=name)
        text = picture_svg(rows[0], what, rows)
    else:
        text = picture_svg(whole_row(name, members=(name, f"{name}2", "c")), what)
    ET.fromstring(text)
    picture = parsed(text)
    assert picture.find("script") == picture.find("img") == []
    style = picture.one("style").text
    assert "alert" not in style
    assert len(text) < 200_000
    assert text.replace("\n", "").isprintable()


def test_history_is_that_of_the_run_of_the_row():
    rows = [*epochs(30, 20, 10, run="a"), *epochs(50, 40, run="b")]
    text = picture_svg(rows[3], "history", rows)
    assert "error over the epochs of b" in text
    assert text.count('class="at test"') == 2
    assert "b@epoch-1 · Error during training" in text


def test_rows_of_another_protocol_are_of_another_run():
    rows = epochs(30, 20)
    with pytest.raises(RowsError, match="no history to draw"):
        picture_svg(replace(rows[0], protocol="paper-1"), "history", rows)


@pytest.mark.parametrize("what", KINDS)
def test_what_is_missing_is_said_with_what_there_is_and_how_to_measure_it(what):
    with pytest.raises(RowsError) as caught:
        picture_svg(replace(whole_row(), details=None), what)
    message = str(caught.value)
    assert f"group 'wide' has no {what} to draw (it has no pictures); measure" in message
    option = "--steps all" if what == "history" else "--metrics "
    assert option in message


def test_an_error_lists_the_pictures_that_there_are():
    row = whole_row()
    row = replace(row, details={"pairs": row.details["pairs"], "curve": row.details["curve"]})
    with pytest.raises(RowsError, match=r"\(it has profile, profile-loss, cka\)") as caught:
        picture_svg(row, "surface")
    assert str(caught.value).endswith("mdtree measure DIR --metrics surface")


def test_a_misspelt_picture():
    with pytest.raises(RowsError, match="no picture 'surfaces', did you mean 'surface'"):
        picture_svg(whole_row(), "surfaces")


def bare(quantities=None, *, notes=(), metrics=(), **details):
    """A row with these details alone."""
    known = whole_row()
    origin = replace(known.provenance, notes=notes, metrics=metrics)
    return replace(known, quantities=quantities or {}, details=details, provenance=origin)


def refusal(row, what, rows=()):
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
    said = refusal(bare(spectrum=layers), "flow")
    assert said == (
        "group 'wide' has no flow: alpha is known for 1 layer (embeddings do not count), and a "
        "flow needs 2"
    )


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_tables_without_numbers_say_so_and_do_not_ask_to_measure_again(picture):
    tables = {name: detail("nothing", lines=[("x",)]) for name in picture.details}
    said = refusal(bare(**tables), picture.name)
    assert said.startswith(f"group 'wide' has no {picture.name}: ")
    assert "mdtree measure" not in said


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_detail_that_says_why_is_believed(picture):
    tables = {name: Detail(columns={MISSING_DETAIL: ("no items",)}) for name in picture.details}
    assert refusal(bare(**tables), picture.name) == f"group 'wide' has no {picture.name}: no items"


@pytest.mark.parametrize("what", ["profile", "cka", "density"])
def test_numbers_that_are_missing_have_the_reason(what):
    metric = next(picture.metric for picture in PICTURES if picture.name == what)
    names = [name for name, quantity in QUANTITIES.items() if quantity.metric == metric]
    lost = dict.fromkeys(names, Missing(missing="needs 2 checkpoints, found 1"))
    said = refusal(bare(lost), what)
    assert said == f"group 'wide' has no {what}: needs 2 checkpoints, found 1"


def test_a_note_on_the_measurement_is_the_reason():
    notes = ("spectra: something", "layers: needs 10 training items, found 5")
    said = refusal(bare(notes=notes, metrics=("layers",)), "layers")
    assert said == "group 'wide' has no layers: needs 10 training items, found 5"


def test_paper_1_measures_no_density():
    row = replace(bare({"hessian_top": Measured(value=1.0)}), protocol="paper-1")
    assert "protocol paper-1 does not measure it" in refusal(row, "density")


@pytest.mark.parametrize("what", [kind for kind in KINDS if kind != "history"])
def test_what_was_measured_without_its_table_is_not_said_to_be_unmeasured(what):
    metric = next(picture.metric for picture in PICTURES if picture.name == what)
    said = refusal(bare(metrics=(metric,)), what)
    assert f"measure it again, because the row has no table of {metric} to draw" in said
    plain = refusal(bare(), what)
    assert f"measure it with the metric {metric}: mdtree measure DIR --metrics {metric}" in plain


def test_a_history_without_numbers():
    rows = [replace(row, quantities={"cka": Missing(missing="one")}) for row in epochs(30, 20)]
    said = refusal(rows[0], "history", rows)
    assert said.endswith(
        "has no history: no quantity that is drawn was measured at two of its steps"
    )
