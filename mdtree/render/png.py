"""Pictures as PNG.  The only file that imports resvg_py (the extra `png`)."""

from __future__ import annotations

import functools
import itertools
import re
import xml.etree.ElementTree as ET
from typing import Any

from mdtree.exceptions import MissingExtraError
from mdtree.render.svg import NAMESPACE

__all__ = ["png_bytes"]

_ZOOM = 2  # pixels of the image for each of the picture
_FAMILIES = (
    *("Arial", "Helvetica", "Segoe UI", "Roboto", "Liberation Sans", "DejaVu Sans", "Noto Sans"),
    *("FreeSans", "Open Sans", "Ubuntu", "Cantarell", "Verdana", "Inter"),
)
_PROBE = (
    f'<svg xmlns="{NAMESPACE}" width="16" height="16">'
    '<text x="1" y="14" font-size="14" font-family="sans-serif">M</text></svg>'
)
_EMPTY = f'<svg xmlns="{NAMESPACE}" width="16" height="16"></svg>'
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_SVG = f"{{{NAMESPACE}}}svg"


def png_bytes(svg: str) -> bytes:
    """Draw a picture of `picture_svg` as it looks on light paper, twice as large.

    Raises:
        MissingExtraError: The package resvg-py is not installed, or there is no font.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MissingExtraError(
            "PNG needs the package resvg-py: pip install 'mdtree-diagnosis[png]'; or name a file "
            "that ends in .svg, which browsers and word processors open"
        ) from error
    family = _family(resvg_py)
    if family is None:
        raise MissingExtraError(
            "PNG needs a font, and none without serifs was found: install one, such as Debian's "
            "package fonts-dejavu-core; or name a file that ends in .svg"
        )
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=_unstretched(svg), zoom=_ZOOM, sans_serif_family=family, background="white"
        )
    )


@functools.cache
def _family(resvg: Any) -> str | None:
    """Return a family of fonts that draws something: without one, text would be left out."""
    empty = bytes(resvg.svg_to_bytes(svg_string=_EMPTY))
    for family in _FAMILIES:
        if bytes(resvg.svg_to_bytes(svg_string=_PROBE, sans_serif_family=family)) != empty:
            return family
    return None


def _unstretched(svg: str) -> str:
    """Write curves in pixels: resvg would stretch their strokes with them.

    Our plots stretch squares of 100 by 100 to their size, with `vector-effect`, which it lacks.
    """
    ET.register_namespace("", NAMESPACE)
    root = ET.fromstring(svg)  # noqa: S314 - written by us, without a document type
    _walk(root, (100.0, 100.0))
    return ET.tostring(root, encoding="unicode")


def _walk(element: ET.Element, size: tuple[float, float]) -> None:
    """Stretch the squares inside, by the size of the picture around them."""
    if element.tag == _SVG:
        width, height = (_pixels(element.get(name)) for name in ("width", "height"))
        size = size if width is None or height is None else (width, height)
        if element.get("preserveAspectRatio") == "none":
            del element.attrib["preserveAspectRatio"], element.attrib["viewBox"]
            for line in element.iter(f"{{{NAMESPACE}}}path"):
                line.set("d", _scaled(line.get("d", ""), (size[0] / 100, size[1] / 100)))
            return
    for inner in element:
        _walk(inner, size)


def _scaled(way: str, factors: tuple[float, float]) -> str:
    """Multiply the x and the y of each point of a path of straight lines."""
    factor = itertools.cycle(factors)
    return _NUMBER.sub(lambda number: f"{float(number[0]) * next(factor):g}", way)


def _pixels(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None
