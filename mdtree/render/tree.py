"""Pictures of a tree: as text for the terminal, as SVG for a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mdtree.failure_modes import remedies
from mdtree.render.markup import Markup, joined, tag
from mdtree.trees.features import FEATURES
from mdtree.trees.node import KNOWN, Leaf, Node, Split, weight_of

__all__ = ["tree_svg", "tree_text"]

_WIDTH, _HEIGHT, _GAP, _REACH = 216, 56, 16, 52  # pixels: box, box, between boxes, of an edge

# An SVG inside a page shares its style with the page: so everything here is said of `.tree` alone.
_STYLE = (
    ".tree text{font:13px system-ui,sans-serif;fill:#1f2328;text-anchor:middle}"
    ".tree .s{font-size:11px;fill:#59636e}.tree rect{fill:#f6f8fa;stroke:#59636e}"
    ".tree .leaf{fill:#ddf4ff;stroke:#0969da}.tree path{stroke:#59636e;fill:none}"
    ".tree .off{opacity:.7}.tree .lit rect,.tree .lit path{stroke:var(--lit,#bf3989);"
    "stroke-width:3}"
    "@media screen and (prefers-color-scheme:dark){.tree text{fill:#e6edf3}.tree .s{fill:#9198a1}"
    ".tree rect{fill:#151b23;stroke:#9198a1}.tree .leaf{fill:#0c2d4a;stroke:#4493f8}"
    ".tree path{stroke:#9198a1}.tree .lit rect,.tree .lit path{stroke:var(--lit,#f778ba)}}"
)


def tree_text(node: Node) -> str:
    """Draw a tree with lines; `yes` is the way of values at or below the threshold."""
    return "\n".join(_lines(node, "", ""))


def tree_svg(
    node: Node, *, walked: Sequence[str] | None = None, say: Callable[[Node], str] | None = None
) -> Markup:
    """Draw a tree as a self-contained picture that follows light and dark, its root to the left.

    `walked` are the ways of a walk from the root (low | high): it is lit, and all else stands back.
    `say` puts a question or an answer into words.
    """
    boxes, edges = _layout(node, walked, say or _node_text)
    parts: list[_Edge | _Box] = [*edges, *boxes]
    parts.sort(key=lambda part: part.lit is True)  # what is lit lies on top
    width = max(box.x for box in boxes) + _WIDTH + _GAP
    height = max(box.y for box in boxes) + _HEIGHT + _GAP
    picture = tag(
        "svg",
        joined([tag("style", Markup(_STYLE)), *(part.drawn() for part in parts)], Markup("\n")),
        xmlns="http://www.w3.org/2000/svg",
        class_="tree",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
        role="img",
        aria_label=_description(node, walked, say or _node_text),
    )
    return Markup(picture + "\n")


@dataclass(frozen=True, kw_only=True)
class _Box:
    x: float  # left
    y: float  # top
    lines: tuple[str, str]
    leaf: bool
    lit: bool | None  # None: there is no walk

    def drawn(self) -> Markup:
        middle = self.x + _WIDTH / 2
        kind = "leaf" if self.leaf else None
        return tag(
            "g",
            tag("rect", class_=kind, x=self.x, y=self.y, width=_WIDTH, height=_HEIGHT, rx=8),
            tag("text", self.lines[0], x=middle, y=self.y + 24),
            tag("text", self.lines[1], class_="s", x=middle, y=self.y + 43),
            class_=_light(lit=self.lit),
        )


@dataclass(frozen=True, kw_only=True)
class _Edge:
    start: tuple[float, float]
    end: tuple[float, float]
    word: str
    lit: bool | None

    def drawn(self) -> Markup:
        (x0, y0), (x1, y1) = self.start, self.end
        half = (x0 + x1) / 2
        return tag(
            "g",
            tag("path", d=f"M{x0:g} {y0:g}C{half:g} {y0:g} {half:g} {y1:g} {x1:g} {y1:g}"),
            tag("text", self.word, class_="s", x=x1 - 14, y=y1 + (-7 if y1 < y0 else 15)),
            class_=_light(lit=self.lit),
        )


def _light(*, lit: bool | None) -> str | None:
    return None if lit is None else "lit" if lit else "off"


def _layout(
    node: Node, walked: Sequence[str] | None, say: Callable[[Node], str]
) -> tuple[list[_Box], list[_Edge]]:
    """Give each leaf a line, and each split the middle of its children."""
    boxes: list[_Box] = []
    edges: list[_Edge] = []
    ends = 0

    def place(part: Node, depth: int, *, lit: bool | None) -> float:
        nonlocal ends
        x = _GAP + depth * (_WIDTH + _REACH)
        if isinstance(part, Leaf):
            y = float(_GAP + ends * (_HEIGHT + _GAP))
            ends += 1
            counts = f"{part.counts.get(part.answer, 0):,g} of {weight_of(part):,g} groups"
            boxes.append(_Box(x=x, y=y, lines=(say(part), counts), leaf=True, lit=lit))
            return y
        branch = walked[depth] if walked and lit and depth < len(walked) else None
        sides = [
            (place(side, depth + 1, lit=None if lit is None else branch == name), word, name)
            for side, word, name in ((part.low, "yes", "low"), (part.high, "no", "high"))
        ]
        y = (sides[0][0] + sides[1][0]) / 2
        groups = f"{weight_of(part):,.0f} groups"
        boxes.append(_Box(x=x, y=y, lines=(say(part), groups), leaf=False, lit=lit))
        edges.extend(
            _Edge(
                start=(x + _WIDTH, y + _HEIGHT / 2),
                end=(x + _WIDTH + _REACH, child + _HEIGHT / 2),
                word=word,
                lit=None if lit is None else branch == name,
            )
            for child, word, name in sides
        )
        return y

    place(node, 0, lit=None if walked is None else True)
    return boxes, edges


def _description(node: Node, walked: Sequence[str] | None, say: Callable[[Node], str]) -> str:
    """Say the picture to those who do not see it."""
    parts = []
    for branch in walked or ():
        if isinstance(node, Leaf):
            break
        parts.append(f"{say(node)}: {'yes' if branch == 'low' else 'no'}")
        node = node.low if branch == "low" else node.high
    if isinstance(node, Leaf) and walked is not None:
        parts.append(say(node))
    return "; ".join(["decision tree", *parts])


def _lines(node: Node, first: str, rest: str) -> list[str]:
    if isinstance(node, Leaf):
        return [f"{first}{node.answer}  ({_counted(node.counts)}){_gains(node)}"]
    return [
        f"{first}{_question(node)}",
        *_lines(node.low, f"{rest}├─ yes: ", f"{rest}│       "),
        *_lines(node.high, f"{rest}└─ no:  ", f"{rest}        "),
    ]


def _node_text(node: Node) -> str:
    return node.answer if isinstance(node, Leaf) else _question(node)


def _question(split: Split) -> str:
    if split.threshold == KNOWN:
        return f"{split.feature} is known"
    unit = FEATURES[split.feature].unit if split.feature in FEATURES else ""
    return f"{split.feature} <= {split.threshold:.4g}{' ' + unit if unit else ''}"


def _counted(counts: Mapping[str, float]) -> str:
    texts = [f"{count:g} {name}" for name, count in counts.items() if count]
    return ", ".join(texts) or "no groups"


def _gains(leaf: Leaf) -> str:
    """Say what following the answer would have gained the groups of a leaf on average."""
    candidates = remedies(leaf.answer)
    best = max(
        (r for r in candidates if r in leaf.gains), key=lambda r: leaf.gains[r], default=None
    )
    return "" if best is None else f"  {best}: +{leaf.gains[best]:.1f} points"
