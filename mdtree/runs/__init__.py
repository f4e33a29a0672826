"""Runs: what trainers write beside the weights, read as it is: settings, and the history of losses.

Nothing is executed, and nothing here fails a group: a file that cannot be read becomes a note.
"""

from mdtree.runs.history import History, HistoryPoint
from mdtree.runs.record import RunRecord, read_record, read_records
from mdtree.runs.second_half import late_facts, late_told

__all__ = [
    "History",
    "HistoryPoint",
    "RunRecord",
    "late_facts",
    "late_told",
    "read_record",
    "read_records",
]
