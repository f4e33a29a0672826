"""Verdicts as Markdown: for pull requests, issues and model cards.

Everything but our own words is text: names come from untrusted files and must not become headings,
links, mentions or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from mdtree.diagnosis import found_checks
from mdtree.diagnosis.headlines import headline, headline_of_all
from mdtree.messages import printable, shortened
from mdtree.render.checks_text import checks_line, checks_summary, unfound_lines
from mdtree.render.formatting import change, percent, points, sentence, typeset
from mdtree.render.verdict_words import (
    answer,
    basis,
    by_probability,
    caution,
    flips,
    gains_title,
    margin,
    meaning,
    prediction_set,
    resources,
    support,
    target,
)
from mdtree.version import __version__

if TYPE_CHECKING:
    from mdtree.diagnosis import Trajectory, Verdict

__all__ = ["as_code", "as_text", "markdown_list", "markdown_table", "verdicts_markdown"]

_LONGEST = 5000  # characters of one text
# columns of numbers
_NUMBERS = ("probability", "gain", "before", "after", "difference", "errors", "p", "adjusted p")
_NOTHING = "<!-- -->"  # between two characters that would start something together

# what means something to Markdown or to the code host wherever it stands
_SPECIAL = re.compile(r"[\\`*\[\]|~$]")
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # inside a word, an underscore is only itself
_BLOCK = re.compile(r"^(\s*\d*)([-+=#.)])")  # at the start, these begin a list or a heading
_STARTS = re.compile(r"[@#](?=\w)|:(?=//)|\bwww(?=\.)", re.IGNORECASE)  # mentions and links


def verdicts_markdown(
    verdicts: Sequence[Verdict],
    *,
    most: int,
    runs: Sequence[Trajectory] = (),
    failures: Mapping[str, str] | None = None,
    with_checks: bool = False,
) -> str:
    """Write verdicts as Markdown: a table of several, and a card of each if they are few.

    Args:
        verdicts: The verdicts.
        most: How many are written out in full; more become a table alone.
        runs: The steps of runs among them.
        failures: The groups without a verdict, with the reason.
        with_checks: Whether a card ends with all that was checked, or with their number.

    """
    parts = ["## Diagnosis by mdtree"]
    if len(verdicts) > 1:
        parts += [as_text(headline_of_all(verdicts, runs)), _overview(verdicts)]
    if len(verdicts) <= most:
        parts += ["\n\n".join(_card(verdict, with_checks=with_checks)) for verdict in verdicts]
    else:
        if any(verdict.checks for verdict in verdicts):
            parts.append(as_text(sentence(checks_summary(verdicts))))
        parts.append("To see one of them in full, add `--group NAME`.")
    if failures:
        lines = [f"- {as_code(group)}: {as_text(reason)}" for group, reason in failures.items()]
        parts += ["### No verdict", "\n".join(lines)]
    parts.append(f"<sub>mdtree {__version__}</sub>")
    return "\n\n".join(parts)


def as_text(text: str) -> str:
    r"""Escape text so that Markdown and HTML show it as it is.

    >>> as_text("a*b <script> @team learning_rate")
    'a\\*b &lt;script&gt; @<!-- -->team learning_rate'
    """
    text = escape(printable(shortened(text.strip(), _LONGEST)), quote=False)
    text = _EDGE.sub(r"\\_", _SPECIAL.sub(r"\\\g<0>", text))
    text = _BLOCK.sub(r"\1\\\2", text)
    return _STARTS.sub(rf"\g<0>{_NOTHING}", text)


def as_code(text: str) -> str:
    """Write a name: code, in which a code host looks for no mention."""
    return f"<code>{as_text(text)}</code>"


def _overview(verdicts: Sequence[Verdict]) -> str:
    lines = [
        (
            as_code(verdict.group),
            as_text(answer(verdict)),
            percent(verdict.probability),
            "yes" if caution(verdict) is not None else "",
        )
        for verdict in verdicts
    ]
    return markdown_table(["group", "verdict", "probability", "out of distribution"], lines)


def _card(verdict: Verdict, *, with_checks: bool) -> Iterator[str]:
    """Yield the blocks of one verdict: what, what next, why."""
    yield f"### {as_code(verdict.group)}: {as_text(answer(verdict))}"
    yield as_text(headline(verdict))
    unlike = caution(verdict)
    notes = [] if unlike is None else [f"**Caution:** {as_text(unlike)}"]
    notes += [f"**Warning:** {as_text(warning)}" for warning in verdict.basis.warnings]
    if notes:
        yield "\n>\n".join(f"> {note}" for note in notes)
    if verdict.sure:
        means = as_text(sentence(meaning(verdict)))
        yield f"**{as_text(verdict.mode)}** (probability {percent(verdict.probability)}): {means}"
    else:
        yield markdown_list(f"unsure: {doubt}" for doubt in verdict.why_unsure)
    yield f"**Next step:** {as_text(sentence(verdict.advice))}"
    yield markdown_table(
        ["answer", "probability"],
        [(as_text(name), share) for name, share in by_probability(verdict)],
    )
    told = (target(verdict), prediction_set(verdict))
    sure = [*(text for text in told if text), *support(verdict)]
    if sure:
        yield markdown_list(sure)
    if verdict.clues:
        yield "**Why**"
        steps = (f"{step.says}{margin(step)}" for step in verdict.clues)
        yield "\n".join(
            f"{number}. {as_text(typeset(step))}" for number, step in enumerate(steps, start=1)
        )
    yield from _gains(verdict)
    if verdict.missed:
        yield "**Not known**"
        missed = (f"{each.metric}: {each.reason} ({flips(each)})" for each in verdict.missed)
        yield "\n".join(f"- {as_text(text)}" for text in missed)
    if with_checks:
        yield "**Checks**"
        yield "\n".join(_checks(verdict))
    elif verdict.checks:
        yield as_text(sentence(checks_line(verdict.checks, "--checks lists them")))
    if not verdict.asked_tree:
        return
    accuracy = f". Accuracy: {verdict.basis.accuracy}" if verdict.basis.accuracy else ""
    yield f"<sub>Tree: {as_text(basis(verdict) + accuracy)}</sub>"


def _checks(verdict: Verdict) -> Iterator[str]:
    for check in found_checks(verdict.checks):
        yield f"- {check.code} {as_text(f'{check.name} ({check.severity}): {check.message}')}"
    yield from (f"- {line}" for line in unfound_lines(verdict.checks))


def _gains(verdict: Verdict) -> Iterator[str]:
    if verdict.gains:
        yield sentence(gains_title(verdict).removesuffix(":")).removesuffix(".") + ":"
        yield markdown_table(
            ["change", "gain", "to"],
            [
                (as_text(gain.remedy), points(gain), as_text(typeset(change(gain))))
                for gain in verdict.gains
            ],
        )
    asked_most = resources(verdict)
    if asked_most is not None:
        yield as_text(sentence(asked_most))


def markdown_list(texts: Iterable[str]) -> str:
    """Write texts as a list of sentences."""
    return "\n".join(f"- {as_text(sentence(text))}" for text in texts)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table: the first column to the left, those of numbers to the right."""
    rule = ["---", *("---:" if name in _NUMBERS else "---" for name in header[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
