"""What the functions of the Python interface return: lists that show themselves in a notebook.

Only this file imports pandas (the extra `pandas`), to make a data frame of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, overload

from mdtree.diagnosis import (
    Compared,
    Comparison,
    Verdict,
    headline_of_all,
    headline_of_comparisons,
    trajectories,
)
from mdtree.exceptions import MissingExtraError
from mdtree.rows import Fact, Row
from mdtree.rows.columns import Kind, table_columns

if TYPE_CHECKING:
    from mdtree.confirmation import Change, Confirmation
    from mdtree.diagnosis import Diagnoser
    from mdtree.trees import SavedTree

__all__ = ["Comparisons", "Confirmations", "Rows", "Verdicts"]

_CARDS = 20  # verdicts that a notebook shows in full: a card has pictures
_HEIGHT = 640  # pixels of a page in a notebook
_NULLABLE = {int: "Int64", bool: "boolean"}  # pandas' types that can be missing
ItemT = TypeVar("ItemT")


class _Results(list[ItemT]):
    """A list whose parts are of its own kind."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> ItemT: ...
    @overload
    def __getitem__(self, index: slice) -> list[ItemT]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> ItemT | list[ItemT]:
        if not isinstance(index, slice):
            return super().__getitem__(index)
        part = type(self)(super().__getitem__(index))
        vars(part).update(vars(self))
        return part


class Rows(_Results[Row]):
    """Rows of measurements; a notebook shows them as a table."""

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`, one line for each group.

        The columns are `group`, `protocol`, the facts, the quantities in the units of the
        reference, each with its standard error as `<name>_stderr`, and `failure`. What was not
        measured is NaN.

        Raises:
            MissingExtraError: pandas is not installed.
            RowsError: There are too many columns, or two of the same name.
        """
        return _frame(self)

    def _repr_html_(self) -> str:
        from mdtree.render.rows_table import rows_html

        return rows_html(self)


def _frame(rows: Sequence[Row]) -> Any:
    """Return rows as a `pandas.DataFrame`, with the columns of the CSV table."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError(
            "a data frame needs the package pandas: pip install 'mdtree-diagnosis[pandas]'"
        ) from error
    layout = table_columns(rows)
    layout.check_distinct("the data frame")
    lines = [layout.cells(row) for row in rows]
    return pd.DataFrame(
        {
            name: _column(pd, kind, [line[number] for line in lines])
            for number, (name, kind) in enumerate(layout.columns)
        }
    )


def _column(pd: Any, kind: Kind, cells: list[Fact | None]) -> Any:
    if kind is float:
        return pd.Series([math.nan if cell is None else float(cell) for cell in cells], dtype=float)
    if kind is str:
        return pd.Series([None if cell is None else str(cell) for cell in cells], dtype=object)
    return pd.Series(cells, dtype=_NULLABLE[kind] if None in cells else kind)


class Comparisons(_Results[Comparison]):
    """Comparisons of groups before and after a change; a notebook shows them as text."""

    failures: dict[str, str]  # group -> why it could not be compared
    unchanged: tuple[str, ...]  # groups whose rows are the same before and after

    def __init__(self, compared: Compared | Iterable[Comparison] = ()) -> None:
        whole = compared if isinstance(compared, Compared) else Compared(comparisons=(*compared,))
        super().__init__(whole.comparisons)
        self.failures = dict(whole.failures)
        self.unchanged = whole.unchanged

    @property
    def headline(self) -> str:
        """All comparisons in one sentence of everyday words: whether the changes helped."""
        return headline_of_comparisons(self)

    def to_html(self) -> str:
        """Return these comparisons as one page, as `mdtree compare --html` writes it."""
        from mdtree.render.comparison import comparison_page

        return comparison_page(
            Compared(comparisons=(*self,), failures=self.failures, unchanged=self.unchanged)
        )

    def to_markdown(self) -> str:
        """Return these comparisons as Markdown, as `mdtree compare --markdown` prints it."""
        from mdtree.render.comparison import comparisons_markdown

        return comparisons_markdown(self, most=len(self), failures=self.failures)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


class Confirmations(Comparisons):
    """Comparisons of groups with the change that was trained; a notebook shows them as text."""

    found: Confirmation  # all of it: changes, files, and the command that teaches a tree
    skipped: dict[str, str]  # group -> why its verdict advises no change
    left: dict[str, str]  # group -> what the budget left

    def __init__(self, found: Confirmation | Iterable[Comparison]) -> None:
        if isinstance(found, Iterable):  # a part of such a list, which gets the rest from it
            super().__init__(found)
            return
        super().__init__(found.compared)
        self.found = found
        self.failures = dict(found.failures)
        self.skipped, self.left = dict(found.skipped), dict(found.left)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The change of each comparison: remedy, fact, values, folder, networks, label."""
        return tuple(each.change for each in self.found.confirmed)


class Verdicts(_Results[Verdict]):
    """Verdicts; a notebook shows them as the page of `mdtree diagnose --html`."""

    def __init__(
        self,
        verdicts: Iterable[Verdict] = (),
        *,
        rows: Iterable[Row] = (),
        trees: Mapping[str, SavedTree] | None = None,
    ) -> None:
        super().__init__(verdicts)
        self._rows = tuple(rows)
        self._trees = dict(trees or {})

    @classmethod
    def of(cls, diagnoser: Diagnoser, rows: Iterable[Row]) -> Verdicts:
        """Diagnose rows."""
        rows = tuple(rows)
        return cls(diagnoser.verdicts(rows), rows=rows, trees={diagnoser.name: diagnoser.saved})

    @property
    def headline(self) -> str:
        """All verdicts in one sentence of everyday words, with which terminal and page begin.

        Of the steps of a run, the one to keep counts.
        """
        return headline_of_all(self, trajectories(self._own_rows()))

    def to_html(self) -> str:
        """Return the page of these verdicts, as `mdtree diagnose --html` writes it.

        It is one text: evidence that would make the page of many groups larger than 2 MB is left
        out, where the command writes it into a folder beside the page.
        """
        return self._page()

    def to_markdown(self) -> str:
        """Return these verdicts as Markdown, as `mdtree diagnose --markdown` prints it."""
        from mdtree.render.markdown import verdicts_markdown

        return verdicts_markdown(self, most=len(self))

    def _own_rows(self) -> list[Row]:
        groups = {(verdict.group, verdict.basis.protocol) for verdict in self}
        return [row for row in self._rows if row.key in groups]

    def _page(self, **limits: int) -> str:
        from mdtree.render.page import report_page

        return report_page(self, self._own_rows(), self._trees, **limits)

    def _repr_html_(self) -> str:
        from mdtree.render.html import framed

        return framed(self._page(most=_CARDS), height=_HEIGHT)


def _page_of(verdict: Verdict) -> str:
    return Verdicts([verdict])._repr_html_()


Verdict.page = _page_of  # a verdict alone, without the pictures that its row and its tree give
