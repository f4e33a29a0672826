"""Rows of measurements, the interface between measuring and diagnosing, and their vocabulary."""

from mdtree.rows.facts import FACTS, TEXT_FACTS, Fact, check_facts
from mdtree.rows.loading import (
    home_of,
    is_address,
    load_rows,
    measured_file,
    of_protocol,
    one_protocol,
    open_measured,
    rows_file,
)
from mdtree.rows.parquet import write_parquet
from mdtree.rows.protocols import DEFAULT_PROTOCOL, PROTOCOLS, check_protocol
from mdtree.rows.quantities import QUANTITIES
from mdtree.rows.quantity import Quantity
from mdtree.rows.reading import (
    Damaged,
    Index,
    StoredRows,
    open_rows,
    read_rows,
    scan_rows,
)
from mdtree.rows.row import (
    FORMAT,
    Copy,
    Detail,
    GroupFailure,
    Measured,
    Missing,
    Provenance,
    Row,
    RowKey,
    Value,
    mean_over_members,
)
from mdtree.rows.tables import (
    Imported,
    csv_lines,
    is_table,
    rows_from_csv,
    rows_to_csv,
    write_csv,
)
from mdtree.rows.writing import Store, write_rows

__all__ = [
    "DEFAULT_PROTOCOL",
    "FACTS",
    "FORMAT",
    "PROTOCOLS",
    "QUANTITIES",
    "TEXT_FACTS",
    "Copy",
    "Damaged",
    "Detail",
    "Fact",
    "GroupFailure",
    "Imported",
    "Index",
    "Measured",
    "Missing",
    "Provenance",
    "Quantity",
    "Row",
    "RowKey",
    "Store",
    "StoredRows",
    "Value",
    "check_facts",
    "check_protocol",
    "csv_lines",
    "home_of",
    "is_address",
    "is_table",
    "load_rows",
    "mean_over_members",
    "measured_file",
    "of_protocol",
    "one_protocol",
    "open_measured",
    "open_rows",
    "read_rows",
    "rows_file",
    "rows_from_csv",
    "rows_to_csv",
    "scan_rows",
    "write_csv",
    "write_parquet",
    "write_rows",
]
