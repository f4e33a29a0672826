"""What was not measured, why, and what it could change."""

from __future__ import annotations

from mdtree.diagnosis import MissingMeasurement, Verdict
from mdtree.render.formatting import feature_name, plain, sentence, share
from mdtree.render.markup import Markup, tag
from mdtree.render.section import section
from mdtree.rows import Missing, Row
from mdtree.trees import FEATURES

__all__ = ["absent"]


def absent(verdict: Verdict, row: Row | None) -> Markup | None:
    """List what the trees asked for in vain, then what else is missing."""
    needed = {
        need
        for missing in verdict.missed
        for name in missing.features
        for need in FEATURES[name].needs
    }
    others = [
        tag("li", tag("b", plain(name)), f": {sentence(value.missing)}")
        for name, value in ({} if row is None else row.quantities).items()
        if isinstance(value, Missing) and name not in needed
    ]
    listed = [*map(_line, verdict.missed), *others]
    return section("Not measured", None, tag("ul", *listed, class_="plain")) if listed else None


def _line(missing: MissingMeasurement) -> Markup:
    names = ", ".join(map(feature_name, missing.features))
    flips = (
        f" To know {names} would change the most probable answer with a probability of "
        f"{share(missing.flips)}."
    )
    return tag(
        "li", tag("b", plain(missing.metric)), f": {sentence(missing.reason)}", tag("small", flips)
    )
