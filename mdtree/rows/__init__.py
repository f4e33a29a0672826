"""Rows of measurements, the interface between measuring and diagnosing, and their vocabulary."""

from mdtree.rows.facts import FACTS, TARGET, TEXT_FACTS, Fact, check_facts, target_fault
from mdtree.rows.finding import WEIGHTS, find_rows, is_rows, measured_file
from mdtree.rows.loading import (
    home_of,
    is_address,
    load_rows,
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
    HISTORY_DETAIL,
    STEP_DETAIL,
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
    write_lines,
)
from mdtree.rows.writing import Store, write_rows

__all__ = [
    "DEFAULT_PROTOCOL",
    "FACTS",
    "FORMAT",
    "HISTORY_DETAIL",
    "PROTOCOLS",
    "QUANTITIES",
    "STEP_DETAIL",
    "TARGET",
    "TEXT_FACTS",
    "WEIGHTS",
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
    "find_rows",
    "home_of",
    "is_address",
    "is_rows",
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
    "target_fault",
    "write_csv",
    "write_lines",
    "write_parquet",
    "write_rows",
]
