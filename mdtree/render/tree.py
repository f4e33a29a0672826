"""Pictures of a tree: as text for the terminal, as SVG for a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from mdtree.failure_modes import remedies
from mdtree.render.svg import NAMESPACE, Markup, element, picture
from mdtree.trees.features import FEATURES
from mdtree.trees.node import KNOWN, Leaf, Node, Split, weight_of

__all__ = ["tree_shape", "tree_svg", "tree_text", "walk_picture"]

_WIDTH, _HEIGHT, _GAP, _REACH = 216, 56, 16, 52  # pixels: box, box, between boxes, of an edge


def tree_text(node: Node) -> str:
    """Draw a tree with lines; `yes` leads to values at or below the threshold."""
    return "\n".join(_lines(node, "", ""))


def tree_svg(node: Node) -> Markup:
    """Draw a tree as a standalone file for light and dark screens, with its root on the left."""
    style = resources.files("mdtree.render").joinpath("templates", "tree.css").read_text("utf-8")
    canvas = _Canvas(say=_node_text)
    canvas.place(node, 0, None)
    parts = [element("style", Markup(style)), *canvas.edges, *canvas.boxes]
    return Markup(f"{canvas.picture('decision tree', *parts, xmlns=NAMESPACE)}\n")


def tree_shape(node: Node, name: str, say: Callable[[Node], str]) -> Markup:
    """Draw a tree once, for all pictures of walks through it; `say` words its nodes."""
    canvas = _Canvas(say=say)
    canvas.place(node, 0, None)
    return element("g", *canvas.edges, *canvas.boxes, id=name, class_="tree shape")


def walk_picture(
    node: Node, shape: str, say: Callable[[Node], str], walked: Sequence[str]
) -> Markup:
    """Draw a walk from the root (low | high) in front of the faded shape of the tree."""
    canvas = _Canvas(say=say, whole=False)
    canvas.place(node, 0, walked)
    return canvas.picture(
        _description(node, walked, say),
        element("use", href=f"#{shape}", class_="off"),
        element("g", *canvas.edges, *canvas.boxes, class_="lit"),
    )


@dataclass
class _Canvas:
    """A canvas that places boxes: each leaf on its own line, each split between its children."""

    say: Callable[[Node], str]
    whole: bool = True  # or the walk alone
    width: float = 0.0
    leaves: int = 0
    edges: list[Markup] = field(default_factory=list)
    boxes: list[Markup] = field(default_factory=list)

    def picture(self, description: str, *parts: Markup, xmlns: str | None = None) -> Markup:
        """Put parts on the canvas."""
        height = _GAP + self.leaves * (_HEIGHT + _GAP)
        return picture(
            description,
            *parts,
            xmlns=xmlns,
            class_="tree",
            viewBox=f"0 0 {self.width:.0f} {height:.0f}",
            width=self.width,
            height=height,
        )

    def place(self, node: Node, depth: int, walk: Sequence[str] | None) -> float:
        """Draw a node with all that follows it, and return the top of its box.

        `walk` is the rest of the walk; None: it does not pass here.
        """
        x = _GAP + depth * (_WIDTH + _REACH)
        self.width = max(self.width, x + _WIDTH + _GAP)
        is_drawn = self.whole or walk is not None
        if isinstance(node, Leaf):
            y = float(_GAP + self.leaves * (_HEIGHT + _GAP))
            self.leaves += 1
            counts = f"{node.counts.get(node.answer, 0):,g} of {weight_of(node):,g} groups"
            self.boxes += _box(x, y, self.say(node), counts, kind="leaf") if is_drawn else ()
            return y
        sides = []
        for side, word, name in ((node.low, "yes", "low"), (node.high, "no", "high")):
            rest = walk[1:] if walk and walk[0] == name else None
            sides.append((self.place(side, depth + 1, rest), word, rest))
        y = (sides[0][0] + sides[1][0]) / 2
        groups = f"{weight_of(node):,.0f} groups"
        self.boxes += _box(x, y, self.say(node), groups) if is_drawn else ()
        for top, word, rest in sides:
            if self.whole or rest is not None:
                self.edges += _edge(x + _WIDTH, y + _HEIGHT / 2, top + _HEIGHT / 2, word)
        return y


def _box(x: float, y: float, first: str, second: str, kind: str | None = None) -> Iterator[Markup]:
    middle = x + _WIDTH / 2
    yield element("rect", class_=kind, x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=8)
    yield element("text", first, x=middle, y=y + 24)
    yield element("text", second, class_="s", x=middle, y=y + 43)


def _edge(x: float, start: float, end: float, word: str) -> Iterator[Markup]:
    half, right = x + _REACH / 2, x + _REACH
    way = f"M{x:g} {start:g}C{half:g} {start:g} {half:g} {end:g} {right:g} {end:g}"
    yield element("path", d=way)
    yield element("text", word, class_="s", x=right - 14, y=end + (-7 if end < start else 15))


def _description(node: Node, walked: Sequence[str], say: Callable[[Node], str]) -> str:
    """Describe a walk to people who do not see it."""
    parts = []
    for branch in walked:
        if isinstance(node, Leaf):
            break
        parts.append(f"{say(node)}: {'yes' if branch == 'low' else 'no'}")
        node = node.low if branch == "low" else node.high
    answer = [say(node)] if isinstance(node, Leaf) else []
    return "; ".join(["decision tree", *parts, *answer])


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
    """Write the mean gain of following the answer in the groups of a leaf."""
    candidates = remedies(leaf.answer)
    best = max(
        (r for r in candidates if r in leaf.gains), key=lambda r: leaf.gains[r], default=None
    )
    return "" if best is None else f"  {best}: +{leaf.gains[best]:.1f} points"
