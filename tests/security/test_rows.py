"""Rows of strangers: whatever valid rows hold, what is shown of them has an end, and is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mdtree.exceptions import RowsError
from mdtree.render.page import MOST_WHOLE, report_page
from mdtree.render.rows_table import rows_table
from mdtree.render.terminal_verdict import verdict_text, verdicts_table
from mdtree.rows import (
    QUANTITIES,
    Detail,
    GroupFailure,
    Measured,
    Missing,
    Provenance,
    Row,
    csv_lines,
    read_rows,
    write_rows,
)
from tests.support.reports import HOSTILE, detail, diagnoser, grid, group, parsed, tree, whole_row

LARGEST_PAGE = 10_000_000  # characters of a page of one group, however large its row
WIDEST = 3000  # characters of a line of a table
LONG = "n" * 1_000_000


def shown(*rows: Row) -> tuple[str, str]:
    """Give what a terminal shows of rows, and their page."""
    verdicts = [diagnoser()(row) for row in rows]
    page = report_page(verdicts, rows, {"ours": tree()})
    parsed(page)
    table = "\n".join([rows_table(rows), verdicts_table(verdicts), *map(verdict_text, verdicts)])
    return table, page


def assert_short(*rows: Row) -> None:
    table, page = shown(*rows)
    assert len(page) < LARGEST_PAGE * len(rows)
    assert max(map(len, table.splitlines())) < 20_000
    assert max(map(len, rows_table(rows).splitlines())) < WIDEST
    assert len(table) < 200_000 * len(rows)


def long_detail(name: str, count: int) -> dict[str, Detail]:
    """Make a table of so many lines whose names are all different."""
    tables = {
        "pairs": (("a", "b", "cka"), lambda n: (f"a{n}", f"b{n}", 0.5)),
        "layers": (("row", "column", "cka"), lambda n: (f"a{n}", f"b{n}", 0.5)),
        "curve": (
            ("pair", "t", "train_error", "train_loss"),
            lambda n: (f"p{n // 2}", n, 1.0, 1.0),
        ),
        "line": (("pair", "t", "train_error", "train_loss"), lambda n: ("p", n, 1.0, 1.0)),
        "hessian_density": (("member", "eigenvalue", "weight"), lambda n: (f"m{n}", n, 0.5)),
        "spectrum": (
            ("member", "layer", "kind", "state", "alpha"),
            lambda n: (f"m{n}", f"l{n}", "dense", "2 to 6", 3.0),
        ),
    }
    columns, line = tables[name]
    return {name: detail(*columns, lines=[line(n) for n in range(count)])}


@pytest.mark.parametrize(
    "name", ["pairs", "layers", "curve", "line", "hessian_density", "spectrum"]
)
@pytest.mark.parametrize("count", [4000, 100_000])
def test_long_tables_are_drawn_in_part_and_that_is_said(name, count):
    """A matrix of all names of 4,000 pairs has 64 million cells."""
    row = replace(grid()[0], details=long_detail(name, count))
    assert_short(row)
    page = parsed(shown(row)[1])
    assert any(note.text.startswith("The first ") for note in page.find("p", class_="note"))


def test_pictures_of_what_mdtree_writes_are_whole():
    page = parsed(shown(whole_row())[1])
    assert page.find("p", class_="note") == []


def test_one_long_name_does_not_pad_every_line():
    """Lines as wide as the name would be 40 megabytes."""
    rows = [*grid()[:35], replace(grid()[35], group=f"{LONG}-end")]
    assert_short(*rows)
    assert "n…n" in rows_table(rows)
    assert "n-end" in rows_table(rows)


@pytest.mark.parametrize("weights", [[5e-324], [5e-324, 1e-320], [5e-324, 1e308], [1e308, 1e99]])
def test_weights_of_a_density_may_be_as_small_and_as_large_as_numbers_are(weights):
    lines = [("m", float(place), weight) for place, weight in enumerate(weights)]
    tables = {"hessian_density": detail("member", "eigenvalue", "weight", lines=lines)}
    assert_short(replace(grid()[0], details=tables))


def test_a_page_shows_so_many_groups_whole_and_lists_the_others():
    rows = [replace(grid()[0], group=f"g{number}") for number in range(MOST_WHOLE + 2)]
    verdict = diagnoser()(rows[0])
    verdicts = [replace(verdict, group=row.group) for row in rows]
    page = parsed(report_page(verdicts, rows, {"ours": tree()}))
    assert len(page.find("article")) == MOST_WHOLE
    overview = page.one("nav")
    tables = overview.find("table")
    assert [link["href"] for link in tables[0].find("a")] == [
        f"#{a['id']}" for a in page.find("article")
    ]
    lines = [len(table.one("tbody").find("tr")) for table in tables]
    assert lines == [MOST_WHOLE + 2, MOST_WHOLE, MOST_WHOLE, MOST_WHOLE]
    assert "add --group NAME" in page.text


def test_facts_and_quantities_of_a_row_have_an_end(tmp_path):
    path = tmp_path / "rows.jsonl"
    names = [f"name_{number}" for number in range(1001)]
    known = {**grid()[0].quantities, **dict.fromkeys(names[:900], Measured(value=1.0))}
    row = replace(grid()[0], facts=dict.fromkeys(names[:1000], 1), quantities=known)
    write_rows(path, [row])
    assert read_rows(path) == [row]
    assert_short(row)
    for part in (
        {"facts": dict.fromkeys(names, 1)},
        {"quantities": dict.fromkeys(names, Missing(missing=""))},
    ):
        with pytest.raises(ValueError, match="at most 1000 items"):
            replace(row, **part)


def test_rows_that_share_no_names_are_no_table():
    """Each name would be a cell of each row."""
    rows = [replace(grid()[0], facts={f"fact_{n}": 1}) for n in range(3000)]
    with pytest.raises(RowsError, match="more than 2,000 different facts and quantities"):
        list(csv_lines(rows))
    assert len(list(csv_lines(rows[:1000]))) == 1001


EXTREME = st.sampled_from([5e-324, -5e-324, 1e-310, 1e308, -1.7e308, 0.0, -0.0, 1e100, 1e-100, 1.0])
NUMBERS = EXTREME | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["a", "b", "seed-0", LONG[:5000], *HOSTILE]) | st.text(max_size=20)
CELLS = st.one_of(NUMBERS, NUMBERS, NUMBERS, NAMES, st.none())
VALUES = st.builds(
    Measured,
    value=NUMBERS,
    stderr=st.none() | NUMBERS,
    members=st.none() | st.lists(NUMBERS, max_size=3).map(tuple),
    iterations=st.none() | st.integers(0, 10**9),
    converged=st.none() | st.booleans(),
) | st.builds(Missing, missing=NAMES)
TABLES = {
    "pairs": ("a", "b", "cka"),
    "layers": ("row", "column", "cka"),
    "curve": ("pair", "t", "train_error", "train_loss"),
    "line": ("pair", "t", "train_error", "train_loss"),
    "hessian_density": ("member", "eigenvalue", "weight"),
    "spectrum": ("member", "layer", "kind", "state", "alpha"),
    "surface": ("x", "y", "train_loss", "train_error"),
    "surface_members": ("member", "x", "y", "train_loss", "train_error"),
}


@st.composite
def details(draw) -> dict[str, Detail]:
    """Draw tables with the columns that pictures read, whose cells are anything."""
    tables = {}
    for name, columns in TABLES.items():
        lines = draw(st.lists(st.tuples(*(CELLS for _ in columns)), max_size=6))
        if lines:
            tables[name] = detail(*columns, lines=lines)
    return tables


ROWS = st.builds(
    Row,
    format=st.just(1),
    group=NAMES.filter(bool),
    protocol=st.just("standard-1"),
    facts=st.dictionaries(
        st.sampled_from(["parameters", "width", "data_amount", "batch_size"]) | NAMES,
        NUMBERS | NAMES | st.booleans() | st.integers(-(10**400), 10**400),
        max_size=5,
    ),
    quantities=st.dictionaries(st.sampled_from(sorted(QUANTITIES)) | NAMES, VALUES, max_size=12),
    provenance=st.none()
    | st.builds(
        Provenance,
        weights=st.dictionaries(NAMES, NAMES, max_size=3),
        recipe=NAMES,
        metrics=st.lists(NAMES, max_size=2).map(tuple),
        seed=st.integers(),
        device=NAMES,
        seconds=NUMBERS,
        versions=st.dictionaries(NAMES, NAMES, max_size=2),
        passes=st.none() | NUMBERS,
        data=st.none() | NAMES,
        notes=st.lists(NAMES, max_size=2).map(tuple),
    ),
    failure=st.none() | st.builds(GroupFailure, kind=NAMES, reason=NAMES),
    details=st.none() | details(),
)


@given(st.lists(ROWS, min_size=1, max_size=3))
@example([group("large", {"cka": (1e308, None), "hessian_top": (1e308, 1e308)})])
@settings(
    deadline=None,
    max_examples=30,
    derandomize=True,  # the same rows in every run
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_whatever_valid_rows_hold_is_shown_without_an_end_to_it(rows):
    assert_short(*rows)
    assert len(list(csv_lines(rows))) == len(rows) + 1
