"""For tests of the report: a zoo with a tree, rows with details, and a reader of what was drawn."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise, product

import pytest

from mdtree.diagnosis import Diagnoser
from mdtree.render.page import report_page
from mdtree.render.svg import Markup
from mdtree.rows import Detail, Measured, Provenance, Row
from mdtree.trees.fit import fit_tree

HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "<!-- --> <![CDATA[ ]]> &amp; &#x3c;",
    "\x00\x1b[2J\x07\r\n\t",
    "\ud800\ufffe\u202eleft",
    "\N{COMBINING ACUTE ACCENT} üñ\N{EVERGREEN TREE}",
    "x" * 200,
]


def grid():
    """Give a zoo of 36 groups in which small networks and few data are at fault."""
    return [*_grid()]


@functools.cache
def _grid():
    rows = []
    for width, batch, data in product((1, 2, 4, 8), (8, 64, 512), (100, 400, 1600)):
        size = 30 / width + 3000 / data
        row = {
            "train_error": (8 / width, 0.3),
            "train_loss": (0.01 + 1 / width**2, 0.002),
            "test_error": (min(size + abs(batch - 64) / 100, 90), 0.4),
            "hessian_top": (width * 512 / batch, 0.5),
            "hessian_trace": (5.0 * width * 512 / batch, 2.0),
            "connectivity": (-4 / width, 0.2),
            "connectivity_peak": (-9 / width, 0.4),
            "cka": (1 - size / 80, 0.01),
        }
        facts = {"width": width, "batch_size": batch, "data_amount": data}
        rows.append(group(f"{width}-{batch}-{data}", row, facts=facts))
    return rows


def group(name, numbers, **parts):
    """Give a row from numbers with their standard errors."""
    quantities = {n: Measured(value=value, stderr=stderr) for n, (value, stderr) in numbers.items()}
    parts = {"facts": {}, "protocol": "standard-1", **parts}
    return Row(format=1, group=name, quantities=quantities, **parts)


@functools.cache
def tree(method="posterior"):
    return fit_tree(grid(), task="failure", method=method)


@functools.cache
def diagnoser(method="posterior"):
    return Diagnoser(tree(method), name="ours")


def judged(row, method="posterior", **changes):
    """Judge a row; `changes` are made to its verdict."""
    return replace(diagnoser(method)(row), **changes)


def article(verdict, row=None, saved=None):
    """Read the part of a page that is about this group."""
    rows, trees = ([] if row is None else [row]), {verdict.basis.tree: saved} if saved else {}
    return parsed(report_page([verdict], rows, trees)).one("article")


def section(title, verdict, row=None, saved=None):
    """Read a section of a group by its title; None: there is none."""
    sections = article(verdict, row, saved).find("section")
    return next((part for part in sections if [h.text for h in part.find("h3")] == [title]), None)


def detail(*names, lines):
    """Make a table from its lines."""
    return Detail(columns=dict(zip(names, zip(*lines, strict=True), strict=True)))


def whole_row(name="wide", members=("seed-0", "seed-1", "seed-2")):
    """Give a row with all details that mdtree writes, and its provenance."""
    pairs = [(f"{a} - {b}", a, b) for a, b in pairwise(members)]
    way = [(0.0, 1.0, 0.1), (0.5, 9.0, 0.6), (1.0, 1.0, 0.1)]
    nodes = [(-0.1, 0.2), (0.0, 0.7), (8.0, 0.1)]
    layers = [f"{name}.{number}" for number in range(4)]
    return replace(
        grid()[4],
        group=name,
        details={
            "curve": detail(
                "pair",
                "t",
                "train_error",
                "train_loss",
                lines=[(p, *x) for p, *_ in pairs for x in way],
            ),
            "line": detail(
                "pair",
                "t",
                "train_error",
                "train_loss",
                lines=[(p, *x) for p, *_ in pairs for x in way],
            ),
            "hessian_density": detail(
                "member", "eigenvalue", "weight", lines=[(m, *x) for m in members for x in nodes]
            ),
            "pairs": detail("a", "b", "cka", lines=[(a, b, 0.25) for _, a, b in pairs]),
            "surface": detail(
                "x",
                "y",
                "train_loss",
                "train_error",
                lines=[
                    (x, y, 0.1 + x**2 + y**2, 5.0 * (x + y)) for x, y in product(range(4), repeat=2)
                ],
            ),
            "surface_members": detail(
                "member",
                "x",
                "y",
                "train_loss",
                "train_error",
                lines=[(m, n % 2, n // 2, 0.1 + n, 0.0) for n, m in enumerate(members[:3])],
            ),
            "layers": detail(
                "row", "column", "cka", lines=[(a, b, 0.5) for a, b in product(layers, layers)]
            ),
            "spectrum": detail(
                "member",
                "layer",
                "kind",
                "state",
                "alpha",
                lines=[(m, layer, "dense", "2 to 6", 3.0) for m in members for layer in layers],
            ),
        },
        provenance=Provenance(
            weights=dict.fromkeys(members, "a1" * 32),
            recipe="b2" * 32,
            metrics=("error_rate",),
            seed=0,
            device="cpu",
            seconds=1.5,
            versions={"torch": "2.13.0"},
            notes=(f"read from {name}",),
        ),
    )


@dataclass
class Element:
    """One element of a page."""

    tag: str
    attributes: dict[str, str]
    children: list = field(default_factory=list)

    @property
    def text(self) -> str:
        """What is read, with single spaces."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join(" ".join(parts).split())

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def find(self, tag=None, **wanted):
        """List the elements inside, in order: find("g", class_="lit")."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in wanted.items()}
        elements = []
        for child in self.children:
            if isinstance(child, Element):
                fits = tag in (None, child.tag)
                if fits and all(child.attributes.get(k) == v for k, v in wanted.items()):
                    elements.append(child)
                elements += child.find(tag, **{k.replace("-", "_"): v for k, v in wanted.items()})
        return elements

    def one(self, tag=None, **wanted):
        (element,) = self.find(tag, **wanted)
        return element

    @property
    def kinds(self):
        return [element["class"] for element in self.find() if "class" in element.attributes]


class _Reader(HTMLParser):
    """Builds elements, and refuses what browsers would mend in silence."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"twice the same attribute: {attrs}"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        if (tag, attrs) == ("wbr", []):  # a place where a name may be broken, which nobody reads
            return
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert tag == self.open.pop().tag

    def handle_data(self, data):
        children = self.open[-1].children
        if children and isinstance(children[-1], str):
            children[-1] += data
        else:
            children.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    unknown_decl = handle_pi = handle_comment


def parsed(markup) -> Element:
    """Read a page, or a part of one; what is not marked up is refused."""
    assert isinstance(markup, Markup) or markup.startswith("<!DOCTYPE html>\n<html")
    markup.encode()
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    assert len(reader.open) == 1, "an element has no end"
    return reader.open[0]


def shown_markdown(text) -> Element:
    """Render Markdown as a code host does, and read the result."""
    markdown_it = pytest.importorskip("markdown_it")
    host = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return parsed(Markup(host.render(text).replace("<!-- -->", "")))


def numbers_in(text):
    """List the numbers of a picture's attribute."""
    assert not re.search(r"nan|inf", text, re.IGNORECASE)
    return [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text)]


def points_of(path):
    """Give the points of a path of straight lines."""
    values = numbers_in(path["d"])
    return list(zip(values[::2], values[1::2], strict=True))
