"""Fit the trees that come with mdtree on the published table.

    python scripts/ship_published_trees.py

The table is the `basic_collection` of Zhou et al. (ICML 2024): 1,690 configurations of ResNet-18 on
CIFAR-10.  The trees' accuracy is that of cross-validation over the cells of the grid, see
reliability.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reliability import accuracy, judged

import mdtree
from mdtree.failure_modes import TASKS
from mdtree.rows import rows_from_csv
from mdtree.trees import write_tree
from mdtree.trees.bundled import PUBLISHED_TABLE
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree

NAME = "published-cifar10-resnet18"
PROVENANCE = {
    "data": "1,690 configurations of ResNet-18 on CIFAR-10, five seeds each: the table "
    "`basic_collection` of github.com/YefanZhou/ModelDiagnosis",
    "paper": "Zhou et al.: MD tree: a model-diagnostic tree grown on loss landscape, ICML 2024",
    "licence of the data": "MIT License, Copyright (c) 2024 Yefan",
}


def main() -> None:
    """Fit one tree for each task; the joint one has the plain name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?", default=PUBLISHED_TABLE)
    rows = rows_from_csv(parser.parse_args().table, protocol="paper-1").rows
    folder = Path(mdtree.__file__).parent / "data" / "trees"
    folder.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        chosen, answers, _ = labelled(rows, task)
        remarks = {**PROVENANCE, "accuracy": accuracy(judged(chosen, answers, task))}
        saved = fit_tree(rows, task=task, provenance=remarks)
        path = folder / (f"{NAME}.json" if task == "failure" else f"{NAME}-{task}.json")
        write_tree(path, saved)
        print(f"{path.name}: {saved.groups} groups, {remarks['accuracy']}")


if __name__ == "__main__":
    main()
