"""The HTML page: all verdicts in one file that loads nothing from the network.

Templates render the summaries and escape everything that is not markup, as the pictures do.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdtree.diagnosis import Trajectory, Verdict, trajectories
from mdtree.messages import plural
from mdtree.render import formatting
from mdtree.render.style import COLOURS, DARK_COLOURS, DARK_SHADES, SHADES, kind
from mdtree.render.summary import shared_parts, summary
from mdtree.render.svg import escaped
from mdtree.render.training_pictures import training_pictures
from mdtree.render.trajectory_text import heading, kept, last_steps
from mdtree.rows import Row
from mdtree.trees import SavedTree
from mdtree.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["MOST_WHOLE", "report_page"]

_MOST_RUNS = 20  # whose training is drawn
MOST_WHOLE = 200  # groups that are shown in full; the others get one line each

_FILTERS = ("change", "feature_name", "percent", "plain", "points", "sentence", "short", "typeset")


def report_page(
    verdicts: Sequence[Verdict],
    rows: Sequence[Row],
    trees: Mapping[str, SavedTree],
    *,
    most: int = MOST_WHOLE,
) -> str:
    """Return the page as HTML.

    Args:
        verdicts: The verdicts to show, in this order.
        rows: The rows that were diagnosed, and those that could not be diagnosed.
        trees: The trees that the verdicts are based on, by name.
        most: How many groups are shown in full.

    """
    rows_by_key = {row.key: row for row in rows}
    diagnosed = {(verdict.group, verdict.basis.protocol) for verdict in verdicts}
    names = {tree: f"tree-{number}" for number, tree in enumerate(trees, start=1)}
    groups = (
        summary(
            verdict,
            rows_by_key.get((verdict.group, verdict.basis.protocol)),
            trees.get(verdict.basis.tree),
            names.get(verdict.basis.tree, ""),
        )
        for verdict in verdicts[:most]
    )
    return (
        _environment()
        .get_template("page.html")
        .render(
            verdicts=verdicts,
            counts=Counter(verdict.mode for verdict in verdicts).most_common(),
            groups=groups,
            runs=[_training(run, rows) for run in trajectories(rows)[:_MOST_RUNS]],
            shared=[shared_parts(saved, names[tree]) for tree, saved in trees.items()],
            most=most,
            undiagnosed=[row for row in rows if row.key not in diagnosed],
            colours=COLOURS,
            dark_colours=DARK_COLOURS,
            shades=SHADES,
            dark_shades=DARK_SHADES,
            version=__version__,
        )
    )


def _training(trajectory: Trajectory, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the page shows of the steps of a run."""
    says = (kept(trajectory), last_steps(trajectory))
    return {
        "heading": heading(trajectory),
        "says": [text for text in says if text is not None],
        "pictures": training_pictures(trajectory, rows),
    }


@functools.cache
def _environment() -> Environment:
    """Read the templates; Jinja is imported only where a page is written."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mdtree.render"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: getattr(formatting, name) for name in _FILTERS}
    environment.filters |= {"kind": kind, "plural": plural}
    return environment


def _written(value: Any) -> Any:
    """Escape what a template writes, unless it is already markup."""
    return value if hasattr(value, "__html__") else escaped(str(value))
