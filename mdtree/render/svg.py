"""SVG: the only way in which pictures are written, with all text escaped by construction.

Everything that is not `Markup` is text. Names come from untrusted files: characters that would end
an element, control a terminal, reverse the reading direction or are not allowed in XML are spelled
out, and very long text is cut. The templates of the page follow the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mdtree.messages import shortened

__all__ = ["NAMESPACE", "Figure", "Markup", "element", "escaped", "path", "percent", "picture"]

NAMESPACE = "http://www.w3.org/2000/svg"  # of a picture that is a file of its own
_LONGEST = 2000  # characters of one text


class Markup(str):
    """Text that is already markup."""

    __slots__ = ()

    def __html__(self) -> Markup:
        """Return the markup itself: the templates do not escape it again."""
        return self


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture and the text below it."""

    drawing: Markup
    size: tuple[float, float] | None = None  # pixels; None: it fills what it is put into
    names: Sequence[str] = ()  # of what is drawn, in order
    note: str | None = None
    lead: str | None = None  # what this picture shows; None: what all of its kind show


def escaped(text: str) -> Markup:
    """Make text harmless inside elements and attributes; markup stays as it is."""
    if isinstance(text, Markup):
        return text
    text = shortened(text, _LONGEST)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return Markup(escape(text))


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """Write an element, leaving out children and attributes that are None.

    >>> element("text", "a < b", x=1 / 3, class_="note", aria_label="x"), element("rect")
    ('<text x="0.33" class="note" aria-label="x">a &lt; b</text>', '<rect/>')
    """
    content = [escaped(child) for child in children if child is not None]
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_written(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = f">{''.join(content)}</{name}>" if content else "/>"
    return Markup(f"<{name}{written}{end}")


def picture(description: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """Write a picture; screen readers read its description."""
    return element("svg", *children, **attributes, role="img", aria_label=description)


def percent(value: float) -> str:
    """Write a place as a share of the picture.

    >>> percent(100 / 3), percent(-0.0)
    ('33.33%', '0%')
    """
    return f"{_written(value)}%"


def path(points: Iterable[tuple[float, float]]) -> Markup:
    """Write straight lines from point to point.

    >>> path([(0, 0.5), (100, 1 / 3)])
    'M0 0.5L100 0.33'
    """
    return Markup("M" + "L".join(f"{_written(x)} {_written(y)}" for x, y in points))


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return escaped(value)
    if not math.isfinite(value):
        raise ValueError(f"a picture has no place for {value}")
    return f"{round(value, 2) + 0.0:.10g}"
