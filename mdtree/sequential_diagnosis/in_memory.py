"""Sequential diagnosis of networks in memory, without files of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdtree.diagnosis import Diagnoser
from mdtree.measurement import ModelsInMemory, check_accuracy
from mdtree.rows import Row
from mdtree.sequential_diagnosis.stages import FIRST, LATER, Diagnosed, Needs

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
    seconds = {row.group: dict.fromkeys(LATER, 0.0)}  # which are not known
    while True:
        diagnoser = choose_diagnoser([row])
        needs = Needs(diagnoser=diagnoser, full=full, full_precision=full_precision)
        stage = needs.next([row], seconds)
        if stage is None:
            return Diagnosed(diagnoser=diagnoser, rows=[row])
        precision = needs.precision(stage.metric)
        enough = None if precision is None else precision(row)
        row = models.extended(row, (stage.metric,), enough=enough)
