"""Tables: what is exported comes back, the published names are understood, the rest is reported."""

from __future__ import annotations

import csv
import gzip
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdtree.exceptions import RowsError
from mdtree.rows import (
    QUANTITIES,
    GroupFailure,
    Measured,
    Missing,
    load_rows,
    rows_from_csv,
)
from mdtree.rows.facts import FACT_RANGES
from mdtree.rows.quantity import AMOUNT
from mdtree.trees.bundled import PUBLISHED_TABLE, published_rows
from tests.support.rows import csv_text, row


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@pytest.fixture
def imported(tmp_path):
    def read(text: str | bytes, protocol="paper-1"):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return rows_from_csv(path, protocol=protocol)

    return read


def test_an_export_has_a_column_for_each_fact_quantity_and_error():
    failed = GroupFailure(kind="MismatchError", reason="other shapes, both")
    table = csv_text(
        [
            row("a", {"width": 8}, cka=Measured(value=0.5), test_error=Missing(missing="no data")),
            row("b", {"optimizer": "sgd"}, test_error=Measured(value=12.25, stderr=0.5)),
            row("c", failure=failed, cka=Missing(missing="the group failed")),
        ]
    )
    assert cells(table) == [
        [
            *("group", "protocol", "width", "optimizer"),
            *("cka", "cka_stderr", "test_error", "test_error_stderr", "failure"),
        ],
        ["a", "standard-1", "8", "", "0.5", "", "", "", ""],
        ["b", "standard-1", "", "sgd", "", "", "12.25", "0.5", ""],
        ["c", "standard-1", "", "", "", "", "", "", "other shapes, both"],
    ]


def test_an_export_of_nothing_has_its_header():
    assert csv_text([]) == "group,protocol,failure\n"


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_no_cell_is_taken_for_a_formula(start, imported):
    evil = f"{start}HYPERLINK(1)"
    facts = {"width": 8, "optimizer": evil, f"{evil}!": 1}
    table = csv_text(
        [row(evil, facts, failure=GroupFailure(kind="x", reason=evil), cka=Measured(value=-1))]
    )
    texts = [cell for line in cells(table) for cell in line]
    assert [cell for cell in texts if cell.startswith(start)] == (["-1.0"] if start == "-" else [])
    assert texts.count("'" + evil) == 3
    assert [item.group for item in imported(table).rows] == [evil]


@pytest.mark.parametrize(
    "text",
    [
        "x;=1+1",
        "x;=1+1;y",
        'x;"=1+1;y',
        "x; =1+1",
        "x\t=1+1",
        "x\n=1+1;y",
        "x\r=1+1;y",
        "x|=1+1",
        ";;@SUM(1)",
        "x;'=1+1",
        "x;\uff1d1+1",
        "\t-1",
    ],
)
def test_no_part_of_a_cell_is_taken_for_a_formula_where_lines_are_split_otherwise(text, imported):
    """Spreadsheets split at ; in half of the world, LibreOffice at tabs too, unless told not to."""
    table = csv_text([row(text, {"optimizer": text}, cka=Measured(value=1))])
    for separator in (",", ";", "\t", "|"):
        for line in csv.reader(io.StringIO(table.replace("\r", "\n")), delimiter=separator):
            assert not [cell for cell in line if cell.strip().startswith(tuple("=+@-\uff1d"))]
    assert [item.group for item in imported(table).rows] == [text]


def test_optimizer_and_schedule_stay_words_and_an_empty_cell_is_no_fact(imported):
    table = "group,optimizer,schedule,cka\na,adamw_torch, 1e3 ,0.5\nb,,,0.5\nc,nan,=x,0.5\n"
    read = imported(table)
    assert read.ignored == []
    facts = [item.facts for item in read.rows]
    assert facts == [
        {"optimizer": "adamw_torch", "schedule": "1e3"},
        {},
        {"optimizer": "nan", "schedule": "=x"},
    ]
    again = imported(csv_text(read.rows))
    assert [item.facts for item in again.rows] == facts


