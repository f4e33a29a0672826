"""What the Python interface returns: lists with tables, pages, data frames and arrays."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import mdtree
from mdtree.diagnosis import Verdict, to_plain_data
from mdtree.exceptions import MdtreeError, MissingExtraError, RowsError
from mdtree.render.svg import Markup
from mdtree.render.terminal_verdict import verdict_text
from mdtree.rows import GroupFailure, Measured, Missing, Row
from mdtree.rows.columns import table_columns
from tests.support.reports import HOSTILE, detail, grid, group, parsed, tree, whole_row
from tests.support.steps import epochs

KNOWN = {"width": 2, "batch_size": 64, "data_amount": 400}


@pytest.fixture(scope="module")
def verdicts():
    return mdtree.diagnose([whole_row(), *grid()[5:8]], tree=tree())


def page_in(frame):
    """Read the page inside a frame."""
    (element,) = parsed(Markup(frame)).find()
    assert (element.tag, element["sandbox"]) == ("iframe", "")
    return parsed(element["srcdoc"])


def test_both_are_lists_in_every_respect(verdicts):
    rows = mdtree.Rows(grid())
    assert (rows, len(rows), rows[0]) == (grid(), len(grid()), grid()[0])
    assert isinstance(verdicts, list)
    assert verdicts == list(verdicts)
    assert json.dumps([to_plain_data(verdict) for verdict in verdicts])
    for results in (rows, verdicts):
        assert type(results[1:3]) is type(results)
        assert results[1:3] == list(results)[1:3]
        again = pickle.loads(pickle.dumps(results))
        assert (again, again._repr_html_()) == (results, results._repr_html_())


def test_the_sentence_of_terminal_and_page_is_a_value(verdicts):
    verdict = verdicts[0]
    assert verdict.headline == to_plain_data(verdict)["headline"]
    assert f"in short: {verdict.headline}" in verdict_text(verdict)
    assert verdicts.headline.startswith(f"Of {len(verdicts)} diagnosed groups of networks: ")
    assert verdicts.headline in parsed(verdicts.to_html()).one("body").text
    assert mdtree.Verdicts([verdict]).headline == verdict.headline
    assert mdtree.Verdicts().headline == "No group of networks could be diagnosed."
    assert mdtree.Comparisons().headline == "Nothing was compared."


def test_the_sentence_counts_the_step_to_keep_of_a_run():
    """Of two epochs, the one with the lower error is kept; a part of the list has no run."""
    both = mdtree.diagnose(epochs(30, 20), tree=tree())
    assert both.headline.startswith("Of 2 checkpoints, keep run@epoch-2: ")
    assert both[:1].headline == both[0].headline


def test_a_notebook_shows_verdicts_as_their_page(verdicts):
    page = page_in(verdicts._repr_html_())
    assert [a.one("h2").text for a in page.find("article")] == [
        verdict.group for verdict in verdicts
    ]
    assert "Measurements" in [h.text for h in page.find("h3")]
    assert page_in(verdicts[1:2]._repr_html_()).one("article").one("h2").text == verdicts[1].group
    assert page_in(mdtree.Verdicts()._repr_html_()).find("article") == []


def test_many_verdicts_are_shown_in_part(verdicts):
    many = mdtree.Verdicts([*verdicts] * 6)
    page = page_in(many._repr_html_())
    assert len(page.find("article")) == 20
    assert "The first 20 of 24 groups." in page.text


def test_a_verdict_alone_shows_its_card(verdicts):
    page = page_in(verdicts[0]._repr_html_())
    assert page.one("article").one("h2").text == verdicts[0].group
    assert "page" not in to_plain_data(verdicts[0])
    assert verdicts[0] == replace(verdicts[0])


def test_without_the_interface_a_verdict_shows_nothing_and_imports_no_page():
    code = (
        "import sys; from mdtree.diagnosis import Verdict; assert Verdict.page is None; "
        "assert 'mdtree.render' not in sys.modules; assert 'mdtree.api' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pages_and_markdown_are_those_of_the_command(verdicts):
    assert parsed(verdicts.to_html()).one("h1").text == "Diagnosis by mdtree"
    assert verdicts.to_markdown().count("\n### ") == len(verdicts)


def test_a_notebook_shows_rows_as_a_table():
    rows = mdtree.Rows(
        [whole_row(), group("lone", {"test_error": (8.51, 0.4)}, protocol="paper-1")]
    )
    table = parsed(Markup(rows._repr_html_()))
    head = [th.text for th in table.one("thead").find("th")]
    assert head[:3] == ["group", "protocol", "checkpoints"]
    assert "test_error [%]" in head
    first, second = table.one("tbody").find("tr")
    assert (first.one("th").text, first.find("td")[1].text) == ("wide", "3")
    assert "8.51 ± 0.40" in [td.text for td in second.find("td")]


def test_a_table_tells_why_something_is_missing_and_how_many_rows_are_left_out():
    missing = replace(grid()[0], quantities={"cka": Missing(missing="a single <checkpoint>")})
    (cell,) = [
        td
        for td in parsed(Markup(mdtree.Rows([missing])._repr_html_())).find("td")
        if td.text == "missing"
    ]
    assert cell["title"] == "a single <checkpoint>"
    assert (
        "... and 2 more rows" in parsed(Markup(mdtree.Rows(grid() + grid()[:6])._repr_html_())).text
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_are_text_in_a_notebook(name):
    row = Row(
        format=1,
        group=name,
        protocol="standard-1",
        facts={name: name, **KNOWN},
        quantities={"train_error": Measured(value=1.0), "cka": Missing(missing=name)},
    )
    table = parsed(Markup(mdtree.Rows([row])._repr_html_()))
    assert {each.tag for each in table.find()} <= {
        "div", "table", "thead", "tbody", "tr", "th", "td"
    }  # fmt: skip
    page = page_in(mdtree.diagnose([row], tree=tree())._repr_html_())
    assert not page.find("script")
    assert not page.find("img")


def test_a_data_frame_has_the_columns_of_the_table_with_their_types():
    pandas = pytest.importorskip("pandas")
    bare = Row(
        format=1,
        group="bare",
        protocol="standard-1",
        facts={"colour": "red", "tall": True},
        quantities={"cka": Missing(missing="one checkpoint")},
        failure=GroupFailure(kind="DataError", reason="no data"),
    )
    rows = mdtree.Rows([*grid()[:3], bare])
    frame = rows.to_pandas()
    assert list(frame.columns) == [name for name, _ in table_columns(rows).columns]
    assert list(frame["group"]) == [row.group for row in rows]
    assert frame["test_error"].iloc[1] == rows[1].quantities["test_error"].value
    assert frame["test_error_stderr"].iloc[1] == rows[1].quantities["test_error"].stderr
    assert math.isnan(frame["cka"].iloc[3])
    assert frame["width"].iloc[0] == rows[0].facts["width"]
    assert frame["width"].isna().tolist() == [False, False, False, True]
    assert (frame["failure"].iloc[3], frame["colour"].iloc[3]) == ("no data", "red")
    assert frame["cka"].dtype == np.float64
    assert bool(frame["tall"].iloc[3]) is True
    whole = mdtree.Rows(grid()).to_pandas()
    assert whole["width"].dtype == np.int64
    assert whole.groupby("width")["test_error"].mean().size == 4
    assert isinstance(mdtree.Rows().to_pandas(), pandas.DataFrame)


def test_a_data_frame_refuses_two_columns_of_one_name():
    pytest.importorskip("pandas")
    row = group("a", {"cka": (0.5, None)}, facts={"cka": 1})
    with pytest.raises(RowsError, match="the data frame would have two columns 'cka'"):
        mdtree.Rows([row]).to_pandas()


def test_without_pandas_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mdtree-diagnosis\[pandas\]'"):
        mdtree.Rows(grid()).to_pandas()


def test_details_are_arrays_by_name():
    row = whole_row(members=("a", "b"))
    density = mdtree.arrays(row, "hessian_density")
    assert density["eigenvalue"].tolist() == [-0.1, 0.0, 8.0] * 2
    assert density["weight"].dtype == np.float64
    assert density["member"].tolist() == ["a"] * 3 + ["b"] * 3
    for name in row.details:
        assert {len(column) for column in mdtree.arrays(row, name).values()} != {0}


def test_what_is_not_known_in_an_array_is_nan_or_empty():
    table = detail("name", "x", "nothing", lines=[("a", 1.0, None), (None, None, None)])
    columns = mdtree.arrays(replace(whole_row(), details={"t": table}), "t")
    assert columns["name"].tolist() == ["a", ""]
    np.testing.assert_array_equal(columns["x"], [1.0, np.nan])
    np.testing.assert_array_equal(columns["nothing"], [np.nan, np.nan])


def test_layers_are_a_matrix_with_a_row_for_each_layer_of_the_first_network():
    lines = [("p", "x", 0.1), ("p", "y", 0.2), ("p", "z", None), ("q", "x", 0.4), ("q", "y", 0.5)]
    row = replace(whole_row(), details={"layers": detail("row", "column", "cka", lines=lines)})
    rows, columns, values = mdtree.matrix(row, "layers")
    assert (rows, columns) == (["p", "q"], ["x", "y", "z"])
    np.testing.assert_array_equal(values, [[0.1, 0.2, np.nan], [0.4, 0.5, np.nan]])


def test_pairs_of_networks_are_a_symmetric_matrix():
    lines = [("a", "b", 0.1, 90.0), ("b", "c", 0.2, 80.0)]
    pairs = detail("a", "b", "cka", "agreement", lines=lines)
    row = replace(whole_row(), details={"pairs": pairs})
    rows, columns, values = mdtree.matrix(row, "pairs", "agreement")
    assert rows == columns == ["a", "b", "c"]
    n = np.nan
    np.testing.assert_array_equal(values, [[n, 90.0, n], [90.0, n, 80.0], [n, 80.0, n]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda row: mdtree.arrays(row, "hesian_density"), "did you mean 'hessian_density'?"),
        (lambda row: mdtree.arrays(replace(row, details=None), "curve"), "measure it again"),
        (lambda row: mdtree.matrix(row, "curve"), "not a matrix of 'cka': it has the columns pair"),
        (lambda row: mdtree.matrix(row, "pairs", "loss"), "not a matrix of 'loss'"),
    ],
)
def test_what_is_not_there_is_an_error_that_says_what_is(call, message):
    with pytest.raises(RowsError, match=message.replace("?", r"\?")):
        call(whole_row())


def test_a_matrix_is_bounded_by_what_a_row_may_ask_of_memory():
    lines = [(f"r{n}", f"c{n}", 0.5) for n in range(3200)]
    row = replace(whole_row(), details={"layers": detail("row", "column", "cka", lines=lines)})
    with pytest.raises(RowsError, match="3,200 x 3,200 names"):
        mdtree.matrix(row, "layers")


def test_networks_in_memory_are_shown_with_their_measurements():
    import torch
    from torch import nn

    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.arange(64) % 3
    verdicts = mdtree.diagnose(
        models=[nn.Linear(4, 3), nn.Linear(4, 3)], train=(x, y), test=(x, y), facts=KNOWN
    )
    assert isinstance(verdicts[0], Verdict)
    assert "Measurements" in [h.text for h in page_in(verdicts._repr_html_()).find("h3")]
    rows = mdtree.measure(models=[nn.Linear(4, 3)], train=(x, y), metrics="error_rate")
    assert isinstance(rows, mdtree.Rows)


def test_verdicts_are_no_rows(verdicts):
    with pytest.raises(MdtreeError, match=r"rows are measurements .*, got Verdict"):
        mdtree.compare(verdicts, verdicts)


def test_a_fact_that_was_probably_meant_otherwise_is_warned_of():
    said = "no tree uses the fact 'lr', did you mean 'learning_rate'"
    with pytest.warns(UserWarning, match=said):
        mdtree.diagnose([whole_row()], tree=tree(), facts={"lr": 0.1})
