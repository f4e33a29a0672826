"""Headlines of comparisons: whether a change helped, in one sentence of everyday words.

The terminal, the page, Markdown and JSON take it from here, so that they cannot differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mdtree.diagnosis.comparison import Comparison
from mdtree.diagnosis.differences import LEVEL
from mdtree.diagnosis.promise import RealGain
from mdtree.messages import percent, plural

__all__ = ["comparison_headline", "comparison_outcome", "headline_of_comparisons"]

_HELPED, _WORSE, _UNCLEAR, _UNKNOWN = "helped", "worse", "unclear", "unknown"
_IN_VAIN = "in vain"
_MORE = {1: "two more seeds", 2: "a third seed"}  # where there are so few

# outcome -> how the sentence begins
_BEGINS = {
    _HELPED: "It helped",
    _WORSE: "It made things worse",
    _IN_VAIN: "It did not help",
    _UNCLEAR: "It cannot be told from chance whether it helped",
    _UNKNOWN: "It is not known whether it helped",
}
# outcome -> what is said of so many changes
_COUNTED = {
    _HELPED: "helped",
    _WORSE: "made things worse",
    _IN_VAIN: "did not help, as training broke down again",
    _UNCLEAR: "cannot be told from chance",
    _UNKNOWN: "without an answer, because right answers were not counted on both sides",
}


def comparison_headline(compared: Comparison) -> str:
    """Return a comparison in one sentence: whether the change helped, by how much, how sure.

    Where few seeds leave that open, a second sentence says how many to measure.
    """
    outcome = comparison_outcome(compared)
    said = _of_diverged(compared) or _gained(compared.real)
    more = more_seeds(compared)
    return f"{_BEGINS[outcome]}: {said}." + ("" if more is None else f" {more}.")


def more_seeds(compared: Comparison) -> str | None:
    """Return how many seeds to measure where too few of them leave the answer open, or None."""
    if comparison_outcome(compared) != _UNCLEAR:
        return None
    sides: dict[int, list[str]] = {}
    for side, seeds in zip(("before", "after"), compared.seeds, strict=True):
        if seeds in _MORE:
            sides.setdefault(seeds, []).append(side)
    if not sides:
        return None
    named = [f"{_MORE[seeds]} {' and '.join(where)}" for seeds, where in sorted(sides.items())]
    return f"To tell, measure {', and '.join(named)} the change"


def headline_of_comparisons(found: Sequence[Comparison]) -> str:
    """Return several comparisons in one sentence: how many changes helped, and how many did not."""
    if len(found) == 1:
        return comparison_headline(found[0])
    if not found:
        return "Nothing was compared."
    counts = Counter(comparison_outcome(each) for each in found)
    kinds = ", ".join(f"{counts[kind]} {words}" for kind, words in _COUNTED.items() if counts[kind])
    return f"Of {plural(len(found), 'change')}: {kinds}."


def comparison_outcome(compared: Comparison) -> str:
    """Return whether the change helped: helped, worse, in vain, unclear (chance) or unknown."""
    before, after = (side in compared.diverged for side in ("before", "after"))
    if before or after:
        if before and after:
            return _IN_VAIN
        return _WORSE if after else _HELPED
    real = compared.real
    if real.points is None:
        return _UNKNOWN
    if not real.is_clear:
        return _UNCLEAR
    return _HELPED if real.points > 0 else _WORSE


def _of_diverged(compared: Comparison) -> str | None:
    """Write what became of training that broke down, if it did."""
    if not compared.diverged:
        return None
    if len(compared.diverged) > 1:
        return "training broke down before the change and after it"
    (side,) = compared.diverged
    if side == "after":
        return "training broke down after the change"
    return "training broke down before the change, and did not after it"


def _gained(real: RealGain) -> str:
    if real.points is None:
        return f"right answers were not counted on both sides ({real.reason})"
    answers = f"{_signed(real.points)} in every 100" if real.points else "as many right answers"
    if real.low is None or real.high is None or real.p is None:
        return f"{answers}, but how much of that is noise is not known ({real.reason})"
    sure = f"with {percent(1 - LEVEL)} confidence"
    if real.is_clear is None:
        noise = "more than" if real.p < LEVEL else "within"
        return (
            f"{answers}, which is {noise} the noise of the test examples, but how much another "
            "random start would differ was not measured"
        )
    if not real.is_clear:
        return (
            f"{answers}, and anything from {_signed(real.low, short=True)} to "
            f"{_signed(real.high, short=True)} is possible ({sure})"
        )
    low, high = sorted((abs(real.low), abs(real.high)))
    return f"{answers} (between {_amount(low)} and {_amount(high)}, {sure})"


def _signed(points: float, *, short: bool = False) -> str:
    """Write a number of right answers as so many more, or fewer."""
    kind = "more" if points >= 0 else "fewer"
    return f"{_amount(points)} {kind}{'' if short else ' right answers'}"


def _amount(points: float) -> str:
    """Write points with one digit after the point; less than one with two digits."""
    amount = abs(points)
    return f"{amount:.1f}" if amount >= 1 else f"{amount:.2g}"
