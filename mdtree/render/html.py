"""HTML from templates: they escape everything that is not markup, and share one style."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from mdtree.messages import plural, shortened
from mdtree.render import formatting
from mdtree.render.style import COLOURS, DARK_COLOURS, DARK_SHADES, SHADES, kind
from mdtree.render.svg import Markup, element, escaped
from mdtree.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["breakable", "environment", "framed", "rendered"]

_FILTERS = (
    "chance",
    "change",
    "feature_name",
    "percent",
    "plain",
    "points",
    "sentence",
    "short",
    "typeset",
)
_ENDS = re.compile(r"(?<=[_\-./\\:,=+@|])(?=\w)")  # of the parts of a name
_LONGEST_NAME = 2000  # characters
_LONG_WORD = re.compile(r"(\S{20})(?=\S)")  # of which the rest goes to the next line
# that every page needs, beside its own content
_STYLE = {
    "colours": COLOURS,
    "dark_colours": DARK_COLOURS,
    "shades": SHADES,
    "dark_shades": DARK_SHADES,
    "version": __version__,
}


def rendered(template: str, **content: Any) -> Markup:
    """Fill a template in."""
    return Markup(environment().get_template(template).render(**_STYLE, **content))


def breakable(text: str) -> Markup:
    """Write a name so that a narrow column breaks it between its parts, and not inside a word.

    >>> breakable("linear_barrier < 2")
    'linear_<wbr/>barrier &lt; 2'
    """
    parts = _ENDS.split(shortened(text, _LONGEST_NAME))
    pieces = [piece for part in parts for piece in _LONG_WORD.split(part) if piece]
    return Markup("<wbr/>".join(escaped(piece) for piece in pieces))


def framed(page: str, *, height: int) -> Markup:
    """Put a whole page into a frame, where its styles and nothing else of it have an effect."""
    return element(
        "iframe",
        "",
        srcdoc=Markup(page.replace("&", "&amp;").replace('"', "&quot;")),
        sandbox="",
        title="Diagnosis by mdtree",
        style=f"width:100%;height:{height}px;border:0",
    )


@functools.cache
def environment() -> Environment:
    """Read the templates; Jinja is imported only where a page is written."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("mdtree.render"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {name: getattr(formatting, name) for name in _FILTERS}
    made.filters |= {"breakable": breakable, "kind": kind, "plural": plural}
    return made


def _written(value: Any) -> Any:
    """Escape what a template writes, unless it is already markup."""
    return value if hasattr(value, "__html__") else escaped(str(value))
