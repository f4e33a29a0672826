"""Pictures of a tree: as text for the terminal, as SVG for a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from mdtree.failure_modes import remedies
from mdtree.render.svg import NAMESPACE, Markup, element, picture
from mdtree.trees.features import FEATURES
from mdtree.trees.node import KNOWN, Leaf, Node, Split, weight_of

__all__ = ["tree_picture", "tree_svg", "tree_text"]

_WIDTH, _HEIGHT, _GAP, _REACH = 216, 56, 16, 52  # pixels: box, box, between boxes, of an edge


def tree_text(node: Node) -> str:
    """Draw a tree with lines; `yes` leads to values at or below the threshold."""
    return "\n".join(_lines(node, "", ""))


def tree_svg(node: Node) -> Markup:
    """Draw a tree as a file of its own that follows light and dark."""
    style = resources.files("mdtree.render").joinpath("templates", "tree.css").read_text("utf-8")
    drawn = tree_picture(node, style=element("style", Markup(style)), xmlns=NAMESPACE)
    return Markup(f"{drawn}\n")


def tree_picture(
    node: Node,
    *,
    walked: Sequence[str] | None = None,
    say: Callable[[Node], str] | None = None,
    style: Markup | None = None,
    xmlns: str | None = None,
) -> Markup:
    """Draw a tree with its root to the left, in the style of templates/tree.css.

    `walked` are the branches of a walk from the root (low | high): it is lit, and all else stands
    back. `say` puts a question or an answer into words.
    """
    say = say or _node_text
    canvas = _Canvas(say=say)
    canvas.place(node, 0, walked)
    height = _GAP + canvas.leaves * (_HEIGHT + _GAP)
    layers = [(False, "off" if walked is not None else None), (True, "lit")]  # lit lies on top
    return picture(
        _description(node, walked, say),
        style,
        *(
            element("g", *drawn, class_=kind)
            for lit, kind in layers
            if (drawn := canvas.layer(lit))
        ),
        xmlns=xmlns,
        class_="tree",
        viewBox=f"0 0 {canvas.width:.0f} {height:.0f}",
        width=canvas.width,
        height=height,
    )


@dataclass
class _Canvas:
    """Places boxes: each leaf has a line, and each split is in the middle of its children."""

    say: Callable[[Node], str]
    width: float = 0.0
    leaves: int = 0
    # whether it is lit -> what is drawn
    edges: dict[bool, list[Markup]] = field(default_factory=lambda: defaultdict(list))
    boxes: dict[bool, list[Markup]] = field(default_factory=lambda: defaultdict(list))

    def layer(self, lit: bool) -> list[Markup]:  # noqa: FBT001 - the key of both dicts
        return self.edges[lit] + self.boxes[lit]

    def place(self, node: Node, depth: int, walk: Sequence[str] | None) -> float:
        """Draw a node with all that follows it, and return the top of its box.

        `walk` is the rest of the walk; None: it does not come here.
        """
        x = _GAP + depth * (_WIDTH + _REACH)
        self.width = max(self.width, x + _WIDTH + _GAP)
        if isinstance(node, Leaf):
            y = float(_GAP + self.leaves * (_HEIGHT + _GAP))
            self.leaves += 1
            counts = f"{node.counts.get(node.answer, 0):,g} of {weight_of(node):,g} groups"
            self._box(x, y, (self.say(node), counts), walk, kind="leaf")
            return y
        sides = []
        for side, word, name in ((node.low, "yes", "low"), (node.high, "no", "high")):
            rest = walk[1:] if walk and walk[0] == name else None
            sides.append((self.place(side, depth + 1, rest), word, rest))
        y = (sides[0][0] + sides[1][0]) / 2
        self._box(x, y, (self.say(node), f"{weight_of(node):,.0f} groups"), walk)
        for top, word, rest in sides:
            self._edge(x + _WIDTH, y + _HEIGHT / 2, top + _HEIGHT / 2, word, rest)
        return y

    def _box(
        self,
        x: float,
        y: float,
        texts: tuple[str, str],
        walk: Sequence[str] | None,
        kind: str | None = None,
    ) -> None:
        middle = x + _WIDTH / 2
        self.boxes[walk is not None] += [
            element("rect", class_=kind, x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=8),
            element("text", texts[0], x=middle, y=y + 24),
            element("text", texts[1], class_="s", x=middle, y=y + 43),
        ]

    def _edge(
        self, x: float, start: float, end: float, word: str, walk: Sequence[str] | None
    ) -> None:
        half, right = x + _REACH / 2, x + _REACH
        self.edges[walk is not None] += [
            element(
                "path", d=f"M{x:g} {start:g}C{half:g} {start:g} {half:g} {end:g} {right:g} {end:g}"
            ),
            element("text", word, class_="s", x=right - 14, y=end + (-7 if end < start else 15)),
        ]


def _description(node: Node, walked: Sequence[str] | None, say: Callable[[Node], str]) -> str:
    """Describe the picture to people who do not see it."""
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
    """Write what following the answer would have gained the groups of a leaf on average."""
    candidates = remedies(leaf.answer)
    best = max(
        (r for r in candidates if r in leaf.gains), key=lambda r: leaf.gains[r], default=None
    )
    return "" if best is None else f"  {best}: +{leaf.gains[best]:.1f} points"
