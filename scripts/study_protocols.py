"""Does `standard-1` keep what `paper-1` tells? Rank correlations over a small zoo.

    python scripts/study_protocols.py ZOO_DIRECTORY [--data FOLDER --amounts 500,2000,8000]

Trains 27 groups of two ResNet-18 (widths 2, 4, 8; batch sizes 16, 128, 1,024; three amounts of
data) into the directory, measures them in both protocols, and prints Spearman's rank correlation of
each quantity between the two, and between paper-1 and paper-1 with another seed, which no other
protocol can be expected to exceed.  FOLDER holds train.npz and test.npz; without it, the data are
scikit-learn's digits.  What is there already is kept, so it can be stopped and started again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
from pathlib import Path

import torch
from safetensors.torch import save_file
from scipy.stats import spearmanr

from mdtree.datasets import load_data
from mdtree.executors import ExecutorConfig
from mdtree.losses import build_loss
from mdtree.measurement import Request, measure
from mdtree.models import build_model
from mdtree.recipes import Recipe, Trust, bind, recipe_from_words
from mdtree.rows import QUANTITIES, Measured, Row, read_rows
from mdtree.training.loop import Training, train

WIDTHS = (2, 4, 8)
BATCHES = (16, 128, 1024)
SEEDS = (0, 1)
EPOCHS = 30
WORKERS = 2
METRICS = ("error_rate", "hessian", "connectivity", "similarity")


def main() -> None:
    """Train, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--amounts", default="200,500,1200")
    parser.add_argument("--seed", type=int, default=1, help="of the second run of paper-1")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    amounts = [int(amount) for amount in options.amounts.split(",")]
    members = list(itertools.product(WIDTHS, BATCHES, amounts, SEEDS))
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        jobs = [(options.zoo, options.data, *member) for member in members]
        pool.map(_train, jobs, chunksize=1)
    standard = _measured(options, "standard-1", 0)
    paper = _measured(options, "paper-1", 0)
    again = _measured(options, "paper-1", options.seed)
    table = {
        name: (len(pairs), _correlation(pairs), _correlation(_pairs(paper, again, name)))
        for name in QUANTITIES
        if len(pairs := _pairs(paper, standard, name)) > 2  # noqa: PLR2004 - a correlation
    }
    if options.json:
        print(json.dumps(table))
        return
    print("| quantity | groups | standard-1 and paper-1 | paper-1 and another seed |")
    print("| --- | --- | --- | --- |")
    for name, (groups, ours, ceiling) in table.items():
        print(f"| {name} | {groups} | {ours:.3f} | {ceiling:.3f} |")


def _train(job: tuple[Path, Path | None, int, int, int, int]) -> None:
    torch.set_num_threads(1)
    zoo, folder, width, batch, amount, seed = job
    file = zoo / f"w{width}-b{batch}-n{amount}" / f"seed-{seed}.safetensors"
    if file.exists():
        return
    recipe = _recipe(folder)
    facts = {"width": width, "data_amount": amount}
    data = load_data(bind(recipe.data, facts), zoo, trust=Trust())
    how = Training(batch_size=batch, learning_rate=0.05, epochs=EPOCHS, seed=seed)
    model = build_model(bind(recipe.model, facts), trust=Trust(), seed=seed)
    weights = train(model, data.train, build_loss(recipe.loss, Trust()), how)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file)


def _recipe(folder: Path | None) -> Recipe:
    data: dict[str, object] = {"source": "digits"}
    if folder is not None:
        here = folder.absolute()
        files = {half: str(here / f"{half}.npz") for half in ("train", "test")}
        data = {"source": "tensors", **files}
    network = {"width": "$width", "classes": 10, "channels": 1}
    return recipe_from_words(
        {
            "model": {"factory": "resnet18", "kwargs": network},
            "data": {**data, "amount": "$data_amount"},
            "pattern": "w{width}-b{batch_size}-n{data_amount}",
        }
    )


def _measured(options: argparse.Namespace, protocol: str, seed: int) -> dict[str, Row]:
    request = Request(
        root=options.zoo,
        recipe=_recipe(options.data),
        folder=options.zoo,
        trust=Trust(),
        protocol=protocol,
        metrics=METRICS,
        seed=seed,
        device="cpu",
        allow_download=False,
    )
    out = options.zoo / f"{protocol}-{seed}.jsonl"
    measure(request, out=out, executor=ExecutorConfig(workers=WORKERS))
    return {row.group: row for row in read_rows(out)}


def _pairs(first: dict[str, Row], second: dict[str, Row], name: str) -> list[tuple[float, float]]:
    return [
        (a.value, b.value)
        for group in first
        if isinstance(a := first[group].quantities.get(name), Measured)
        and isinstance(b := second[group].quantities.get(name), Measured)
    ]


def _correlation(pairs: list[tuple[float, float]]) -> float:
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


if __name__ == "__main__":
    main()
