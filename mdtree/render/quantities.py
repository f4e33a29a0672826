"""Quantities: all that was measured, as marks among the training groups where the tree uses it."""

from __future__ import annotations

from mdtree.diagnosis import Verdict
from mdtree.render.formatting import plain, with_error
from mdtree.render.markup import Markup, joined, tag
from mdtree.render.section import section
from mdtree.render.strips import Mark, key, marks, strips
from mdtree.rows import QUANTITIES, Measured, Row
from mdtree.trees import FEATURES, SavedTree

__all__ = ["quantities"]


def quantities(verdict: Verdict, row: Row | None, saved: SavedTree | None) -> Markup | None:
    """Draw the features of the tree, and list what else was measured."""
    if row is None:
        return None
    feature_marks = [] if saved is None else list(marks(row, saved, verdict.clues))
    rest = _rest(feature_marks, row)
    if not feature_marks and not rest:
        return None
    return section(
        "Measurements",
        _legend() if feature_marks else None,
        strips(feature_marks) if feature_marks else None,
        rest,
    )


def _legend() -> Markup:
    return joined(
        [
            "Each number among the training groups of the tree, from the least to the largest. ",
            tag("span", key("half"), " the middle half"),
            tag("span", key("most"), " 90 %"),
            tag("span", key("mark"), " this group with its error bar"),
            tag("span", key("cut"), " what the tree asks"),
        ]
    )


def _rest(feature_marks: list[Mark], row: Row) -> Markup | None:
    """List what was measured and no strip shows."""
    needs = [FEATURES[mark.feature].needs for mark in feature_marks]
    shown = {names[0] for names in needs if len(names) == 1}
    others = [
        tag(
            "tr",
            tag("th", plain(name), scope="row"),
            tag("td", with_error(name, value), class_="value"),
            tag("td", tag("small", _remark(name, value))),
        )
        for name, value in row.quantities.items()
        if isinstance(value, Measured) and name not in shown
    ]
    if not others:
        return None
    table = tag("table", tag("tbody", *others))
    if not feature_marks:
        return table
    return tag(
        "details", tag("summary", f"{len(others)} more that the tree does not ask for"), table
    )


def _remark(name: str, value: Measured) -> str:
    meaning = QUANTITIES[name].meaning if name in QUANTITIES else ""
    return f"{meaning} (stopped at its limit)" if value.converged is False else meaning
