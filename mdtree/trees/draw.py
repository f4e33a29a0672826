"""Pictures of a tree: as text for the terminal, as SVG for a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from mdtree.failures import remedies
from mdtree.trees.feature import FEATURES
from mdtree.trees.node import KNOWN, Leaf, Node, Split, weight_of

__all__ = ["tree_svg", "tree_text"]

_WIDTH, _HEIGHT, _GAP, _RISE = 216, 58, 16, 100  # pixels: box, box, between boxes, between rows

_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328;text-anchor:middle}"
    ".s{font-size:11px;fill:#59636e}rect{fill:#f6f8fa;stroke:#59636e}"
    ".leaf{fill:#ddf4ff;stroke:#0969da}path{stroke:#59636e;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}"
    "rect{fill:#151b23;stroke:#9198a1}.leaf{fill:#0c2d4a;stroke:#4493f8}path{stroke:#9198a1}}"
)


def tree_text(node: Node) -> str:
    """Draw a tree with lines; `yes` is the way of values at or below the threshold."""
    return "\n".join(_lines(node, "", ""))


def tree_svg(node: Node) -> str:
    """Draw a tree as a self-contained picture that follows light and dark."""
    boxes, edges = _layout(node)
    width = max(box.x for box in boxes) + _WIDTH / 2 + _GAP
    height = max(box.y for box in boxes) + _HEIGHT + _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'role="img" aria-label="decision tree">'
    )
    drawn = [edge.drawn() for edge in edges] + [box.drawn() for box in boxes]
    return "\n".join([head, f"<style>{_STYLE}</style>", *drawn, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Box:
    x: float  # centre
    y: float  # top
    lines: tuple[str, str]
    leaf: bool

    def drawn(self) -> str:
        kind = ' class="leaf"' if self.leaf else ""
        left = self.x - _WIDTH / 2
        return (
            f'<rect{kind} x="{left:.1f}" y="{self.y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
            f'<text x="{self.x:.1f}" y="{self.y + 24}">{_safe(self.lines[0])}</text>'
            f'<text class="s" x="{self.x:.1f}" y="{self.y + 44}">{_safe(self.lines[1])}</text>'
        )


@dataclass(frozen=True)
class _Edge:
    start: tuple[float, float]
    end: tuple[float, float]
    word: str

    def drawn(self) -> str:
        (x0, y0), (x1, y1) = self.start, self.end
        return (
            f'<path d="M{x0:.1f} {y0} L{x1:.1f} {y1}"/>'
            f'<text class="s" x="{(x0 + x1) / 2:.1f}" y="{(y0 + y1) / 2}">{self.word}</text>'
        )


def _layout(node: Node) -> tuple[list[_Box], list[_Edge]]:
    """Give each leaf a column, and each split the middle of its children."""
    boxes: list[_Box] = []
    edges: list[_Edge] = []
    columns = 0

    def place(part: Node, depth: int) -> float:
        nonlocal columns
        y = _GAP + depth * _RISE
        if isinstance(part, Leaf):
            x = _GAP + _WIDTH / 2 + columns * (_WIDTH + _GAP)
            columns += 1
            held = f"{part.counts.get(part.answer, 0):,g} of {weight_of(part):,g} groups"
            boxes.append(_Box(x, y, (part.answer, held), leaf=True))
            return x
        low, high = place(part.low, depth + 1), place(part.high, depth + 1)
        x = (low + high) / 2
        groups = f"{weight_of(part):,.0f} groups"
        boxes.append(_Box(x, y, (_question(part), groups), leaf=False))
        edges.extend(
            _Edge((x, y + _HEIGHT), (child, y + _RISE), word)
            for child, word in ((low, "yes"), (high, "no"))
        )
        return x

    place(node, 0)
    return boxes, edges


def _safe(text: str) -> str:
    """Escape what means something in XML, and spell out what may not stand in it at all."""
    return escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


def _lines(node: Node, first: str, rest: str) -> list[str]:
    if isinstance(node, Leaf):
        return [f"{first}{node.answer}  ({_counted(node.counts)}){_gains(node)}"]
    return [
        f"{first}{_question(node)}",
        *_lines(node.low, f"{rest}├─ yes: ", f"{rest}│       "),
        *_lines(node.high, f"{rest}└─ no:  ", f"{rest}        "),
    ]


def _question(split: Split) -> str:
    if split.threshold == KNOWN:
        return f"{split.feature} is known"
    unit = FEATURES[split.feature].unit if split.feature in FEATURES else ""
    return f"{split.feature} <= {split.threshold:.4g}{' ' + unit if unit else ''}"


def _counted(counts: Mapping[str, float]) -> str:
    held = [f"{count:g} {name}" for name, count in counts.items() if count]
    return ", ".join(held) or "no groups"


def _gains(leaf: Leaf) -> str:
    """Say what following the answer would have gained the groups of a leaf on average."""
    wanted = remedies(leaf.answer)
    best = max((r for r in wanted if r in leaf.gains), key=lambda r: leaf.gains[r], default=None)
    return "" if best is None else f"  {best}: +{leaf.gains[best]:.1f} points"
