"""How right verdicts are where all zoos of the same data are left out together.

    python scripts/study_data.py              # fifteen minutes of a core
    python scripts/study_data.py --parts 2    # two of the eight

Leaving out one zoo leaves others in that have the same data, or the same generator.  Here an eighth
of the zoos is left out at a time, once as they come and once with all zoos of the same data in the
same eighth, so that nothing of such data has been seen, as it is with data of somebody else.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence

from left_out import PARTS, data_of, unseen_zoos

from mdtree.evaluation.left_out import LeftOutScores, left_out_scores, mean_scores
from mdtree.evaluation.left_out_methods import CLASSES, Answers
from mdtree.labelling import label_rows
from mdtree.rows import Row
from mdtree.trees import SavedTree

_COLUMNS = ("right", "temperature", "resources", "lost", "right_sure", "wrong_sure")


def scores(saved: SavedTree, rows: Sequence[Row]) -> LeftOutScores:
    """Score what a tree says about a zoo."""
    model = saved.gain_model
    assert model is not None
    outcomes = model.outcomes(saved.matrix(rows), saved.features, saved.classes)
    places = [saved.classes.index(name) for name in CLASSES]
    answers = Answers(probabilities=outcomes.probabilities[:, places])
    return left_out_scores(answers, label_rows(rows))


def line(name: str, found: Mapping[str, LeftOutScores]) -> str:
    """Write one line of the table: means over zoos."""
    mean = mean_scores(found)
    values = [getattr(mean, column) for column in _COLUMNS]
    numbers = " | ".join("" if math.isnan(value) else f"{value:.1f}" for value in values)
    return f"| {name} | {len(found)} | {numbers} | {mean.ece:.3f} |"


def main() -> None:
    """Print a table: both ways to leave zoos out, and each kind of data."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parts", type=int, default=PARTS, help="parts of the zoos to leave out")
    parts = parser.parse_args().parts
    heads = ("left out", "zoos", *(column.replace("_", " ") for column in _COLUMNS), "ECE")
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    whole: dict[str, LeftOutScores] = {}
    for name, together in (("zoos as they come", False), ("all zoos of the same data", True)):
        whole = {
            zoo: scores(saved, rows)
            for saved, zoos in unseen_zoos(parts, whole=together)
            for zoo, rows in zoos.items()
        }
        print(line(name, whole), flush=True)
    by_data: dict[str, dict[str, LeftOutScores]] = {}
    for zoo, score in whole.items():
        by_data.setdefault(data_of(zoo), {})[zoo] = score
    for data, found in sorted(by_data.items(), key=lambda item: mean_scores(item[1]).right):
        print(line(f"all zoos of {data}", found))


if __name__ == "__main__":
    main()
