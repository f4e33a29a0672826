"""How fast our tree is fitted beside the published search, and what `mdtree evaluate` takes.

    python scripts/bench_trees.py TABLE.csv [--quick] [--json]

Fits are timed in turn on the same 96 rows (case 1, first seed).  The rival of the whole evaluation
is its budget of 60 seconds: all cases and methods on 1,690 training and 1,690 test rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from benchmark import Comparison, compare, report

from mdtree.evaluation import CASES, SEEDS
from mdtree.evaluation.benchmark import chosen
from mdtree.rows import rows_from_csv
from mdtree.trees import (
    LANDSCAPE,
    PUBLISHED,
    PosteriorTree,
    PublishedTree,
    feature_matrix,
    template_features,
)
from mdtree.trees.bundled import PUBLISHED_TABLE
from mdtree.trees.examples import labelled

BUDGET = 60.0  # seconds


def main() -> None:
    """Run both comparisons and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?", default=PUBLISHED_TABLE)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    options = parser.parse_args()
    runs = 50 if options.quick else 300
    comparisons = [_fitting(options.table, runs), _evaluating(options.table)]
    report(comparisons, as_json=options.json)


def _fitting(table: Path, runs: int) -> Comparison:
    rows, answers, _ = labelled(rows_from_csv(table, protocol="paper-1").rows, "temperature")
    mask = chosen(CASES["1"], rows, SEEDS[0])
    labels = np.array(answers)[mask]
    asked = template_features(PUBLISHED["temperature"])
    landscape, published = (feature_matrix(rows, f)[mask] for f in (LANDSCAPE, asked))
    return compare(
        "fit on 96 rows: posterior / published search",
        lambda: PublishedTree(features=asked).fit(published, labels),
        lambda: PosteriorTree(features=LANDSCAPE).fit(landscape, labels),
        runs=runs,
        target=1.0,
    )


def _evaluating(table: Path) -> Comparison:
    command = [str(Path(sys.executable).parent / "mdtree"), "evaluate", "--json"]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--train", str(table), "--test", str(table)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Comparison(
        name="mdtree evaluate, all cases and methods / 60 s",
        rival=[BUDGET],
        ours=[time.perf_counter() - started],
        target=1.0,
    )


if __name__ == "__main__":
    main()
