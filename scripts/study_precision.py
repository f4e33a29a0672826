"""Verdicts from quantities that are only as precise as the verdict needs, beside those from all.

    python scripts/study_precision.py [--every 10] [--every-held-out 1] [--demos FOLDER]

replay   Rows of the reference collection hold what the full tolerances gave.  Each group is
         diagnosed again in thought, twice: with every metric that the tree asks for, and with
         those alone that are worth their time.  Every member's Hessian is measured in parts: its
         first steps of Lanczos fall short of the eigenvalue by up to 8 %, its probes scatter as
         much as their number says, and the judge is asked after them as in a real run.  Then the
         curve: the judge is asked about the straight line, and about the curve after some of its
         steps, when it has come as near to its end as real ones do.  What turns out to be too
         coarse is measured further.  Groups are judged by the default tree.  Zoos that were held
         out were never seen by it; of the others it has learnt.
demos    Networks of `mdtree demo` in FOLDER, really measured, with every metric that the tree
         asks for: to the tolerances, and only as precisely as the verdict needs.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mdtree.diagnosis import (
    Diagnoser,
    RowPrecision,
    Verdict,
    diagnoser_for,
    next_metric,
    open_metric,
    prospects,
)
from mdtree.diagnosis.printed_answers import is_same_gain
from mdtree.exceptions import RowsError
from mdtree.failure_modes import REMEDIES
from mdtree.labelling import label_rows
from mdtree.measurement import make_request
from mdtree.metrics.budgets import StandardHessian
from mdtree.metrics.precision import Inquiry, known, of_probes
from mdtree.rows import QUANTITIES, Measured, Provenance, Row, Running, remaining
from mdtree.sequential_diagnosis import SequentialDiagnosis
from mdtree.trees.bundled import reference_collection

# steps of Lanczos -> how far the value may fall short of the eigenvalue, as a share of it
SHORT = {4: 0.08, 8: 0.01}
RESIDUALS = 3.0
FIRST_PROBES = 4
CURVE = ("connectivity", "connectivity_peak", "barrier", "barrier_loss")
SECONDS = {
    "predictions": 0.02, "baseline": 0.1, "similarity": 0.01, "spectrum": 0.01, "hessian": 2.5,
    "connectivity": 2.0,
}  # fmt: skip
# forward passes over the sample of the Hessian: a product with its share of a graph; all steps of a
# curve; the profile of a path
PRODUCT, STEPS, PROFILE = 16.4, 294.0, 18.0
# after how many of 600 steps it is asked -> share of the way from the straight line to the end
# that curves have come by then, about: as five groups of CNNs on digits had
CAME = {0: (0.0, 0.0), 75: (0.88, 0.98), 150: (0.95, 0.99), 300: (0.98, 1.0)}
ALL_STEPS = 600
# rows of the collection do not say where they come from
NOWHERE = Provenance(
    weights={}, recipe="", metrics=(), seed=0, device="cpu", seconds=0.0, versions={}
)


@dataclass(frozen=True)
class Judgement:
    """One group, judged by its full row and by what would have been accepted."""

    label: str | None  # the mode of the grid; None: not known
    full: str
    needed: str
    moved: float  # how far the probability of the answer moved
    products: float  # share of the Hessian-vector products
    curves: float  # share of the steps of the curves
    work: float  # share of the forward passes of both
    change: bool  # whether the same change is advised
    gain: bool  # whether its gain is within its tolerance
    gains: tuple[bool, ...]  # the same of all gains in the list


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=10, help="take each n-th group")
    parser.add_argument("--every-held-out", type=int, default=1, help="the same of held-out zoos")
    parser.add_argument("--demos", type=Path, help="a folder that `mdtree demo` has filled")
    options = parser.parse_args()
    print("| groups | metrics | verdict the same | right, full | right, as needed "
          "| probability moved by | the same change | gains of the advice | all gains "
          "| products | curves | work |")  # fmt: skip
    print("|" + 12 * " --- |")
    for name, zoos, every in (
        ("held out", reference_collection(held_out=True), options.every_held_out),
        ("of the collection", reference_collection(), options.every),
    ):
        for metrics in ("all", "worth their time"):
            judgements = [
                judgement
                for rows in zoos.values()
                for judgement in replayed_zoo(rows, every, full=metrics == "all")
            ]
            print(line(name, metrics, judgements), flush=True)
    if options.demos is not None:
        print("\n| network | full | as needed | work | time |\n| --- | --- | --- | --- | --- |")
        for text in demos(options.demos):
            print(text, flush=True)


def line(name: str, metrics: str, judgements: Sequence[Judgement]) -> str:
    """Write a line of the table."""
    labelled = [each for each in judgements if each.label is not None]
    right = [
        f"{100 * statistics.fmean(getattr(each, kind) == each.label for each in labelled):.1f} %"
        for kind in ("full", "needed")
    ]
    same = statistics.fmean(each.full == each.needed for each in judgements)
    moved = statistics.fmean(each.moved for each in judgements)
    change = statistics.fmean(each.change for each in judgements)
    advice = share(each.gain for each in judgements)
    gains = share(same for each in judgements for same in each.gains)
    shares = [
        f"{statistics.fmean(getattr(each, kind) for each in judgements):.2f}"
        for kind in ("products", "curves", "work")
    ]
    return (
        f"| {len(judgements)} {name} | {metrics} | {100 * same:.1f} % | {' | '.join(right)} "
        f"| {100 * moved:.1f} points | {100 * change:.1f} % | {advice} | {gains} "
        f"| {' | '.join(shares)} |"
    )


def share(outcomes: Iterable[bool]) -> str:
    """Write which share of how many is so."""
    known = list(outcomes)
    return f"{100 * statistics.fmean(known):.1f} % of {len(known)}" if known else "none"


def replayed_zoo(rows: Sequence[Row], every: int, *, full: bool) -> Iterator[Judgement]:
    """Judge groups of a zoo in both ways."""
    try:
        labels: list[str | None] = [label.mode for label in label_rows(rows)]
    except RowsError:
        labels = [None] * len(rows)
    source = np.random.default_rng(0)
    for row, label in list(zip(rows, labels, strict=True))[::every]:
        if not isinstance(row.quantities.get("hessian_trace"), Measured):
            continue
        replay = Replay(row, source)
        accepted = replay.run(full=full)
        diagnoser = diagnoser_for([row])
        whole, needed = diagnoser(row), diagnoser_for([accepted])(accepted)
        used, all_used = replay.work(), replay.most()
        yield Judgement(
            label=label,
            full=whole.mode,
            needed=needed.mode,
            moved=abs(whole.probability - needed.probabilities.get(whole.likely, 0.0)),
            products=replay.products / replay.all_products,
            curves=replay.steps / ALL_STEPS,
            work=used / all_used,
            change=advised_change(whole, whole.likely) == advised_change(needed, whole.likely),
            gain=is_same(*(advised_gain(each, whole.likely) for each in (whole, needed))),
            gains=tuple(is_same(g.mean, expected(needed, g.remedy)) for g in whole.gains),
        )


class Replay:
    """A sequential diagnosis in thought, of a group whose numbers are known."""

    def __init__(self, row: Row, source: np.random.Generator) -> None:
        self.full, self.source = row, source
        top, trace = row.quantities["hessian_top"], row.quantities["hessian_trace"]
        tops, traces = top.members or (top.value,), trace.members or (trace.value,)
        count = len(tops)
        steps = (top.iterations or 10 * count) / count
        probes = (trace.iterations or 12 * count) / count
        self.members = [
            Member(*values, steps, probes, source) for values in zip(tops, traces, strict=True)
        ]
        self.all_products = count * (steps + probes)
        self.pairs = max(count - 1, 0) if "connectivity" in row.quantities else 0
        self.steps = self.profiles = 0  # of the curve

    @property
    def products(self) -> float:
        """Products that were used."""
        return sum(member.used for member in self.members)

    def work(self) -> float:
        """Return the forward passes, in those of the sample."""
        curve = STEPS * self.steps / ALL_STEPS + PROFILE * self.profiles
        return PRODUCT * self.products + self.pairs * curve

    def most(self) -> float:
        """Return the forward passes of everything."""
        return PRODUCT * self.all_products + self.pairs * (STEPS + 2 * PROFILE)

    def run(self, *, full: bool) -> Row:
        """Return the row that is judged in the end."""
        row = self._without(self.full, set(SECONDS))
        left = dict(SECONDS)
        while True:
            diagnoser = diagnoser_for([row])
            if full:
                chosen = next(iter(prospects(diagnoser, row, left)), None)
            else:
                chosen = next_metric(diagnoser, row, left)
            if chosen is not None:
                metric = chosen.metrics[0]
                del left[metric]
                row = self._measured(diagnoser, row, metric)
                continue
            coarse = open_metric(diagnoser, row)
            if coarse is None:
                return row
            row = self._measured(diagnoser, row, coarse.metric, again=True)

    def _measured(self, diagnoser: Diagnoser, row: Row, metric: str, *, again: bool = False) -> Row:
        known = self._without(row, {metric})
        judge = RowPrecision(diagnoser=diagnoser, row=known)
        values = {
            name: value
            for name, value in self.full.quantities.items()
            if QUANTITIES[name].metric == metric
        }
        left_open: dict[str, Running] = {}
        if metric == "hessian":
            left_open = self._hessian(judge)
            values |= {n: replace(values[n], value=each.value) for n, each in left_open.items()}
        elif metric == "connectivity":
            left_open = self._curve(judge, asks=not again)
            values |= {n: Measured(value=each.value) for n, each in left_open.items()}
        open_before = {n: each.reach for n, each in remaining(known).items() if n not in values}
        reach = open_before | {n: each.reach for n, each in left_open.items()}
        provenance = replace(NOWHERE, reach=reach or None)
        return replace(known, quantities={**known.quantities, **values}, provenance=provenance)

    def _curve(self, judge: RowPrecision, *, asks: bool) -> dict[str, Running]:
        """Train the curve until it is enough; return what is open in the end."""
        for steps, (low, high) in CAME.items() if asks else ():
            curve = curve_of(self.full, low + (high - low) * self.source.random())
            self.profiles += 1
            if curve and judge(curve):
                self.steps += steps
                return curve
        self.steps += ALL_STEPS
        self.profiles += 1
        return {}

    def _hessian(self, judge: RowPrecision) -> dict[str, Running]:
        """Measure further in turn; return what is open in the end."""
        inquiry = Inquiry(enough=judge, parts=len(self.members))
        for place in itertools.cycle(range(len(self.members))):
            member = self.members[place]
            if all(each.has_ended for each in self.members) or inquiry.is_settled:
                break
            if not member.has_ended:
                member.advance()
            inquiry.is_enough_with(str(place), member.running())
        means = inquiry.means() if len(inquiry.latest) == inquiry.parts else {}
        return {n: each for n, each in means.items() if each.reach[0] != each.reach[1]}

    def _without(self, row: Row, metrics: set[str]) -> Row:
        kept = {n: v for n, v in row.quantities.items() if QUANTITIES[n].metric not in metrics}
        return replace(row, quantities=kept)


class Member:
    """The Hessian of a member, measured in parts.

    So many probes were needed for 5 % that one scatters by 5 % times the root of their number.
    """

    def __init__(
        self, top: float, trace: float, steps: float, probes: float, source: np.random.Generator
    ) -> None:
        self._top, self._trace, self._steps, self._probes = top, trace, steps, probes
        spread = StandardHessian().stderr * np.sqrt(probes) * abs(trace)
        self._forms = source.normal(0.0, spread, max(int(probes), FIRST_PROBES))
        self._forms += trace - self._forms.mean()
        self._short = {step: share * source.random() for step, share in SHORT.items()}
        self.steps = self.probes = 0.0

    @property
    def used(self) -> float:
        """Products so far."""
        return self.steps + self.probes

    @property
    def has_ended(self) -> bool:
        """Whether both numbers are known."""
        return self.steps >= self._steps and self.probes >= self._probes

    def advance(self) -> None:
        """Go on to the next question."""
        if self.steps == 0:
            self.steps, self.probes = min(4, self._steps), min(FIRST_PROBES, self._probes)
        elif self.steps < self._steps:
            self.steps = min(2 * self.steps, self._steps)
        else:
            self.probes = min(2 * self.probes, self._probes)

    def running(self) -> dict[str, Running]:
        """Return what is known."""
        top = known(self._top)
        if self.steps < self._steps:
            short = self._short.get(int(self.steps), 0.0)
            value = self._top * (1 - short)
            bound = SHORT.get(int(self.steps), 0.01) * abs(self._top)
            top = Running(value=value, reach=(value, value + RESIDUALS * bound))
        trace = known(self._trace)
        if not self.has_ended:
            count = int(self.probes)
            forms = self._forms[:count]
            stderr = float(forms.std(ddof=1)) / count**0.5
            trace = of_probes(float(forms.mean()), stderr, count, StandardHessian().probes)
        return {"hessian_top": top, "hessian_trace": trace}


def curve_of(row: Row, came: float) -> dict[str, Running]:
    """Return what a curve is after a part of the way from the straight line, and may become."""
    numbers = {
        name: value.value for name, value in row.quantities.items() if isinstance(value, Measured)
    }
    if not {*CURVE, "linear_barrier", "linear_barrier_loss", "train_error", "train_loss"} <= set(
        numbers
    ):
        return {}
    error, loss, barrier = (numbers[n] for n in ("train_error", "train_loss", "linear_barrier"))
    line_and_best = {
        "connectivity": (-barrier, error),
        "connectivity_peak": (-error - barrier, 0.0),
        "barrier": (barrier, -error),
        "barrier_loss": (numbers["linear_barrier_loss"], -loss),
    }
    running = {}
    for name, (line, best) in line_and_best.items():
        now = line + came * (numbers[name] - line)
        running[name] = Running(value=now, reach=(now, best))
    return running


def expected(verdict: Verdict, remedy: str) -> float:
    """Return the expected gain of a remedy, in points."""
    return next((each.mean for each in verdict.gains if each.remedy == remedy), 0.0)


def advised_gain(verdict: Verdict, answer: str) -> float:
    """Return the gain of what mends an answer, in points; the largest one where nothing does."""
    is_mended = answer in REMEDIES.values()
    means = [each.mean for each in verdict.gains if each.mode == answer or not is_mended]
    return max(means, default=0.0)


def is_same(gain: float, other: float) -> bool:
    """Return whether another gain is that gain within its tolerance."""
    return bool(is_same_gain(gain, other))


def advised_change(verdict: Verdict, answer: str) -> list[tuple[object, ...]]:
    """Return what mends an answer: which fact, from what to what."""
    return [(each.fact, each.old, each.new) for each in verdict.gains if each.mode == answer]


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
        ).run()
        seconds = time.perf_counter() - started
    (row,) = found.rows
    verdict = found.diagnoser(row)
    assert row.provenance is not None
    text = f"{verdict.mode} ({100 * verdict.probability:.0f} %)"
    return text, row.provenance.passes or 0.0, seconds


if __name__ == "__main__":
    main()
