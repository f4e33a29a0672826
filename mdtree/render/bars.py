"""Bars: how probable each answer is, and what each change gains."""

from __future__ import annotations

from mdtree.diagnosis import Gain, Verdict
from mdtree.render.axis import linear
from mdtree.render.formatting import change, plain, points, share, typeset
from mdtree.render.markup import Markup, joined, tag
from mdtree.render.style import kind

__all__ = ["gain_bars", "probability_bars"]


def probability_bars(verdict: Verdict) -> Markup:
    """Draw the probability of each answer, with the confidence that a verdict needs."""
    needed = f"{100 * verdict.confidence:g}%"
    ordered = sorted(verdict.probabilities.items(), key=lambda item: -item[1])
    return tag(
        "ul",
        *(
            tag(
                "li",
                tag("span", plain(mode), class_="name"),
                tag(
                    "svg",
                    _bar("0%", f"{100 * value:.2f}%"),
                    tag("line", x1=needed, x2=needed, y1=0, y2="100%", class_="needed"),
                    class_="bar",
                    aria_hidden="true",
                ),
                tag("span", share(value), class_="value"),
                class_=kind(mode),
            )
            for mode, value in ordered
        ),
        class_="bars",
    )


def gain_bars(gains: tuple[Gain, ...]) -> Markup:
    """Draw what each change gained, with the interval that held for four of five groups."""
    ends = [end for gain in gains for end in (gain.mean, gain.low, gain.high) if end is not None]
    axis = linear("", [0.0, *ends])
    return tag(
        "ul",
        *(
            tag(
                "li",
                tag("span", plain(gain.remedy), _change(gain), class_="name"),
                tag(
                    "svg",
                    _bar(*(f"{axis.at(end):.2f}%" for end in sorted((0.0, gain.mean)))),
                    _interval(*(axis.at(end) for end in _spread(gain))),
                    class_="bar",
                    aria_hidden="true",
                ),
                tag("span", points(gain), class_="value"),
                class_=kind(gain.mode),
            )
            for gain in gains
        ),
        class_="bars gains",
    )


def _spread(gain: Gain) -> tuple[float, ...]:
    return () if gain.low is None or gain.high is None else (gain.low, gain.high)


def _change(gain: Gain) -> Markup | None:
    text = typeset(change(gain))
    return tag("small", text) if text else None


def _bar(start: str, end: str) -> Markup:
    """Draw a thick line, which can begin and end at percents."""
    return tag("line", x1=start, x2=end, y1="50%", y2="50%", class_="thick")


def _interval(*ends: float) -> Markup | None:
    if not ends:
        return None
    low, high = (f"{end:.2f}%" for end in ends)
    caps = [
        tag("line", x1=end, x2=end, y1="28%", y2="72%", class_="whisker") for end in (low, high)
    ]
    return joined([tag("line", x1=low, x2=high, y1="50%", y2="50%", class_="whisker"), *caps])
