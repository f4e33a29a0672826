"""The card: the verdict of one group, how sure it is, and the next step."""

from __future__ import annotations

from collections.abc import Iterator

from mdtree.diagnosis import OutOfDistribution, Verdict
from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.bars import probability_bars
from mdtree.render.formatting import feature_name, plain, sentence, share
from mdtree.render.markup import Markup, tag

__all__ = ["card", "flag"]


def flag(outlier: OutOfDistribution | None) -> Markup | None:
    """Say where a tree has seen nothing like the group."""
    if outlier is None or not outlier.outside:
        return None
    beyond = ", ".join(map(feature_name, outlier.beyond))
    return tag(
        "p",
        tag("strong", "Out of distribution. "),
        "This group is unlike those that the tree was fitted on: its distance to them is "
        f"{outlier.distance:.2f}, and 95 % of them stay below {outlier.limit:.2f}. "
        f"{f'Outside the range of all of them: {beyond}. ' if beyond else ''}"
        "Take the verdict for a hint.",
        class_="flag",
        role="note",
    )


def card(verdict: Verdict) -> Markup:
    """Write the verdict and what to do."""
    mode = plain(verdict.mode)
    return tag(
        "section",
        tag(
            "div",
            tag(
                "p",
                tag("strong", mode),
                tag("code", verdict.mode) if mode != verdict.mode else None,
                class_="mode",
            ),
            tag("p", sentence(_meaning(verdict)), class_="meaning"),
            tag("ul", *(tag("li", sentence(text)) for text in _sureness(verdict)), class_="sure"),
            role="status",
            aria_label="verdict",
        ),
        probability_bars(verdict),
        tag("p", tag("b", "Next step: "), sentence(verdict.advice), class_="next"),
        class_="verdict",
        aria_label="verdict and next step",
    )


def _meaning(verdict: Verdict) -> str:
    if verdict.sure:
        return FAILURE_MODES[verdict.mode]
    meaning = FAILURE_MODES.get(verdict.likely)
    return f"most probable is {plain(verdict.likely)}{f': {meaning}' if meaning else ''}"


def _sureness(verdict: Verdict) -> Iterator[str]:
    """Say in plain words how sure the verdict is."""
    if verdict.sure:
        yield f"{share(verdict.probability)} probable; a verdict needs {share(verdict.confidence)}"
    else:
        yield from verdict.why_unsure
    if verdict.agreement is None:
        yield "it is the answer of a single tree, so there are no others to agree with it"
    else:
        yield f"{share(verdict.agreement)} of all plausible trees give this answer"
    if verdict.stability is None:
        yield "no error bar of the measurements is known, so nothing is said of what noise does"
    else:
        yield (
            "redrawn within their error bars, the measurements give this answer "
            f"{share(verdict.stability)} of the time"
        )
