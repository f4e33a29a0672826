"""PNG: what is drawn is the SVG with its text, or an error says what to install."""

from __future__ import annotations

import struct
import sys
import types
import xml.etree.ElementTree as ET
import zlib

import pytest

from mdtree.exceptions import MissingExtraError
from mdtree.render import png
from mdtree.render.picture_file import KINDS, picture_svg
from mdtree.render.svg import NAMESPACE
from tests.support.reports import HOSTILE, whole_row

DRAWN = [kind for kind in KINDS if kind != "history"]


def test_without_the_extra_the_error_says_how_to_get_it(mdtree, tmp_path, monkeypatch):
    from mdtree.rows import write_rows

    monkeypatch.setitem(sys.modules, "resvg_py", None)
    write_rows(tmp_path / "rows.jsonl", [whole_row()])
    out = tmp_path / "a.PNG"
    ran = mdtree("plot", tmp_path, "--what", "surface", "--out", out)
    assert ran.code == 3
    assert "pip install 'mdtree-diagnosis[png]'" in ran.err
    assert not out.exists()


def test_without_a_font_nothing_is_written_without_its_text(monkeypatch):
    blank = types.ModuleType("resvg_py")
    blank.svg_to_bytes = lambda **_: b"the same"
    monkeypatch.setitem(sys.modules, "resvg_py", blank)
    png._family.cache_clear()
    with pytest.raises(MissingExtraError, match="needs a font"):
        png.png_bytes("<svg/>")
    png._family.cache_clear()


def test_curves_are_written_in_pixels():
    """A square of 100 by 100 in a plot of 440 by 220."""
    svg = (
        f'<svg xmlns="{NAMESPACE}" width="500" height="300"><svg width="440" height="220">'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">'
        '<path d="M0 100L50 25.5L100 -10Z"/></svg></svg></svg>'
    )
    drawn = ET.fromstring(png._unstretched(svg))
    (line,) = drawn.iter(f"{{{NAMESPACE}}}path")
    assert line.get("d") == "M0 220L220 56.1L440 -22Z"
    assert "preserveAspectRatio" not in png._unstretched(svg)


@pytest.mark.parametrize("kind", DRAWN)
def test_each_picture_is_drawn(kind):
    pytest.importorskip("resvg_py", reason="needs pip install 'mdtree-diagnosis[png]'")
    svg = str(picture_svg(whole_row(), kind))
    image = png.png_bytes(svg)
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    root = ET.fromstring(svg)
    width, height = struct.unpack(">II", image[16:24])
    assert (width, height) == tuple(
        pytest.approx(2 * float(root.get(name)), abs=2) for name in ("width", "height")
    )


def test_text_is_drawn():
    pytest.importorskip("resvg_py", reason="needs pip install 'mdtree-diagnosis[png]'")
    words, blank = (
        f'<svg xmlns="{NAMESPACE}" width="60" height="20"><style>text {{ font-family: system-ui, '
        f'sans-serif; }}</style><text x="2" y="15">{text}</text></svg>'
        for text in ("loss", "")
    )
    assert pixels(png.png_bytes(words)) != pixels(png.png_bytes(blank))


@pytest.mark.parametrize("name", [name.encode("ascii", "replace").decode() for name in HOSTILE])
def test_hostile_names_are_drawn(name):
    pytest.importorskip("resvg_py", reason="needs pip install 'mdtree-diagnosis[png]'")
    assert png.png_bytes(str(picture_svg(whole_row(name), "cka"))).startswith(b"\x89PNG")


def pixels(image):
    """Unpack the data of an image."""
    data, place = b"", 8
    while place < len(image):
        (length,) = struct.unpack(">I", image[place : place + 4])
        if image[place + 4 : place + 8] == b"IDAT":
            data += image[place + 8 : place + 8 + length]
        place += 12 + length
    return zlib.decompress(data)
