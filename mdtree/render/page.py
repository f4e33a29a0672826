"""The HTML page: all verdicts in one file that loads nothing from the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mdtree.diagnosis import Verdict
from mdtree.messages import plural
from mdtree.render.formatting import plain, sentence, share
from mdtree.render.group import article
from mdtree.render.markup import Markup, joined, tag
from mdtree.render.style import kind, style
from mdtree.rows import Row
from mdtree.trees import SavedTree
from mdtree.version import __version__

__all__ = ["MOST_WHOLE", "report_page"]

MOST_WHOLE = 200  # groups that are shown with all that is known of them; more are a line each

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'"
)
_FOOT = f"Written by mdtree {__version__}. This page needs no network and no script."


def report_page(
    verdicts: Sequence[Verdict], rows: Sequence[Row], trees: Mapping[str, SavedTree]
) -> str:
    """Write the page.

    `rows` are those that were diagnosed, and those that could not be diagnosed; `trees` are
    those that the verdicts name as their basis.  What has no row or no tree has fewer pictures.
    """
    rows_by_key = {row.key: row for row in rows}
    diagnosed = {(verdict.group, verdict.basis.protocol) for verdict in verdicts}
    articles = [
        article(
            verdict,
            rows_by_key.get((verdict.group, verdict.basis.protocol)),
            trees.get(verdict.basis.tree),
            name=f"group-{number}",
        )
        for number, verdict in enumerate(verdicts[:MOST_WHOLE], start=1)
    ]
    several = len(verdicts) > 1
    if len(verdicts) > MOST_WHOLE:
        note = (
            f"The first {MOST_WHOLE:,} of {len(verdicts):,} groups; another one: add --group NAME."
        )
        articles.append(tag("p", note, class_="note"))
    body = tag(
        "body",
        tag("header", tag("h1", "Diagnosis by mdtree"), _overview(verdicts) if several else None),
        tag("main", *articles, _undiagnosed([row for row in rows if row.key not in diagnosed])),
        tag("footer", tag("p", _FOOT)),
    )
    return f"<!DOCTYPE html>\n{tag('html', _head(verdicts), body, lang='en')}\n"


def _head(verdicts: Sequence[Verdict]) -> Markup:
    subject = plural(len(verdicts), "group")
    if len(verdicts) == 1:
        subject = f"{plain(verdicts[0].mode)}, {verdicts[0].group}"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"mdtree: {subject}"),
        tag("style", style()),
    )


def _overview(verdicts: Sequence[Verdict]) -> Markup:
    """Count the verdicts, and list them with links."""
    counts = Counter(verdict.mode for verdict in verdicts)
    summary = ", ".join(f"{count} {plain(mode)}" for mode, count in counts.most_common())
    head = [tag("th", name, scope="col") for name in ("group", "verdict")]
    return joined(
        [
            tag("p", tag("strong", plural(len(verdicts), "group")), f": {summary}"),
            tag(
                "nav",
                tag(
                    "table",
                    tag(
                        "thead",
                        tag("tr", *head, tag("th", "probability", scope="col", class_="value")),
                    ),
                    tag(
                        "tbody", *(_line(n, verdict) for n, verdict in enumerate(verdicts, start=1))
                    ),
                ),
                aria_label="groups",
            ),
        ]
    )


def _line(number: int, verdict: Verdict) -> Markup:
    outside = verdict.outlier is not None and verdict.outlier.outside
    likely = "" if verdict.sure else f" ({plain(verdict.likely)}?)"
    href = f"#group-{number}"
    return tag(
        "tr",
        tag("td", tag("a", verdict.group, href=href) if number <= MOST_WHOLE else verdict.group),
        tag(
            "td",
            tag("span", class_=f"swatch {kind(verdict.mode)}", aria_hidden="true"),
            plain(verdict.mode),
            likely,
            tag("small", " out of distribution", class_="note") if outside else None,
        ),
        tag("td", share(verdict.probability), class_="value"),
    )


def _undiagnosed(rows: Sequence[Row]) -> Markup | None:
    """Name the groups that have no verdict, and why."""
    if not rows:
        return None
    return tag(
        "section",
        tag("h2", "Without a verdict"),
        tag(
            "dl",
            *(joined([tag("dt", row.group), tag("dd", sentence(_reason(row)))]) for row in rows),
        ),
        class_="unjudged",
    )


def _reason(row: Row) -> str:
    return "it was not judged" if row.failure is None else row.failure.reason
