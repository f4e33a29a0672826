"""Verdicts from quantities that are only as precise as the verdict needs, beside those from all.

    python scripts/study_precision.py [--every 10] [--demos FOLDER]

replay   Rows of the reference collection hold what the full tolerances gave.  Every member's
         Hessian is measured again in thought: its first steps of Lanczos fall short of the
         eigenvalue by up to 8 %, its probes scatter as much as their number says, and the judge is
         asked after them as in a real run.  Then the curve: the straight line is known,
         and the judge is asked whether the curve can still matter.  Groups are judged by the
         default tree.  Zoos that were held out were never seen by it; of the others it has learnt.
demos    Networks of `mdtree demo` in FOLDER, really measured, with every metric that the tree
         asks for: to the tolerances, and only as precisely as the verdict needs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mdtree.diagnosis import Diagnoser, RowPrecision, agreement, diagnoser_for
from mdtree.exceptions import RowsError
from mdtree.labelling import label_rows
from mdtree.measurement import make_request
from mdtree.metrics.budgets import StandardHessian
from mdtree.metrics.precision import MembersSoFar, known, mean_of, of_probes
from mdtree.rows import Measured, Missing, Row, Running
from mdtree.sequential_diagnosis import SequentialDiagnosis
from mdtree.trees.bundled import reference_collection

SURE = 0.99
# steps of Lanczos -> how far the value may fall short of the eigenvalue, as a share of it
SHORT = {4: 0.08, 6: 0.01}
RESIDUALS = 3.0
PROBES = (4, 8, 16, 32, 64)
CURVE = ("connectivity", "connectivity_peak", "barrier", "barrier_loss")


@dataclass(frozen=True)
class Judgement:
    """One group, judged by its full row and by what would have been accepted."""

    label: str | None  # the mode of the grid; None: not known
    full: str
    needed: str
    moved: float  # how far the probability of the answer moved
    products: float  # share of the Hessian-vector products
    steps: float  # share of the steps of curves


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=10, help="take each n-th group")
    parser.add_argument("--demos", type=Path, help="a folder that `mdtree demo` has filled")
    options = parser.parse_args()
    print("| groups | verdict the same | right, full | right, as needed | probability moved by "
          "| products | curve steps |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, zoos, every in (
        ("held out", reference_collection(held_out=True), 1),
        ("of the collection", reference_collection(), options.every),
    ):
        judgements = [j for rows in zoos.values() for j in replayed_zoo(rows, every)]
        print(line(name, judgements), flush=True)
    if options.demos is not None:
        print("\n| network | full | as needed | work | time |\n| --- | --- | --- | --- | --- |")
        for text in demos(options.demos):
            print(text, flush=True)


def line(name: str, judgements: Sequence[Judgement]) -> str:
    """Write a line of the table."""
    labelled = [each for each in judgements if each.label is not None]
    right = [
        f"{100 * statistics.fmean(getattr(each, kind) == each.label for each in labelled):.1f} %"
        for kind in ("full", "needed")
    ]
    same = statistics.fmean(each.full == each.needed for each in judgements)
    moved = statistics.fmean(each.moved for each in judgements)
    shares = [statistics.fmean(getattr(each, kind) for each in judgements)
              for kind in ("products", "steps")]  # fmt: skip
    return (
        f"| {len(judgements)} {name} | {100 * same:.1f} % | {' | '.join(right)} "
        f"| {100 * moved:.1f} points | {shares[0]:.2f} | {shares[1]:.2f} |"
    )


def replayed_zoo(rows: Sequence[Row], every: int) -> Iterator[Judgement]:
    """Judge groups of a zoo in both ways."""
    try:
        labels: list[str | None] = [label.mode for label in label_rows(rows)]
    except RowsError:
        labels = [None] * len(rows)
    source = np.random.default_rng(0)
    for row, label in list(zip(rows, labels, strict=True))[::every]:
        if not all(isinstance(row.quantities.get(name), Measured) for name in ("hessian_trace",)):
            continue
        diagnoser = diagnoser_for([row])
        accepted, products, steps = replayed(diagnoser, row, source)
        full, needed = diagnoser(row), diagnoser(accepted)
        yield Judgement(
            label=label,
            full=full.mode,
            needed=needed.mode,
            moved=abs(full.probability - needed.probabilities[full.likely]),
            products=products,
            steps=steps,
        )


def replayed(
    diagnoser: Diagnoser, row: Row, source: np.random.Generator
) -> tuple[Row, float, float]:
    """Return the row as it would have been accepted, and shares of products and curve steps."""
    later = {"hessian_top", "hessian_trace", *CURVE}
    before = replace(row, quantities={n: v for n, v in row.quantities.items() if n not in later})
    without_line = {n: v for n, v in before.quantities.items() if not n.startswith("linear_")}
    judge = RowPrecision(diagnoser=diagnoser, row=replace(before, quantities=without_line))
    hessian, used, whole = hessian_of(row, judge, source)
    open_values = {n: each for n, each in hessian.items() if each.reach[0] != each.reach[1]}
    if open_values and not judge(hessian):
        hessian, used, open_values = full_hessian(row), used + whole, {}
    values: dict[str, Measured | Missing] = {
        n: replace(row.quantities[n], value=each.value) for n, each in hessian.items()
    }
    now = replace(before, quantities={**before.quantities, **values})
    curve = curve_of(row)
    steps = 1.0
    if curve and agreement(diagnoser, now, curve) >= SURE:
        steps = 0.0
        values |= {n: Missing(missing="not trained to its end") for n in curve}
        open_values |= curve
    else:
        values |= {n: row.quantities[n] for n in CURVE if n in row.quantities}
    accepted = replace(before, quantities={**before.quantities, **values})
    if open_values and agreement(diagnoser, accepted, open_values) < SURE:
        return row, (used + whole) / whole, 1.0
    return accepted, used / whole, steps


def full_hessian(row: Row) -> dict[str, Running]:
    """Return what the tolerances gave."""
    return {name: known(row.quantities[name].value) for name in ("hessian_top", "hessian_trace")}


def hessian_of(
    row: Row, judge: RowPrecision, source: np.random.Generator
) -> tuple[dict[str, Running], float, float]:
    """Measure the Hessian again in thought: the means, products used, and those of a full run."""
    top, trace = row.quantities["hessian_top"], row.quantities["hessian_trace"]
    tops, traces = top.members or (top.value,), trace.members or (trace.value,)
    count = len(tops)
    steps, probes = (top.iterations or 10 * count) / count, (trace.iterations or 12 * count) / count
    so_far = MembersSoFar(enough=judge)
    used = 0.0
    for its_top, its_trace in zip(tops, traces, strict=True):
        running_top, took = top_of(its_top, steps, so_far, source)
        running_trace, drawn = trace_of(its_trace, probes, running_top, so_far, source)
        used += took + drawn
        so_far.done.append({"hessian_top": running_top, "hessian_trace": running_trace})
    means = {name: mean_of([m[name] for m in so_far.done]) for name in so_far.done[0]}
    return means, used, count * (steps + probes)


def top_of(
    value: float, full: float, so_far: MembersSoFar, source: np.random.Generator
) -> tuple[Running, float]:
    """Return the eigenvalue of a member as it was accepted, and the steps."""
    for steps, short in SHORT.items():
        found = value * (1 - short * source.random())
        running = Running(value=found, reach=(found, found + RESIDUALS * short * abs(value)))
        if steps < full and so_far.may_stop({"hessian_top": running}):
            return running, steps
    return known(value), full


def trace_of(
    value: float, full: float, top: Running, so_far: MembersSoFar, source: np.random.Generator
) -> tuple[Running, float]:
    """Return the trace of a member as it was accepted, and the probes.

    So many probes were needed for 5 % that one scatters by 5 % times the root of their number.
    """
    spread = StandardHessian().stderr * np.sqrt(full) * abs(value)
    forms = source.normal(value, spread, int(full))
    for probes in PROBES:
        if probes >= full:
            break
        first = forms[:probes]
        running = of_probes(float(first.mean()), float(first.std(ddof=1) / probes**0.5), probes)
        if so_far.may_stop({"hessian_top": top, "hessian_trace": running}):
            return running, probes
    return known(value), full


def curve_of(row: Row) -> dict[str, Running]:
    """Return how good the curve may become, from the straight line that a row knows."""
    numbers = {
        name: value.value for name, value in row.quantities.items() if isinstance(value, Measured)
    }
    if not {"linear_barrier", "linear_barrier_loss", "train_error", "train_loss"} <= set(numbers):
        return {}
    error, loss, barrier = (numbers[n] for n in ("train_error", "train_loss", "linear_barrier"))
    return {
        "connectivity": Running(value=None, reach=(-barrier, error)),
        "connectivity_peak": Running(value=None, reach=(-error - barrier, 0.0)),
        "barrier": Running(value=None, reach=(barrier, -error)),
        "barrier_loss": Running(value=None, reach=(numbers["linear_barrier_loss"], -loss)),
    }


def demos(folder: Path) -> Iterator[str]:
    """Measure networks of the demo in both ways."""
    torch.set_num_threads(1)
    for place in sorted(folder.iterdir()):
        if not (place / "report.html").exists():
            continue
        runs = {precise: measured(place, full_precision=precise) for precise in (True, False)}
        (full, all_passes, all_seconds), (needed, passes, seconds) = runs[True], runs[False]
        yield (
            f"| {place.name} | {full} | {needed} | {passes / all_passes:.2f} "
            f"| {seconds / all_seconds:.2f} |"
        )


def measured(place: Path, *, full_precision: bool) -> tuple[str, float, float]:
    """Measure everything that the tree asks for: (verdict, forward passes, seconds)."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        found = SequentialDiagnosis(
            request=make_request(place, device="cpu"),
            out=Path(folder) / "rows.jsonl",
            choose_diagnoser=diagnoser_for,
            full=True,
            full_precision=full_precision,
            worth=0.0,  # networks as small as these would not be worth the question
        ).run()
        seconds = time.perf_counter() - started
    (row,) = found.rows
    verdict = found.diagnoser(row)
    assert row.provenance is not None
    text = f"{verdict.mode} ({100 * verdict.probability:.0f} %)"
    return text, row.provenance.passes or 0.0, seconds


if __name__ == "__main__":
    main()
