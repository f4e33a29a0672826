"""Does `standard-1` keep what `paper-1` tells? Rank correlations over a small zoo on digits.

    python scripts/study_protocols.py ZOO_DIRECTORY [--json]

Trains 27 groups of two ResNet-18 (widths 2, 4, 8; batch sizes 16, 128, 1,024; 200, 500, 1,200
items) into the directory, measures them in both protocols, and prints Spearman's rank correlation
of each quantity between the two.  What is there already is kept, so it can be stopped and started
again.
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

from mdtree.config import Digits, LossSpec, ModelSpec, Trust, recipe_from_words
from mdtree.datasets import load_data
from mdtree.losses import build_loss
from mdtree.measure import Request, measure
from mdtree.measurements import PROTOCOLS, QUANTITIES, Measured, Row, read_rows
from mdtree.metrics import METRICS
from mdtree.models import build_model
from mdtree.training import Training, train

WIDTHS = (2, 4, 8)
BATCHES = (16, 128, 1024)
AMOUNTS = (200, 500, 1200)
SEEDS = (0, 1)
EPOCHS = 30
WORKERS = 2


def main() -> None:
    """Train, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument(
        "--metrics", default=",".join(n for n, m in METRICS.items() if not m.on_request)
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    members = list(itertools.product(WIDTHS, BATCHES, AMOUNTS, SEEDS))
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pool.starmap(_train, [(options.zoo, *member) for member in members], chunksize=1)
    rows = {
        protocol: _measured(options.zoo, protocol, tuple(options.metrics.split(",")))
        for protocol in PROTOCOLS
    }
    table = dict(_compared(rows["paper-1"], rows["standard-1"]))
    if options.json:
        print(json.dumps(table))
        return
    print("| quantity | groups | rank correlation |")
    print("| --- | --- | --- |")
    for name, (groups, correlation) in table.items():
        print(f"| {name} | {groups} | {correlation:.3f} |")


def _train(zoo: Path, width: int, batch: int, amount: int, seed: int) -> None:
    torch.set_num_threads(1)
    file = zoo / f"w{width}-b{batch}-n{amount}" / f"seed-{seed}.safetensors"
    if file.exists():
        return
    data = load_data(Digits(amount=amount), zoo, trust=Trust())
    spec = ModelSpec(factory="resnet18", kwargs={"width": width, "classes": 10, "channels": 1})
    how = Training(batch_size=batch, learning_rate=0.05, epochs=EPOCHS, seed=seed)
    model = build_model(spec, trust=Trust(), seed=seed)
    weights = train(model, data.train, build_loss(LossSpec(), Trust()), how)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file)


def _measured(zoo: Path, protocol: str, metrics: tuple[str, ...]) -> dict[str, Row]:
    recipe = recipe_from_words(
        {
            "model": {
                "factory": "resnet18",
                "kwargs": {"width": "$width", "classes": 10, "channels": 1},
            },
            "data": {"source": "digits", "amount": "$data_amount"},
            "pattern": "w{width}-b{batch_size}-n{data_amount}",
        }
    )
    request = Request(
        root=zoo,
        recipe=recipe,
        folder=zoo,
        trust=Trust(),
        protocol=protocol,
        metrics=metrics,
        seed=0,
        device="cpu",
        allow_download=False,
    )
    out = zoo / f"{protocol}.jsonl"
    measure(request, out=out, workers=WORKERS)
    return {row.group: row for row in read_rows(out)}


def _compared(paper: dict[str, Row], ours: dict[str, Row]):  # noqa: ANN202 - a short table
    for name in QUANTITIES:
        pairs = [
            (a.value, b.value)
            for group in paper
            if isinstance(a := paper[group].quantities.get(name), Measured)
            and isinstance(b := ours[group].quantities.get(name), Measured)
        ]
        if len(pairs) > 2:  # noqa: PLR2004 - a correlation
            yield name, (len(pairs), float(spearmanr(*zip(*pairs, strict=True)).statistic))


if __name__ == "__main__":
    main()
