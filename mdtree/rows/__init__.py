"""Rows of measurements, the interface between measuring and diagnosing, and their vocabulary."""

from typing import TYPE_CHECKING

from mdtree.late import late

if TYPE_CHECKING:
    from mdtree.rows.chance import chance_of_classes, with_chance
    from mdtree.rows.facts import FACTS, TARGET, TEXT_FACTS, Fact, check_facts, target_fault
    from mdtree.rows.file_kinds import is_table
    from mdtree.rows.loading import (
        ROWS_NAME,
        WEIGHTS,
        find_rows,
        home_of,
        is_address,
        is_joint,
        is_rows,
        joined_names,
        joint_rows,
        load_rows,
        measured_file,
        name_with_zoo,
        named_apart,
        of_protocol,
        one_protocol,
        open_measured,
        rows_file,
    )
    from mdtree.rows.parquet import write_parquet
    from mdtree.rows.protocols import DEFAULT_PROTOCOL, PROTOCOLS, check_protocol, check_seed
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
        MAYBE_ONE_RUN,
        MISSING_DETAIL,
        STEP_DETAIL,
        Copy,
        Detail,
        Diverged,
        GroupFailure,
        Measured,
        Missing,
        Provenance,
        Row,
        RowKey,
        Stopped,
        Value,
        mean_over_members,
    )
    from mdtree.rows.running import (
        Enough,
        Precision,
        Running,
        coarse_metrics,
        remaining,
    )
    from mdtree.rows.tables import (
        Imported,
        csv_lines,
        rows_from_csv,
        write_csv,
        write_lines,
    )
    from mdtree.rows.writing import Store, write_rows
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "chance": "chance_of_classes with_chance",
            "facts": "FACTS TARGET TEXT_FACTS Fact check_facts target_fault",
            "file_kinds": "is_table",
            "loading": (
                "ROWS_NAME WEIGHTS find_rows home_of is_address is_joint is_rows joined_names "
                "joint_rows load_rows measured_file name_with_zoo named_apart of_protocol "
                "one_protocol open_measured rows_file"
            ),
            "parquet": "write_parquet",
            "protocols": "DEFAULT_PROTOCOL PROTOCOLS check_protocol check_seed",
            "quantities": "QUANTITIES",
            "quantity": "Quantity",
            "reading": "Damaged Index StoredRows open_rows read_rows scan_rows",
            "row": (
                "FORMAT HISTORY_DETAIL MAYBE_ONE_RUN MISSING_DETAIL STEP_DETAIL Copy Detail "
                "Diverged GroupFailure Measured Missing Provenance Row RowKey Stopped Value "
                "mean_over_members"
            ),
            "running": "Enough Precision Running coarse_metrics remaining",
            "tables": "Imported csv_lines rows_from_csv write_csv write_lines",
            "writing": "Store write_rows",
        },
    )

__all__ = [
    "DEFAULT_PROTOCOL",
    "FACTS",
    "FORMAT",
    "HISTORY_DETAIL",
    "MAYBE_ONE_RUN",
    "MISSING_DETAIL",
    "PROTOCOLS",
    "QUANTITIES",
    "ROWS_NAME",
    "STEP_DETAIL",
    "TARGET",
    "TEXT_FACTS",
    "WEIGHTS",
    "Copy",
    "Damaged",
    "Detail",
    "Diverged",
    "Enough",
    "Fact",
    "GroupFailure",
    "Imported",
    "Index",
    "Measured",
    "Missing",
    "Precision",
    "Provenance",
    "Quantity",
    "Row",
    "RowKey",
    "Running",
    "Stopped",
    "Store",
    "StoredRows",
    "Value",
    "chance_of_classes",
    "check_facts",
    "check_protocol",
    "check_seed",
    "coarse_metrics",
    "csv_lines",
    "find_rows",
    "home_of",
    "is_address",
    "is_joint",
    "is_rows",
    "is_table",
    "joined_names",
    "joint_rows",
    "load_rows",
    "mean_over_members",
    "measured_file",
    "name_with_zoo",
    "named_apart",
    "of_protocol",
    "one_protocol",
    "open_measured",
    "open_rows",
    "read_rows",
    "remaining",
    "rows_file",
    "rows_from_csv",
    "scan_rows",
    "target_fault",
    "with_chance",
    "write_csv",
    "write_lines",
    "write_parquet",
    "write_rows",
]
