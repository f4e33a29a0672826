"""Facts in the names of folders: bs_{batch_size}/w{width}."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator

from mdtree.exceptions import RecipeError
from mdtree.measurements import FACTS, Fact, check_facts

__all__ = ["Pattern", "facts_in"]

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"  # 1e-3 is one number also in lr1e-3-sgd


def facts_in(folder: str, pattern: str) -> dict[str, Fact]:
    """Read the facts that the name of a group's folder holds."""
    names, texts = _split(pattern)
    regex = re.escape(texts[0])
    for name, text in zip(names, texts[1:], strict=True):
        regex += f"(?P<{name}>{_NUMBER if name in FACTS else '[^/]+?'}){re.escape(text)}"
    found = re.fullmatch(regex, folder)
    if found is None:
        raise RecipeError(
            f"folder {folder!r} does not fit the pattern {pattern!r}; "
            "mend the pattern, or list the groups"
        )
    facts = {name: _number_or_text(text) for name, text in found.groupdict().items()}
    faults = check_facts(facts)
    if faults:
        raise RecipeError(f"folder {folder!r}, read by {pattern!r}: {'; '.join(faults)}")
    return facts


def _split(pattern: str) -> tuple[list[str], list[str]]:
    """Split bs_{batch_size}/w{width} into its names and the texts around them."""
    parts = re.split(r"\{(\w+)\}", pattern)
    return parts[1::2], parts[::2]


def _checked(pattern: str) -> str:
    names, _ = _split(pattern)
    if not names or len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ValueError(
            f"names each fact once, as in bs_{{batch_size}}/w{{width}}, got {pattern!r}"
        )
    faults = check_facts(dict.fromkeys(names, 0))
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
        return number if math.isfinite(number) else text  # a folder may be called `inf`
    return text
