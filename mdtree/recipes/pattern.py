"""Facts in folder names: bs_{batch_size}/w{width}."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from mdtree.exceptions import RecipeError
from mdtree.rows import FACTS, TEXT_FACTS, Fact, check_facts

__all__ = ["Pattern", "facts_in"]

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")  # also 1e-3 in lr1e-3-sgd
_MOST = 100  # facts in a pattern


def facts_in(folder: str, pattern: str) -> dict[str, Fact]:
    """Read the facts in the name of a group's folder.

    Raises:
        RecipeError: The name does not match the pattern, or a fact is invalid.
    """
    names, texts = _split(pattern)
    values = _values(folder, names, texts)
    if values is None:
        raise RecipeError(
            f"folder {folder!r} does not match the pattern {pattern!r}: "
            "correct the pattern, or list the groups"
        )
    facts = {
        name: text if name in TEXT_FACTS else _number_or_text(text)
        for name, text in zip(names, values, strict=True)
    }
    faults = check_facts(facts)
    if faults:
        raise RecipeError(f"folder {folder!r}, read by {pattern!r}: {'; '.join(faults)}")
    return facts


def _values(folder: str, names: list[str], texts: list[str]) -> tuple[str, ...] | None:
    """Match words as short as possible and numbers as long as possible, each position once.

    A regular expression could backtrack through all ways to split a long folder name.
    """
    failed = set()

    def rest(number: int, start: int) -> tuple[str, ...] | None:
        if number == len(names):
            return () if start == len(folder) else None
        if (number, start) not in failed:
            text = texts[number + 1]
            for end in _ends(folder, start, names[number]):
                if folder.startswith(text, end):
                    remaining = rest(number + 1, end + len(text))
                    if remaining is not None:
                        return (folder[start:end], *remaining)
        failed.add((number, start))
        return None

    return rest(0, len(texts[0])) if folder.startswith(texts[0]) else None


def _ends(folder: str, start: int, name: str) -> Iterable[int]:
    """List where the value of a name may end, in the order of trial."""
    if name not in FACTS:
        slash = folder.find("/", start)
        return range(start + 1, (len(folder) if slash < 0 else slash) + 1)
    longest = _NUMBER.match(folder, start)
    ends = range(longest.end(), start, -1) if longest else ()
    return (end for end in ends if _NUMBER.fullmatch(folder, start, end))


def _split(pattern: str) -> tuple[list[str], list[str]]:
    """Split bs_{batch_size}/w{width} into its names and the text around them."""
    parts = re.split(r"\{(\w+)\}", pattern)
    return parts[1::2], parts[::2]


def _checked(pattern: str) -> str:
    names, _ = _split(pattern)
    if not names or len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ValueError(
            f"must name each fact once, as in bs_{{batch_size}}/w{{width}}, got {pattern!r}"
        )
    if len(names) > _MOST:
        raise ValueError(f"must name at most {_MOST} facts, got {len(names)}")
    faults = check_facts({name: "a" if name in TEXT_FACTS else 0 for name in names})
    if faults:
        raise ValueError("; ".join(faults))
    return pattern


Pattern = Annotated[str, AfterValidator(_checked)]


def _number_or_text(text: str) -> Fact:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text  # a folder may be named `inf`
    return text
