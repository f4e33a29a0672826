"""Fit the trees that come with mdtree: the general ones, those of the digits, the published ones.

    python scripts/ship_trees.py [ZOOS]       general and digits
    mdtree evaluate --benchmark --methods gains_facts,gains_files --json > scores.json
    python scripts/ship_trees.py --general --scores scores.json
    python scripts/ship_trees.py --published

The general trees learn gains from the whole reference collection (mdtree/data/reference), and are
the default for `standard-1`; `--general` fits these alone.  How right they are about zoos that they
have not seen, `mdtree evaluate --benchmark` says.

Without ZOOS, trees are fitted anew on the rows that come with mdtree. ZOOS holds the measured zoos
`digits` and `animals` (scripts/rebuild_reference_zoos.sh). The rows go to mdtree/data/zoos, without
what only pictures of single layers need; the trees go to mdtree/data/trees. The accuracy in a
tree's provenance is that of cross-validation: each cell of the grid (one width, one data amount) is
judged by a tree that was fitted on the other cells, see reliability.py.

The published trees are fitted on the table `basic_collection` of Zhou et al. (ICML 2024): 1,690
configurations of ResNet-18 on CIFAR-10.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reliability import accuracy, judged

import mdtree
from mdtree.evaluation.left_out import leave_one_zoo_out, mean_scores
from mdtree.failure_modes import TASKS
from mdtree.rows import Row, read_rows, rows_from_csv, write_rows
from mdtree.trees import SavedTree, write_tree
from mdtree.trees.bundled import PUBLISHED_TABLE, reference_collection, shipped_rows
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree

FOLDER = Path(mdtree.__file__).parent / "data"
DATA = {
    "digits": "84 groups of ResNet-18 on the digits of scikit-learn (8x8 pixels), two seeds each",
    "animals": "84 groups of ResNet-18 on Animal-MNIST (14x14 pixels), two seeds each",
}
SHIPPED = "digits"  # the zoo that has trees of its own, as an example of posteriors
OWN_TASKS = ("failure", "temperature")
PUBLISHED_TASKS = ("failure", "temperature", "width", "data")  # resources need trees of gains
# of the general trees: what their provenance calls it -> the method of the benchmark
METHODS = {"accuracy": "gains_facts", "accuracy_from_files": "gains_files"}
PUBLISHED = {
    "data": "1,690 configurations of ResNet-18 on CIFAR-10, five seeds each: the table "
    "`basic_collection` of github.com/YefanZhou/ModelDiagnosis",
    "paper": "Zhou et al.: MD tree: a model-diagnostic tree grown on loss landscape, ICML 2024",
    "licence of the data": "MIT License, Copyright (c) 2024 Yefan",
}
LEFT_OUT = "spectrum"  # the detail of all layers: half of a row


def main() -> None:
    """Write rows and trees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoos", type=Path, nargs="?")
    parser.add_argument("--general", action="store_true")
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--scores", type=Path, help="what `mdtree evaluate --benchmark` printed")
    options = parser.parse_args()
    if options.published:
        rows = rows_from_csv(PUBLISHED_TABLE, protocol="paper-1").rows
        _ship("published-cifar10-resnet18", rows, PUBLISHED, PUBLISHED_TASKS)
        return
    _ship_general(options.scores)
    if options.general:
        return
    root = options.zoos
    if root is None:
        known = {name: shipped_rows(f"{name}-standard-1") for name in DATA}
    else:
        known = _kept_rows(root)
    remarks = {"data": DATA[SHIPPED], "commands": "scripts/rebuild_reference_zoos.sh"}
    _ship(f"{SHIPPED}-standard-1", known[SHIPPED], remarks, OWN_TASKS)


def _ship_general(scores: Path | None) -> None:
    zoos = reference_collection()
    rows = [row for each in zoos.values() for row in each]
    shares = _left_out(zoos, scores)
    remarks = {
        "data": f"{len(rows)} groups of {len(zoos)} zoos: {', '.join(zoos)}",
        "commands": "scripts/train_reference_zoos.sh, scripts/ship_reference_rows.py",
    }
    for task in TASKS:
        told = remarks | {name: known[task] for name, known in shares.items() if task in known}
        saved = fit_tree(rows, task=task, method="gains", facts=True, provenance=told)
        _write(saved, "general-standard-1", task)


def _left_out(zoos: Mapping[str, Sequence[Row]], path: Path | None) -> dict[str, dict[str, str]]:
    """Say how right trees of all zoos but one are about that one: remark -> task -> share."""
    if path is None:
        results = leave_one_zoo_out(zoos, methods=list(METHODS.values()))
        scores = {name: mean_scores(by_zoo).numbers() for name, by_zoo in results.items()}
    else:
        methods = json.loads(path.read_text())["methods"]
        if any(methods[name]["zoos"].keys() != zoos.keys() for name in METHODS.values()):
            raise SystemExit(f"{path} is about other zoos than those that come with mdtree")
        scores = {name: methods[name]["mean"] for name in METHODS.values()}
    names = {"failure": "right", "temperature": "temperature", "resources": "resources"}
    how = f"mean over {len(zoos)} zoos, each left out in turn"
    ends = {"accuracy": how, "accuracy_from_files": f"from files alone; {how}"}
    return {
        remark: {
            task: f"{scores[method][name]:.1f} % ({ends[remark]})" for task, name in names.items()
        }
        for remark, method in METHODS.items()
    }


def _kept_rows(root: Path) -> dict[str, list[Row]]:
    """Write the rows of measured zoos; return those of standard-1."""
    (FOLDER / "zoos").mkdir(parents=True, exist_ok=True)
    known: dict[str, list[Row]] = {}
    for name in DATA:
        if not (root / name / "rows.jsonl").exists():
            print(f"{name}: not measured yet, left out")
            continue
        rows = [_kept(row) for row in read_rows(root / name / "rows.jsonl") if row.failure is None]
        for protocol in sorted({row.protocol for row in rows}):
            part = [row for row in rows if row.protocol == protocol]
            write_rows(FOLDER / "zoos" / f"{name}-{protocol}.jsonl", part)
        known[name] = [row for row in rows if row.protocol == "standard-1"]
    return known


def _kept(row: Row) -> Row:
    details = {name: d for name, d in (row.details or {}).items() if name != LEFT_OUT}
    return replace(row, details=details or None)


def _ship(name: str, rows: Sequence[Row], remarks: Mapping[str, str], tasks: Sequence[str]) -> None:
    for task in tasks:
        chosen, answers, _ = labelled(rows, task)
        told = {**remarks, "accuracy": accuracy(judged(chosen, answers, task))}
        _write(fit_tree(rows, task=task, provenance=told), name, task)


def _write(saved: SavedTree, name: str, task: str) -> None:
    """Write a tree; the joint one has the plain name."""
    stem = name if task == "failure" else f"{name}-{task}"
    write_tree(FOLDER / "trees" / f"{stem}.json", saved)
    print(f"{stem}: {saved.groups} groups", saved.provenance.get("accuracy", ""), flush=True)


if __name__ == "__main__":
    main()