def test_text_that_is_no_formula_stays_as_it_is():
    text = "shapes (3, -1); see a-b | c=d @ e"
    assert cells(csv_text([row(text, cka=Measured(value=-1))]))[1][:4] == [
        *(text, "standard-1", "-1.0", ""),
    ]


numbers = st.floats(allow_nan=False, allow_infinity=False)
AMOUNTS = sorted(name for name, range_ in FACT_RANGES.items() if range_ is AMOUNT)  # any number
UNBOUNDED = [name for name, quantity in QUANTITIES.items() if quantity.range is None]
amounts = st.integers(0, 2**53) | st.floats(0, 1e300).filter(lambda number: number % 1)
letters = st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("=+-@;|'\"\t\n ")
groups = st.text(letters, min_size=1).map(str.strip)


@given(
    group=groups.filter(bool),
    facts=st.dictionaries(st.sampled_from(AMOUNTS), amounts),
    quantities=st.dictionaries(
        st.sampled_from(UNBOUNDED),
        st.builds(Measured, value=numbers, stderr=st.none() | numbers.map(abs)),
        min_size=1,
    ),
)
@settings(deadline=None, derandomize=True)
def test_what_was_exported_is_imported_again_exactly(tmp_path_factory, group, facts, quantities):
    path = tmp_path_factory.getbasetemp() / "again.csv"
    path.write_text(csv_text([row(group, facts, **quantities)]), encoding="utf-8", newline="")
    again = rows_from_csv(path, protocol="paper-1")
    assert again.rows == [row(group, facts, **quantities)]
    assert again.ignored == ["failure"]


def test_published_names_become_ours_and_logarithms_are_undone(imported):
    table = imported(
        "width,bs,para_amount,test_acc,hessian_e,hessian_t,CKA,mode_connectivity,colour\n"
        "2,16,11420,53.19,4.5,-1,0.25,-10.5,red\n"
    )
    (only,) = table.rows
    assert only.facts == {
        "width": 2,
        "batch_size": 16,
        "parameters": 11420,
        "test_accuracy": 53.19,
    }
    assert only.quantities == {
        "hessian_top": Measured(value=math.exp(4.5)),
        "hessian_trace": Measured(value=math.exp(-1)),
        "cka": Measured(value=0.25),
        "connectivity": Measured(value=-10.5),
    }
    assert (only.group, only.protocol) == ("width=2,batch_size=16", "paper-1")
    assert table.ignored == ["colour"]


def test_our_own_names_are_taken_as_they_are(imported):
    (only,) = imported("group,protocol,hessian_top,cka,cka_stderr\na,standard-1,4.5,1,0.5\n").rows
    assert only == row("a", hessian_top=Measured(value=4.5), cka=Measured(value=1, stderr=0.5))


def test_a_group_without_name_is_called_after_its_facts_or_its_line(imported):
    table = imported("width,label_noise,cka\n8,0.1,1\n4,,1\n,,1\n")
    assert [item.group for item in table.rows] == ["width=8,label_noise=0.1", "width=4", "line 4"]


def test_what_is_empty_or_not_finite_is_missing_with_its_reason(imported):
    table = imported("group,hessian_e,width,cka,cka_stderr\na,,,nan,1\nb,1e9,inf,1,inf\n")
    assert [item.quantities for item in table.rows] == [
        {
            "hessian_top": Missing(missing="empty in the table"),
            "cka": Missing(missing="not a finite number in the table: nan"),
        },
        {
            "hessian_top": Missing(missing="not a finite number in the table: 1e9"),
            "cka": Measured(value=1),
        },
    ]
    assert [item.facts for item in table.rows] == [{}, {}]


