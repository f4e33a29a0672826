"""The bar between measuring and judging: rows of measurements, and the words they are made of."""

from mdtree.measurements.fact import FACTS, TEXT_FACTS, Fact, check_facts
from mdtree.measurements.loading import home_of, load_rows, one_protocol, rows_file
from mdtree.measurements.protocol import DEFAULT_PROTOCOL, PROTOCOLS
from mdtree.measurements.quantity import QUANTITIES, Quantity
from mdtree.measurements.reading import Damaged, Index, read_rows, scan_rows
from mdtree.measurements.row import (
    FORMAT,
    Detail,
    Failure,
    Measured,
    Missing,
    Provenance,
    Row,
    RowKey,
    Value,
    mean_over_members,
)
from mdtree.measurements.store import Store, write_rows
from mdtree.measurements.table import Imported, rows_from_csv, rows_to_csv

__all__ = [
    "DEFAULT_PROTOCOL",
    "FACTS",
    "FORMAT",
    "PROTOCOLS",
    "QUANTITIES",
    "TEXT_FACTS",
    "Damaged",
    "Detail",
    "Fact",
    "Failure",
    "Imported",
    "Index",
    "Measured",
    "Missing",
    "Provenance",
    "Quantity",
    "Row",
    "RowKey",
    "Store",
    "Value",
    "check_facts",
    "home_of",
    "load_rows",
    "mean_over_members",
    "one_protocol",
    "read_rows",
    "rows_file",
    "rows_from_csv",
    "rows_to_csv",
    "scan_rows",
    "write_rows",
]
