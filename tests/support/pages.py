"""Pages of several kinds, for tests that open them in a browser; each is made once."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mdtree.diagnosis import NextStep, OutOfDistribution, compare_groups
from mdtree.render.comparison import comparison_page
from mdtree.render.page import Beside, report_page, report_pages
from mdtree.rows import GroupFailure, Measured, Missing
from tests.support.reports import HOSTILE, grid, group, judged, tree, whole_row
from tests.support.steps import epochs

__all__ = ["PAGES", "compared", "folded_from", "hostile", "on_a_wide_grid", "several", "usual"]

LONG = {
    name: Measured(value=1.0, stderr=0.25)
    for name in ("train_overconfidence", "linear_barrier_loss", "log_spectral_norm", "y" * 90)
}
LOST = group("lost", {}, failure=GroupFailure(kind="CheckpointError", reason="cut off"))


@functools.cache
def hostile():
    """Give a page whose every name is long and hostile."""
    name = "".join(HOSTILE)
    row = whole_row(name, members=(name, f"{name}2"))
    row = replace(
        row,
        quantities={**row.quantities, name: Missing(missing=name), "cka": Missing(missing=name)},
    )
    verdict = judged(row)
    names = {"tree": name, "chosen": name, "warnings": (name,), "versions": {name: name}}
    verdict = replace(
        verdict, next_step=NextStep(kind="keep", says=name), basis=replace(verdict.basis, **names)
    )
    return report_page([verdict, verdict], [row, replace(LOST, group=name)], {name: tree()})


@functools.cache
def usual(mode="temperature_low"):
    row = whole_row()
    far = OutOfDistribution(distance=2.0, limit=1.0, beyond=("cka",))
    return report_page([judged(row, mode=mode, likely=mode, outlier=far)], [row], {"ours": tree()})


@functools.cache
def several():
    rows = grid()[:4]
    return report_page([judged(row) for row in rows], [*rows, LOST], {"ours": tree("cart")})


@functools.cache
def on_a_grid():
    """Give a page with a map, and with the orders of its groups; its verdicts are of all kinds."""
    rows = [
        row for row in grid() if row.facts["data_amount"] == 100 and row.facts["width"] in (1, 8)
    ]
    return report_page([judged(row) for row in rows], rows, {"ours": tree()})


@functools.cache
def on_a_wide_grid():
    """Give a page whose map is wider than a telephone, with names of networks that are long.

    Its two lines overlap in one column, so that cells have neighbours on all sides, and none.  The
    groups of the second line have no place on the page: no link leads to them.
    """
    shown = [(1, 2**power) for power in range(6)]
    facts = shown + [(2, 2**power) for power in range(5, 10)]
    rows = [
        replace(
            grid()[0],
            group=f"width-{width}_batch_size-{batch}_data_amount-1200",
            facts={"width": width, "batch_size": batch},
        )
        for width, batch in facts
    ]
    return report_page([judged(row) for row in rows], rows, {"ours": tree()}, most=len(shown))


@functools.cache
def compared():
    """Give a page of comparisons, with a changed fact, long names and many quantities."""
    rates = {"learning_rate": 0.1, "batch_size": 8}, {"learning_rate": 0.2, "batch_size": 16}
    pairs = [
        [
            replace(row, group=name, facts=facts, quantities={**row.quantities, **LONG})
            for row, facts in zip(grid()[:2], rates, strict=True)
        ]
        for name in ("width-4_batch_size-16_data_amount-1200", "run-0+run-1", "x" * 300)
    ]
    places = ("somewhere/temperature_low-slow", "somewhere/temperature_low-slow-again")
    return comparison_page(compare_groups([(a, b) for a, b in pairs], places=places))


@functools.cache
def folded():
    """Give a page whose groups have their evidence beside it."""
    rows = [whole_row(f"group {number}") for number in range(12)]
    verdicts = [replace(judged(grid()[0]), group=row.group) for row in rows]
    beside = Beside(page="../report.html", folder="report-details")
    with folded_from(100_000):
        page, others = report_pages(verdicts, rows, {"ours": tree()}, beside=beside)
    assert next(others)[0] == "group-1.html"
    return page


@contextmanager
def folded_from(size):
    """Let pages fold from this size on, as those of 80 groups do from the usual one on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdtree.render.page.LARGEST", size)
        yield


@functools.cache
def steps():
    """Give a page of a run."""
    rows = epochs(40.0, 20.0, 19.0, 25.0)
    return report_page([replace(judged(grid()[0]), group=rows[-1].group)], rows, {"ours": tree()})


PAGES = {
    "usual": usual,
    "several": several,
    "hostile": hostile,
    "on a grid": on_a_grid,
    "on a wide grid": on_a_wide_grid,
    "compared": compared,
    "folded": folded,
    "steps": steps,
}
