"""The HTML page: all verdicts in one file that loads nothing from the network.

Templates render the summaries and escape everything that is not markup, as the pictures do.  Where
several groups would make the page too large, their evidence goes into pages beside it.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mdtree.diagnosis import Trajectory, Verdict, headline, headline_of_all, trajectories
from mdtree.render.html import rendered
from mdtree.render.overview import maps, orders
from mdtree.render.phases import LETTERS
from mdtree.render.summary import card, shared_parts, summary
from mdtree.render.svg import Markup
from mdtree.render.training_pictures import training_pictures
from mdtree.render.trajectory_text import heading, kept, last_steps
from mdtree.rows import Row
from mdtree.trees import SavedTree

__all__ = ["LARGEST", "MOST_WHOLE", "Beside", "report_page", "report_pages"]

LARGEST = 2_000_000  # bytes of the page of several groups
MOST_WHOLE = 200  # groups that are shown; the others get one line each

_MOST_RUNS = 20  # whose training is drawn
_FEW_COLUMNS = 3  # of a map, which fit on every screen
_MANY = 50  # groups on one page, whose checks are shortened
_RUNS_ROOM = 400_000  # bytes for the pictures of all runs, where groups are folded


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Where the evidence of a large page goes: into pages in a folder beside it."""

    page: str  # the address of the page, as seen from the folder
    folder: str  # the address of the folder, as seen from the page


