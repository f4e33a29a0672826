"""The summary of a group: everything that the templates show, as text, numbers and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from mdtree.diagnosis import CheckResult, Gain, Verdict, found_checks
from mdtree.failure_modes import FAILURE_MODES
from mdtree.labelling import number_of
from mdtree.messages import plural
from mdtree.render.formatting import COARSE, plain, question, short, with_error
from mdtree.render.pictures import pictures
from mdtree.render.plot import PlotAxis, linear
from mdtree.render.strips import absent, marks, scales, strip_of
from mdtree.render.svg import Markup, element, percent
from mdtree.render.table import left_out, name_of
from mdtree.render.tree import tree_shape, walk_picture
from mdtree.render.verdict_words import (
    meaning,
    prediction_set,
    resources,
    scale_of_gains,
    support,
    target,
)
from mdtree.rows import PROTOCOLS, QUANTITIES, Measured, Missing, Row, remaining
from mdtree.trees import FEATURES, SavedTree

__all__ = ["card", "gain_bar", "probability_bar", "shared_parts", "summary"]

_MOST = 100  # checkpoints, and notes
_OF_SOME = ("conv_parameters",)  # facts that say nothing where they are 0
_HASH = 12  # characters that tell one hash from another


def shared_parts(saved: SavedTree, name: str) -> Markup:
    """Draw the shapes that all groups of a tree share; their pictures use them by name."""
    return element("g", tree_shape(saved.tree, name, question), *scales(saved, name))


def card(verdict: Verdict, row: Row | None) -> dict[str, Any]:
    """Return what the card of a group shows: what is wrong, how sure that is, what to do next."""
    return {
        "verdict": verdict,
        "facts": [] if row is None else _facts(row),
        "meaning": _meaning(verdict),
        "support": list(support(verdict)),
        "set": prediction_set(verdict),
        "target": target(verdict),
        "resources": resources(verdict),
        "probabilities": [
            (mode, value, probability_bar(value, verdict.confidence))
            for mode, value in sorted(verdict.probabilities.items(), key=lambda item: -item[1])
        ],
    }


def summary(
    verdict: Verdict, row: Row | None, saved: SavedTree | None, name: str
) -> dict[str, Any]:
    """Return all that the page shows for a group; without its row or its tree, it shows less.

    `name` is the name of the tree's shared parts.
    """
    features = [] if row is None or saved is None else list(marks(row, saved, verdict.clues))
    needs = [FEATURES[mark.feature].needs for mark in features]
    return {
        **card(verdict, row),
        "tree": None if saved is None or not verdict.asked_tree else _tree(verdict, saved, name),
        "strips": [strip_of(mark, name) for mark in features if mark.value is not None],
        "absent": absent(features),
        "others": _others(row, {names[0] for names in needs if len(names) == 1}),
        "pictures": pictures(row),
        "gains": _gains(verdict),
        "scale": scale_of_gains(verdict),
        "missing": _missing(verdict, row),
        "checks": _checks(verdict),
        "protocol": PROTOCOLS.get(verdict.basis.protocol),
        "provenance": None if row is None else _provenance(row),
    }


def _facts(row: Row) -> list[str]:
    numbers = {name: number_of(row, name) for name in row.facts}
    members = 0 if row.provenance is None else len(row.provenance.weights)
    return [plural(members, "network")] * bool(members) + [
        f"{name_of(plain(name))} {name_of(row.facts[name]) if number is None else short(number)}"
        for name, number in numbers.items()
        if number or name not in _OF_SOME
    ]


def _meaning(verdict: Verdict) -> str:
    if verdict.sure:
        return meaning(verdict)
    likely = FAILURE_MODES.get(verdict.likely)
    return f"most probable is {plain(verdict.likely)}{f': {likely}' if likely else ''}"


def _tree(verdict: Verdict, saved: SavedTree, name: str) -> Markup:
    return walk_picture(saved.tree, name, question, [step.went for step in verdict.clues])


def _others(row: Row | None, shown: set[str]) -> list[tuple[str, str, str]]:
    """Return the measurements that no strip shows: name, value, meaning."""
    others = []
    rough = () if row is None else remaining(row)
    for name, value in ({} if row is None else row.quantities).items():
        if isinstance(value, Measured) and name not in shown:
            meaning = QUANTITIES[name].meaning if name in QUANTITIES else ""
            stopped = " (stopped at its limit)" if value.converged is False else ""
            stopped = f" ({COARSE})" if name in rough else stopped
            others.append((name, with_error(name, value), f"{meaning}{stopped}"))
    return others


def _gains(verdict: Verdict) -> list[tuple[Any, str]]:
    """Draw all gains on one axis."""
    ends = [end for gain in verdict.gains for end in (gain.mean, gain.low, gain.high)]
    axis = linear("", [0.0, *(end for end in ends if end is not None)])
    return [(gain, gain_bar(gain, axis)) for gain in verdict.gains]


def _missing(verdict: Verdict, row: Row | None) -> list[tuple[str, str]]:
    """Return the missing quantities that the trees do not use: name, reason."""
    needed = {
        need
        for missing in verdict.missed
        for name in missing.features
        for need in FEATURES[name].needs
    }
    return [
        (name, value.missing)
        for name, value in ({} if row is None else row.quantities).items()
        if isinstance(value, Missing) and name not in needed
    ]


def _checks(verdict: Verdict) -> dict[str, Any]:
    """Sort the checks by what came of them; those that were not made, by the reason."""
    skipped: dict[str, list[CheckResult]] = {}
    for check in verdict.checks:
        if check.status == "not_checked":
            skipped.setdefault(check.message, []).append(check)
    return {
        "found": found_checks(verdict.checks),
        "passed": _named(check for check in verdict.checks if check.status == "passed"),
        "ignored": _named(check for check in verdict.checks if check.status == "ignored"),
        "skipped": [(_named(checks), reason) for reason, checks in skipped.items()],
    }


def _named(checks: Iterable[CheckResult]) -> str:
    return ", ".join(f"{check.code} {plain(check.name)}" for check in checks)


def _provenance(row: Row) -> dict[str, Any] | None:
    origin = row.provenance
    if origin is None:
        return None
    weights = islice(origin.weights.items(), _MOST)
    return {
        "checkpoints": [(name_of(name), digest[:_HASH]) for name, digest in weights],
        "more": left_out(_MOST, len(origin.weights), "checkpoints"),
        "copies": origin.counted_once[:_MOST],
        "recipe": origin.recipe[:_HASH],
        "data": None if origin.data is None else origin.data[:_HASH],
        "metrics": origin.metrics,
        "device": origin.device,
        "seconds": origin.seconds,
        "seed": origin.seed,
        "passes": origin.passes,
        "notes": origin.notes[:_MOST],
    }


def probability_bar(value: float, needed: float) -> Markup:
    """Draw a probability, and the confidence that a verdict needs."""
    threshold = element("use", href="#needed", x=percent(100 * needed))
    return _bar(_line(0.0, 100 * value, "thick"), threshold)


def gain_bar(gain: Gain, axis: PlotAxis) -> Markup:
    """Draw a gain, and the interval that held for four in five groups."""
    start, end = (axis.at(value) for value in sorted((0.0, gain.mean)))
    interval = []
    if gain.low is not None and gain.high is not None:
        ends = axis.at(gain.low), axis.at(gain.high)
        caps = (element("use", href="#cap", x=percent(x)) for x in ends)
        interval = [_line(*ends, "whisker"), *caps]
    return _bar(_line(start, end, "thick"), *interval)


def _bar(*parts: Markup) -> Markup:
    """Put parts together; the text beside them says what they show."""
    return element("svg", *parts, class_="bar", aria_hidden="true")


def _line(start: float, end: float, kind: str) -> Markup:
    x1 = percent(start) if start else None
    return element("line", x1=x1, x2=percent(end), y1="50%", y2="50%", class_=kind)
