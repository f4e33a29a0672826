"""Sequential diagnosis of networks in memory, without files of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdtree.diagnosis import Diagnoser, VerdictPrecision, next_metric, open_metric, prospects
from mdtree.measurement import ModelsInMemory, check_accuracy
from mdtree.rows import Row
from mdtree.sequential_diagnosis.stages import BY_BLOCKS, FIRST, LATER, Diagnosed

__all__ = ["diagnose_in_memory"]


def diagnose_in_memory(
    models: ModelsInMemory,
    choose_diagnoser: Callable[[Sequence[Row]], Diagnoser],
    *,
    expected: float | None = None,
    full: bool = False,
    full_precision: bool = False,
) -> Diagnosed:
    """Measure networks in memory as far as their verdict needs it.

    Args:
        models: The networks and their data.
        choose_diagnoser: Chooses the tree by what is known.
        expected: The test accuracy in percent, if it is known.
        full: Measure everything that the tree asks for.
        full_precision: Measure to the tolerances, whatever the verdict needs.

    Raises:
        AccuracyError: The measured accuracy is not the expected one.

    """
    row = models.row((FIRST,))
    if row.failure is not None:
        return Diagnosed(diagnoser=choose_diagnoser([row]), rows=[row])
    check = check_accuracy(row, None, expected)
    if check is not None:
        check.raise_if_different()
    left = list(LATER)
    while True:
        diagnoser = choose_diagnoser([row])
        costs = dict.fromkeys(left, 0.0)
        if full:
            chosen = next(iter(prospects(diagnoser, row, costs)), None)
        else:
            chosen = next_metric(diagnoser, row, costs)
        if chosen is not None:
            metric = chosen.metrics[0]
            left.remove(metric)
            asks = metric in BY_BLOCKS and not full_precision
            enough = VerdictPrecision(diagnoser=diagnoser)(row) if asks else None
            row = models.extended(row, (metric,), enough=enough)
            continue
        coarse = open_metric(diagnoser, row)
        if coarse is None:
            return Diagnosed(diagnoser=diagnoser, rows=[row])
        enough = VerdictPrecision(diagnoser=diagnoser)(row)
        row = models.extended(row, (coarse.metric,), enough=enough)
