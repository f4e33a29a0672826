"""How often verdicts on groups that are out of distribution are right, and those on others.

    python scripts/study_outliers.py              # ten minutes of a core
    python scripts/study_outliers.py --parts 2    # two of the eight

Fits a tree by regression of gains to seven eighths of the reference collection, an eighth of the
zoos left out at a time, and judges the zoos that are left out: how often the likeliest answer is
right where the label is clear, by the distance to the training groups in units of its limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from left_out import PARTS, SURE, unseen_zoos

from mdtree.labelling import label_rows
from mdtree.rows import Row
from mdtree.trees import SavedTree, probabilities

ENDS = (0.0, 1.0, 1.2, 1.5, 2.0, np.inf)


def judged(saved: SavedTree, rows: Sequence[Row]) -> list[tuple[float, bool, float, bool]]:
    """Return distance / limit, beyond or not, probability and right or not of each clear group."""
    matrix = saved.matrix(rows)
    chances = probabilities(saved, matrix)
    found = []
    for label, line, outlier in zip(label_rows(rows), chances, saved.outliers(matrix), strict=True):
        if label.is_clear and outlier is not None:
            right = saved.classes[int(line.argmax())] == label.mode
            share = outlier.distance / outlier.limit
            found.append((share, bool(outlier.beyond), float(line.max()), right))
    return found


def main() -> None:
    """Print one line for each range of the distance."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", type=int, default=PARTS, help="parts of the zoos to leave out")
    found = []
    for saved, zoos in unseen_zoos(parser.parse_args().parts):
        for rows in zoos.values():
            found += judged(saved, rows)
    shares, beyond, sure, right = map(np.array, zip(*found, strict=True))
    print("| groups | number | right, % | mean probability, % | sure and wrong, % |")
    print("| --- | --- | --- | --- | --- |")
    masks = {"all others": (shares <= 1) & ~beyond, "out of distribution": (shares > 1) | beyond}
    for low, high in pairwise(ENDS):
        masks[f"distance / limit from {low:g} to {high:g}"] = (shares > low) & (shares <= high)
    masks["beyond all training groups in a quantity"] = beyond
    for name, mask in masks.items():
        wrong = ~right & (sure >= SURE)
        numbers = (100 * values[mask].mean() for values in (right, sure, wrong))
        print(f"| {name} | {mask.sum()} | {' | '.join(f'{number:.1f}' for number in numbers)} |")


if __name__ == "__main__":
    main()
