"""Parquet tables: what pyarrow reads back is what the CSV table says, with types."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest

from mdtree.exceptions import MissingExtraError, OutputError, RowsError
from mdtree.rows import GroupFailure, Measured, Missing, write_parquet
from tests.support.rows import csv_text, row

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MISSING = Missing(missing="needs 2 checkpoints, found 1")


ROWS = [
    row("a", {"width": 8, "learning_rate": 1, "augmented": True, "id": 7, "seed": 2**63 - 1}),
    row("b", {"width": -(2**63), "optimizer": "sgd"}, cka=Measured(value=0.1, stderr=5e-324)),
    row("c", {"augmented": False, "id": "x7"}, cka=MISSING, alpha=Measured(value=-0.0)),
    row("d", failure=GroupFailure(kind="MismatchError", reason='other "shapes",\nboth')),
    row('=HYPERLINK("x")', {"=1+1": 1, "seed": 2**63}, cka=Measured(value=1.7e308, stderr=1)),
    row("ü\0🙂", {"": "-", "learning_rate": 0.05, "id": True}, alpha=Measured(value=1e-7)),
    row("g", {"id": 0.5, "flag": True}, alpha=MISSING),
]
TYPES = {
    "group": "string",
    "protocol": "string",
    "width": "int64",
    "learning_rate": "double",
    "augmented": "bool",
    "id": "string",
    "seed": "string",  # one has more than 64 bits
    "optimizer": "string",
    "=1+1": "int64",
    "": "string",
    "flag": "bool",
    "cka": "double",
    "cka_stderr": "double",
    "alpha": "double",
    "alpha_stderr": "double",
    "failure": "string",
}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "table.parquet"


def test_numbers_have_types_and_names_stay_as_they_are(out):
    write_parquet(ROWS, out)
    table = pq.read_table(out)
    assert {field.name: str(field.type) for field in table.schema} == TYPES
    assert table["group"].to_pylist() == [item.group for item in ROWS]
    assert table["width"].to_pylist() == [8, -(2**63), *[None] * 5]
    assert table["learning_rate"].to_pylist() == [1.0, *[None] * 4, 0.05, None]
    assert table["id"].to_pylist() == ["7", None, "x7", None, None, "True", "0.5"]
    assert table["seed"].to_pylist()[:5:4] == ["9223372036854775807", "9223372036854775808"]
    assert table["cka"].to_pylist() == [None, 0.1, None, None, 1.7e308, None, None]
    assert table["cka_stderr"].to_pylist() == [None, 5e-324, None, None, 1.0, None, None]


@pytest.mark.parametrize("batch", [1, 3, 4, 7, 1024])
def test_cells_are_those_of_the_csv_table_whatever_the_batches(out, batch):
    write_parquet(ROWS, out, batch=batch)
    file = pq.ParquetFile(out)
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [batch] * (7 // batch) + [7 % batch] * (7 % batch > 0)

    header, *lines = csv.reader(io.StringIO(csv_text(ROWS), newline=""))
    table = file.read()
    assert [plain(name) for name in header] == table.column_names
    for line, cells in zip(lines, zip(*table.columns, strict=True), strict=True):
        assert all(
            same(plain(cell), typed.as_py()) for cell, typed in zip(line, cells, strict=True)
        )


def plain(cell: str) -> str:
    """Undo what the CSV table does against formulas."""
    return cell[1:] if cell.startswith(("'=", "'-")) else cell


def same(cell: str, value: object) -> bool:
    if value is None:
        return cell == ""
    return float(cell) == value if isinstance(value, float) else cell == str(value)


def test_a_table_of_nothing_has_its_columns(out):
    write_parquet([], out)
    assert pq.read_table(out).column_names == ["group", "protocol", "failure"]


def test_a_table_appears_as_a_whole_or_not_at_all(out):
    class Broken(list):
        def __iter__(self):
            yield from list.__iter__(self)
            if self.turns:
                raise ZeroDivisionError
            self.turns += 1

        turns = 0

    out.write_bytes(b"PAR1, the old one")
    with pytest.raises(ZeroDivisionError):
        write_parquet(Broken(ROWS), out, batch=2)
    assert out.read_bytes() == b"PAR1, the old one"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("name", ["group", "cka", "cka_stderr", "failure"])
def test_two_columns_of_one_name_are_refused(out, name):
    rows = [row("a", {name: 1}, cka=Measured(value=1))]
    with pytest.raises(RowsError, match=f"two columns '{name}'.*or export a CSV table"):
        write_parquet(rows, out)
    assert not out.exists()


def test_what_cannot_be_written_is_told(out):
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_parquet(ROWS, out / "below")


def test_without_the_extra_it_is_said_how_to_install_it(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mdtree-diagnosis\[parquet\]'"):
        write_parquet(ROWS, out)
    assert not out.exists()


def test_pyarrow_is_imported_late():
    program = "import sys, mdtree.rows; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