def test_a_table_saved_by_a_spreadsheet_is_read(imported):
    table = imported('\ufeffgroup,width,cka\r\n"a, b",8.0,1\r\n\'=c,4,0\r\n\r\n')
    assert [(item.group, item.facts) for item in table.rows] == [
        ("a, b", {"width": 8}),
        ("=c", {"width": 4}),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column with a quantity; known are train_error"),
        ("width,bs\n1,2\n", "no column with a quantity; known are train_error"),
        ("group;cka\na;1\n", "no column with a quantity"),
        ("group,cka\na,high\n", "line 2: cka must be a number, got 'high'"),
        ("group,cka,cka_stderr\na,1,+-2\n", "line 2: cka_stderr must be a number, got '\\+-2'"),
        ("bs,cka\n16,1\nbig,1\n", "line 3: bs must be a number, got 'big'"),
        ("bs,cka\n-16,1\n", "line 2: fact 'batch_size' must be a number of at least 0, got -16"),
        ("group,cka\na,1\nb,1\na,0\n", "line 4: a second row of group 'a'"),
        ("width,cka\n8,1\n8,0\n", "line 3: a second row of group 'width=8'"),
        ("group,test_error\na,250\n", "line 2: test_error is 250 %, and must be 0 to 100"),
        ("group,cka\na\n", "line 2: the number of cells differs from the header"),
        ("group,cka\na,1,2\n", "line 2: the number of cells differs from the header"),
        ("cka,cka\n1,2\n", "columns 'cka' and 'cka' both contain cka: remove one"),
        ("hessian_top,hessian_e\n1,2\n", "'hessian_top' and 'hessian_e' both contain hessian_top"),
        ("batch_size,bs,cka\n1,2,3\n", "'batch_size' and 'bs' both contain batch_size"),
        ('group,cka\n"a,1\n', "is not a CSV table: unexpected end of data"),
        ('group,cka\n"a"b,1\n', "is not a CSV table"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "is not a CSV table: 'utf-8' codec can't decode"),
        ("group,cka\n" + "a" * 200_000 + ",1\n", "is not a CSV table: field larger than"),
    ],
)
def test_a_bad_table_is_refused_with_place_and_reason(imported, text, reason):
    with pytest.raises(RowsError, match=reason):
        imported(text)


def test_a_table_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(RowsError, match="cannot be read: No such file"):
        rows_from_csv(tmp_path / "none.csv", protocol="paper-1")
    with pytest.raises(RowsError, match="cannot be read: Is a directory"):
        rows_from_csv(tmp_path, protocol="paper-1")


def test_a_compressed_table_is_the_same_table(published_table):
    assert published_rows() == rows_from_csv(published_table, protocol="paper-1").rows
    assert load_rows(PUBLISHED_TABLE) == published_rows()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column with a quantity"),
        (b"train_error\n1\n", "cannot be read: Not a gzipped file"),
        (
            gzip.compress(b"train_error\n" + b"1\n" * 5000)[:-9],
            "is not a CSV table: Compressed file",
        ),
        (b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 40, "is not a CSV table: Error -3"),
    ],
    ids=["empty", "not compressed", "cut off", "not deflated"],
)
def test_a_damaged_compressed_table_is_refused(tmp_path, content, words):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(content)
    with pytest.raises(RowsError, match=words):
        rows_from_csv(path, protocol="paper-1")


def test_a_compressed_table_that_becomes_huge_is_refused(tmp_path):
    path = tmp_path / "t.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(RowsError, match="unpacks to more than 268435456 bytes: unpack it first"):
        rows_from_csv(path, protocol="paper-1")


def test_the_published_table_is_read_whole(published_table):
    table = rows_from_csv(published_table, protocol="paper-1")
    with published_table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(table.rows) == len({item.key for item in table.rows}) == 1690
    published = {q.published: q for q in QUANTITIES.values() if q.published is not None}
    for line, item in zip(lines, table.rows, strict=True):
        assert item.quantities.keys() == {quantity.name for quantity in published.values()}
        for column, quantity in published.items():
            value = item.quantities[quantity.name].value
            again = math.log(value) if quantity.published_log else value
            assert again == pytest.approx(float(line[column]), rel=0, abs=1e-12)
        assert item.facts == {
            "data_amount": int(line["data_amount"]),
            "parameters": int(line["para_amount"]),
            "width": int(line["width"]),
            "batch_size": int(line["bs"]),
            "test_accuracy": float(line["test_acc"]),
        }
    facts = {"para_amount", "width", "bs", "data_amount", "test_acc"}
    assert table.ignored == [name for name in lines[0] if name not in published.keys() | facts]
    assert len(table.ignored) == 13
