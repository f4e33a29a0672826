"""Transcripts in Markdown: found, run in the order of the page, and compared with what is printed.

A page is a session in one folder.  A block with a title (```yaml title="runs/mdtree.yaml") is a
file of that name.  A block of the language `console` is run: each line that starts with `$ ` is a
command, and the lines below it are its output.  A line `...` stands for any lines, `...` at the end
of a line for its rest.  A comment above a block, <!-- tolerance 0.3 -->, says how far its numbers
may lie apart.  Other blocks are only shown.  A comment <!-- needs timm --> names
packages without which the page cannot run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Block", "Command", "blocks", "commands", "difference", "packages"]

TOLERANCE = 0.02  # relative, and of 100 where a number is a percentage

_FENCE = re.compile(
    r"(?:<!-- tolerance (?P<tolerance>[\d.]+) -->\n+)?"
    r"^```(?P<language>\w+)?(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_NEEDS = re.compile(r"^<!-- needs ([\w, .-]+) -->$", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])(?:(?= ?%)( ?%))?")
_RULE = re.compile(r"-{3,}")  # of a table: as long as its numbers are wide


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str | None
    text: str
    tolerance: float
    line: int  # of the page, from 1


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of a transcript, and what it printed when the page was written."""

    line: str
    output: tuple[str, ...]


def blocks(page: str) -> Iterator[Block]:
    """Find the fenced blocks of a page."""
    for match in _FENCE.finditer(page):
        yield Block(
            language=match["language"] or "",
            title=match["title"],
            text=match["text"],
            tolerance=float(match["tolerance"] or TOLERANCE),
            line=page.count("\n", 0, match.start("text")) + 1,
        )


def packages(page: str) -> list[str]:
    """Return the packages without which a page cannot run.

    >>> packages("<!-- needs transformers, accelerate -->\\n# A page")
    ['transformers', 'accelerate']
    """
    return [name.strip() for match in _NEEDS.finditer(page) for name in match[1].split(",")]


def commands(block: Block) -> Iterator[Command]:
    """Take a transcript apart."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, output = re.sub(r"\\\n\s*", "", part).partition("\n")
        lines = [text.rstrip() for text in output.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        yield Command(line=line, output=tuple(lines))


def difference(wanted: tuple[str, ...], got: str, *, tolerance: float) -> str | None:
    """Say where an output is not what the page shows; None where it is."""
    lines = [line.rstrip() for line in got.strip("\n").splitlines()]
    parts = _parts(wanted)
    first, *rest = parts
    if not rest and len(first) != len(lines):
        return f"{len(lines)} lines are printed, the page shows {len(first)}"
    place = _find(first, lines, range(1), tolerance)
    if place is None:
        return f"the page begins with {first[0]!r}" if first else None
    place = len(first)
    for part in rest[:-1]:
        found = _find(part, lines, range(place, len(lines)), tolerance)
        if found is None:
            return f"not printed, or not in this order: {part}"
        place = found + len(part)
    if rest and rest[-1]:
        start = len(lines) - len(rest[-1])
        if start < place or _find(rest[-1], lines, range(start, start + 1), tolerance) is None:
            return f"the page ends with {rest[-1]}"
    return None


def _parts(wanted: tuple[str, ...]) -> list[list[str]]:
    """Divide lines at those that stand for any."""
    parts: list[list[str]] = [[]]
    for line in wanted:
        if line.strip() == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _find(part: list[str], lines: list[str], starts: range, tolerance: float) -> int | None:
    for start in starts:
        there = lines[start : start + len(part)]
        if len(there) == len(part) and all(
            _alike(*pair, tolerance=tolerance) for pair in zip(part, there, strict=True)
        ):
            return start
    return None


def _alike(wanted: str, got: str, *, tolerance: float) -> bool:
    """Compare the words of two lines exactly, and their numbers as far as the tolerance goes."""
    begins = wanted.endswith(" ...")
    wanted = wanted.removesuffix("...")
    texts = [" ".join(_RULE.sub("---", _NUMBER.sub("#", line)).split()) for line in (wanted, got)]
    if not (texts[1].startswith(texts[0]) if begins else texts[0] == texts[1]):
        return False
    pairs = zip(_NUMBER.finditer(wanted), _NUMBER.finditer(got), strict=False)
    return all(_near(a, b, tolerance=tolerance) for a, b in pairs)


def _near(wanted: re.Match[str], got: re.Match[str], *, tolerance: float) -> bool:
    first, second = (
        float(match[0].removesuffix(match[1] or "").replace(",", "")) for match in (wanted, got)
    )
    if wanted[1]:
        return abs(first - second) <= 100 * tolerance
    if re.fullmatch(r"[-+]?[\d,]+", wanted[0]):
        return first == second  # a count
    digits = len(wanted[0].partition(".")[2].partition("e")[0])
    unit = 10.0**-digits if "e" not in wanted[0] else 0.0
    return abs(first - second) <= tolerance * max(abs(first), abs(second)) + unit