@dataclass(frozen=True)
class _Report:
    """What a page is about."""

    verdicts: Sequence[Verdict]
    rows: Sequence[Row]
    trees: Mapping[str, SavedTree]
    most: int

    @functools.cached_property
    def rows_by_key(self) -> dict[tuple[str, str], Row]:
        return {row.key: row for row in self.rows}

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The names of the parts that the pictures of each tree share."""
        return {tree: f"tree-{number}" for number, tree in enumerate(self.trees, start=1)}

    @functools.cached_property
    def trajectories(self) -> Sequence[Trajectory]:
        return trajectories(self.rows)[:_MOST_RUNS]

    @functools.cached_property
    def runs(self) -> list[Markup]:
        """What is shown of the runs, with their pictures."""
        return [_run(trajectory, self.rows) for trajectory in self.trajectories]

    @property
    def has_large_runs(self) -> bool:
        return _bytes(self.runs) > _RUNS_ROOM

    def row(self, verdict: Verdict) -> Row | None:
        return self.rows_by_key.get((verdict.group, verdict.basis.protocol))


def report_page(
    verdicts: Sequence[Verdict],
    rows: Sequence[Row],
    trees: Mapping[str, SavedTree],
    *,
    most: int = MOST_WHOLE,
) -> str:
    """Return the page as HTML, in one piece: evidence that makes it too large is left out.

    Args:
        verdicts: The verdicts to show, in this order.
        rows: The rows that were diagnosed, and those that could not be diagnosed.
        trees: The trees that the verdicts are based on, by name.
        most: How many groups are shown; the others get one line each.

    """
    return report_pages(verdicts, rows, trees, most=most)[0]


def report_pages(
    verdicts: Sequence[Verdict],
    rows: Sequence[Row],
    trees: Mapping[str, SavedTree],
    *,
    most: int = MOST_WHOLE,
    beside: Beside | None = None,
) -> tuple[str, Iterator[tuple[str, str]]]:
    """Return the page, and the pages beside it: the name of a file in the folder, and its content.

    There are pages beside it only where several groups would make the page larger than `LARGEST`.
    """
    report = _Report(verdicts, rows, trees, most)
    page = _whole_page(report)
    if page is not None:
        return page, iter(())
    return _folded_page(report, beside), iter(()) if beside is None else _beside(report, beside)


def _beside(report: _Report, beside: Beside) -> Iterator[tuple[str, str]]:
    """Yield a page for each group and for each run."""
    for number, verdict in enumerate(report.verdicts[: report.most], start=1):
        row = report.row(verdict)
        own = _Report([verdict], [] if row is None else [row], _tree_of(report, verdict), 1)
        back = f"{beside.page}#group-{number}"
        yield f"group-{number}.html", _page(own, groups=_articles(own), runs=[], back=back)
    for number, run in enumerate(report.runs if report.has_large_runs else (), start=1):
        page = _page(_Report([], [], {}, 0), groups=(), runs=[run], back=beside.page)
        yield f"training-{number}.html", page


def _tree_of(report: _Report, verdict: Verdict) -> dict[str, SavedTree]:
    name = verdict.basis.tree
    return {name: report.trees[name]} if name in report.trees else {}


def _whole_page(report: _Report) -> str | None:
    """Return the page with all evidence; None if several groups make it too large."""
    several = len(report.verdicts[: report.most]) + len(report.runs) > 1
    groups, size = [], _bytes(report.runs)
    for article in _articles(report):
        groups.append(article)
        size += _bytes([article])
        if several and size > LARGEST:
            return None
    page = _page(report, groups=groups, runs=report.runs)
    return page if len(page.encode()) <= LARGEST or not several else None


def _folded_page(report: _Report, beside: Beside | None) -> str:
    """Return the page with a card for each group, and with the pictures of no run or of all."""
    runs = report.runs
    if report.has_large_runs:
        runs = [
            _run(run, (), folded=True, beside=_address(beside, f"training-{number}.html"))
            for number, run in enumerate(report.trajectories, start=1)
        ]
    groups = (
        _article(
            report,
            number,
            {**card(verdict, report.row(verdict)), "whole": False},
            beside=_address(beside, f"group-{number}.html"),
        )
        for number, verdict in enumerate(report.verdicts[: report.most], start=1)
    )
    return _page(report, groups=groups, runs=runs, with_shapes=False)


def _address(beside: Beside | None, file: str) -> str | None:
    return None if beside is None else f"{beside.folder}/{file}"


def _articles(report: _Report) -> Iterator[Markup]:
    for number, verdict in enumerate(report.verdicts[: report.most], start=1):
        tree = verdict.basis.tree
        parts = summary(
            verdict, report.row(verdict), report.trees.get(tree), report.names.get(tree, "")
        )
        yield _article(report, number, {**parts, "whole": True})


def _article(
    report: _Report, number: int, group: Mapping[str, Any], *, beside: str | None = None
) -> Markup:
    several = len(report.verdicts) > 1
    return rendered(
        "group.html",
        group=group,
        headline=headline(group["verdict"]) if several else None,
        name=f"group-{number}",
        many=len(report.verdicts) > _MANY,
        beside=beside,
    )


def _run(
    trajectory: Trajectory, rows: Sequence[Row], *, folded: bool = False, beside: str | None = None
) -> Markup:
    """Render what the page shows of the steps of a run."""
    says = (kept(trajectory), last_steps(trajectory))
    run = {
        "heading": heading(trajectory),
        "says": [text for text in says if text is not None],
        "pictures": () if folded else training_pictures(trajectory, rows),
        "whole": not folded,
    }
    return rendered("run.html", run=run, beside=beside)


def _page(
    report: _Report,
    *,
    groups: Any,
    runs: Sequence[Markup],
    with_shapes: bool = True,
    back: str | None = None,
) -> str:
    verdicts = report.verdicts
    diagnosed = {(verdict.group, verdict.basis.protocol) for verdict in verdicts}
    several = len(verdicts) > 1
    return rendered(
        "page.html",
        verdicts=verdicts,
        headline=headline_of_all(verdicts, report.trajectories),
        counts=Counter(verdict.mode for verdict in verdicts).most_common(),
        orders=orders(verdicts) if several else (),
        legend=LETTERS.items(),
        few=_FEW_COLUMNS,
        maps=maps(verdicts, report.rows_by_key, report.most) if several else (),
        groups=groups,
        runs=runs,
        shared=[
            shared_parts(saved, report.names[tree])
            for tree, saved in report.trees.items()
            if with_shapes
        ],
        most=report.most,
        undiagnosed=[row for row in report.rows if row.key not in diagnosed],
        back=back,
    )


def _bytes(parts: Iterable[str]) -> int:
    return sum(len(part.encode()) for part in parts)
