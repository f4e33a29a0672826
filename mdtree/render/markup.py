"""Markup: HTML and SVG in which text is escaped by construction.

What is no `Markup` is text.  Names come from files of strangers: what would end an element, steer a
terminal, turn the direction of reading or may not stand in XML at all is spelled out; and what is
longer than anybody reads is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

__all__ = ["Markup", "escaped", "joined", "tag"]

_LONGEST = 2000  # characters of one text
_ALONE = frozenset({"br", "link", "meta"})  # elements of HTML that have no end


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Make text harmless inside elements and attributes; markup stays as it is."""
    if isinstance(text, Markup):
        return text
    shortened = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return Markup(escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in shortened)))


def joined(parts: Iterable[str | None], between: str = "") -> Markup:
    """Put parts after each other; None is nothing."""
    return Markup(escaped(between).join(escaped(part) for part in parts if part is not None))


def tag(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """Write an element.

    >>> tag("p", "a < b", tag("br"), class_="note", aria_label="x")
    '<p class="note" aria-label="x">a &lt; b<br/></p>'
    """
    attribute_text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_written(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _ALONE:
        return Markup(f"<{name}{attribute_text}/>")
    return Markup(f"<{name}{attribute_text}>{joined(children)}</{name}>")


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return escaped(value)
    if not math.isfinite(value):
        raise ValueError(f"a picture has no place for {value}")
    return f"{round(value, 2) + 0.0:.10g}"
