"""One group: its verdict, then all that the verdict rests on."""

from __future__ import annotations

from mdtree.diagnosis import Verdict
from mdtree.labelling import number_of
from mdtree.render.bars import gain_bars
from mdtree.render.formatting import plain, sentence, short
from mdtree.render.markup import Markup, tag
from mdtree.render.missing import absent
from mdtree.render.pictures import pictures
from mdtree.render.provenance import origin
from mdtree.render.quantities import quantities
from mdtree.render.section import section
from mdtree.render.style import kind
from mdtree.render.table import name_of
from mdtree.render.verdict_card import card, flag
from mdtree.render.walk import walk
from mdtree.rows import Row
from mdtree.trees import SavedTree

__all__ = ["article"]


def article(verdict: Verdict, row: Row | None, saved: SavedTree | None, *, name: str) -> Markup:
    """Write all about one group; `name` is that of its element."""
    return tag(
        "article",
        tag("h2", verdict.group, id=f"{name}-title"),
        _facts(row),
        flag(verdict.outlier),
        card(verdict),
        walk(verdict, saved),
        quantities(verdict, row, saved),
        pictures(row),
        _gains(verdict),
        _warnings(verdict),
        absent(verdict, row),
        section("What this rests on", None, origin(verdict.basis, row)),
        id=name,
        class_=kind(verdict.mode),
        aria_labelledby=f"{name}-title",
    )


def _facts(row: Row | None) -> Markup | None:
    if row is None or not row.facts:
        return None
    numbers = {name: number_of(row, name) for name in row.facts}
    texts = (
        f"{name_of(plain(name))} {name_of(row.facts[name]) if number is None else short(number)}"
        for name, number in numbers.items()
    )
    return tag("p", " · ".join(texts), class_="facts")


def _gains(verdict: Verdict) -> Markup | None:
    if not verdict.gains:
        return None
    return section(
        "What one change alone gained",
        "Points of test accuracy, in the training groups that ended in the same leaf: their mean, "
        "and the interval that holds four of five of them.",
        gain_bars(verdict.gains),
    )


def _warnings(verdict: Verdict) -> Markup | None:
    if not verdict.basis.warnings:
        return None
    items = (tag("li", sentence(warning)) for warning in verdict.basis.warnings)
    return section("Warnings", None, tag("ul", *items, class_="plain note"))
