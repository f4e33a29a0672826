"""Whether changes gain what a verdict promises, in zoos that were not learnt from.

    python scripts/study_promises.py              # ten minutes of a core
    python scripts/study_promises.py --parts 2    # two of the eight

Fits a tree by regression of gains to seven eighths of the reference collection, an eighth of the
zoos left out at a time, and compares for each group that is left out, and each change whose gain
the grid of its zoo tells, the promised gain and its range with the real one, in points of test
accuracy.  A verdict promises that four of five gains lie within the range.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from left_out import PARTS, SURE, unseen_zoos

from mdtree.failure_modes import REMEDIES
from mdtree.labelling import label_rows
from mdtree.rows import Row
from mdtree.trees import SavedTree

ENDS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0)  # of promised gains, in points


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One change of one group: what is promised, and what it gained."""

    zoo: str
    remedy: str
    verdict: str  # the likeliest answer, "unsure" below 60 %
    advised: bool  # whether it is the remedy of the likeliest answer
    expected: float  # points
    low: float
    high: float
    gained: float
    margin: float  # points that count as noise


def promises(saved: SavedTree, zoo: str, rows: Sequence[Row]) -> Iterator[Promise]:
    """Compare all changes of the groups of a zoo."""
    model = saved.gain_model
    assert model is not None
    outcomes = model.outcomes(saved.matrix(rows), saved.features, saved.classes)
    for number, label in enumerate(label_rows(rows)):
        shares = outcomes.probabilities[number]
        likely = saved.classes[int(shares.argmax())]
        error = 100 - label.accuracy
        for remedy, gained in label.known.items():
            expected = float(outcomes.gains[remedy][number])
            spread = model.range_of(remedy, expected)
            assert spread is not None
            yield Promise(
                zoo=zoo,
                remedy=remedy,
                verdict=likely if shares.max() >= SURE else "unsure",
                advised=REMEDIES[remedy] == likely,
                expected=error * float(model.within(remedy, expected)),
                low=error * spread.low,
                high=error * spread.high,
                gained=gained,
                margin=label.margin,
            )


def line(name: str, found: Sequence[Promise]) -> str:
    """Write one line of the table."""
    expected, low, high, gained, margin = np.array(
        [(p.expected, p.low, p.high, p.gained, p.margin) for p in found]
    ).T
    inside = (gained >= low - margin) & (gained <= high + margin)
    shares = [100 * np.mean(each) for each in (inside, gained < low - margin)]
    return (
        f"| {name} | {len(found):,} | {expected.mean():.1f} | {gained.mean():.1f} | "
        f"{low.mean():.1f} to {high.mean():.1f} | {shares[0]:.1f} | {shares[1]:.1f} |"
    )


def main() -> None:
    """Print a table: of all changes, of those that are advised, by verdict, by promised gain."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", type=int, default=PARTS, help="parts of the zoos to leave out")
    found = [
        promise
        for saved, zoos in unseen_zoos(parser.parse_args().parts)
        for name, rows in zoos.items()
        for promise in promises(saved, name, rows)
    ]
    print("| changes | number | promised | gained | range | inside, % | below, % |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    tables = {"all": found, "the advised change": [p for p in found if p.advised]}
    for low, high in pairwise(ENDS):
        tables[f"promised {low:g} to {high:g} points"] = [
            p for p in found if low <= p.expected < high
        ]
    for verdict in sorted({p.verdict for p in found}):
        for remedy in REMEDIES:
            tables[f"{remedy} where the verdict is {verdict}"] = [
                p for p in found if (p.verdict, p.remedy) == (verdict, remedy)
            ]
    for name, some in tables.items():
        if some:
            print(line(name, some))


if __name__ == "__main__":
    main()
