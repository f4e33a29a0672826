"""Study what measuring costs: told before, counted while it runs, and for the published zoo.

    python scripts/study_costs.py [--parts rows,runs,zoo] [--rate 1e13] [--most 2e4] [--price 2.5]

rows   the rows of the reference zoos: forward passes that were used, beside those that a dry run
       tells, and the seconds they took
runs   two groups of three networks, trained and measured now with each metric alone
zoo    the published zoo (configs/zoo-cifar10-paper.yaml): passes, and hours and money on GPUs.
       These rest on what is assumed of one GPU: multiplications in a second (--rate), images in a
       second at most, however narrow the network (--most), and money for an hour (--price)

Tables go to docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

import mdtree
from mdtree.cli import cli
from mdtree.landscape import ComputeCost
from mdtree.metrics import METRICS, Workload
from mdtree.models import resnet18
from mdtree.recipes import Zoo, read_zoo
from mdtree.rows import PROTOCOLS, Measured, Row, read_rows

ROOT = Path(__file__).parent.parent
ZOOS = Path(mdtree.__file__).parent / "data" / "zoos"
TEST_ITEMS = {"digits": 597, "animals": 3857}
FULL_ITEMS = {"digits": 1200, "animals": 6000}
USUAL = tuple(name for name, metric in METRICS.items() if not metric.on_request)

CIFAR_ITEMS, CIFAR_TEST = 50_000, 10_000
TRAINING = 4  # forward passes for an item forward and back
GPUS = (1, 8, 64)

TINY = {
    "format": 1,
    "model": {"factory": "cnn", "kwargs": {"width": 4}},
    "data": {"source": "digits", "amount": 600},
    "training": {"learning_rate": 0.05, "batch_size": "$batch_size", "epochs": 8},
    "grid": {"batch_size": [16, 512]},  # trained, and hardly trained
    "seeds": 3,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="rows,runs,zoo")
    parser.add_argument("--rate", type=float, default=1e13, help="assumed of one GPU")
    parser.add_argument("--most", type=float, default=2e4, help="assumed of one GPU")
    parser.add_argument("--price", type=float, default=2.5, help="assumed of one GPU")
    options = parser.parse_args()
    parts = {"rows": rows_table, "runs": _runs, "zoo": lambda: _zoo(options)}
    print("\n\n".join(parts[part]() for part in options.parts.split(",")))


def workload(row: Row) -> Workload:
    """Tell what a dry run would have known of a row of a reference zoo."""
    assert row.provenance is not None
    zoo = str(row.facts["zoo"])
    return Workload(
        members=len(row.provenance.weights),
        train_items=int(row.facts["data_amount"]),
        test_items=TEST_ITEMS[zoo],
        full_items=FULL_ITEMS[zoo],
        protocol=row.protocol,
    )


def estimated_passes(work: Workload, metrics: Iterable[str] = USUAL) -> float:
    """Tell the forward passes, as a dry run does."""
    return sum((METRICS[name].cost(work) for name in metrics), ComputeCost()).passes


def estimated_of_row(row: Row) -> float:
    """Tell the forward passes of the metrics that a row holds."""
    assert row.provenance is not None
    return estimated_passes(workload(row), row.provenance.metrics)


def counted_passes(row: Row) -> float:
    """Give the forward passes that were counted."""
    assert row.provenance is not None
    return row.provenance.passes or 0.0


def by_hand(row: Row) -> float:
    """Work out the passes from the steps and probes that the row says: the formulas of the page."""
    work = workload(row)
    k, n = work.members, work.train_items
    pairs, ordered = k - 1, k * (k - 1)
    top, probes, steps = (
        _iterations(row, name) for name in ("hessian_top", "hessian_trace", "connectivity")
    )
    errors = k * (n + work.test_items)
    if row.protocol == "paper-1":
        hessian = min(n, 200) * (4 * 2 * k + 8 * (top + probes))
        curve = 4 * steps * min(n, 128) + 10 * n * min(pairs, 1)
        return errors + hessian + curve + 2 * ordered * min(n, 768)
    m = min(n, 1024)
    spread = 12 if k == 1 else 0
    hessian = m * (4 * (top + probes / 4) + 8 * (top + probes) + spread)
    points = 16 * (m + min(m, 512)) * pairs
    checks = 3 * (steps / 75 + pairs) * min(n, 256)
    return errors + hessian + 4 * steps * min(n, 128) + points + checks + k * m * min(pairs, 1)


def _iterations(row: Row, name: str) -> int:
    value = row.quantities[name]
    return (value.iterations or 0) if isinstance(value, Measured) else 0


def rows_table() -> str:
    """Compare what the rows of the reference zoos used with what a dry run tells."""
    zoos = {path.stem: read_rows(path) for path in sorted(ZOOS.glob("*.jsonl"))}
    for protocol in PROTOCOLS:
        zoos[f"all, {protocol}"] = [
            row for rows in zoos.values() for row in rows if row.protocol == protocol
        ]
    ratio = ("used / told: 10 %", "median", "90 %", "largest", "all together")
    counts = ("more than twice", "of them, trace not converged", "explained to the item")
    passes = [_head("rows", "groups", *ratio, *counts)]
    paces = [_head("rows", "seconds for a million passes: 10 %", "median", "90 %")]
    for name, rows in zoos.items():
        ratios = np.array([counted_passes(row) / estimated_of_row(row) for row in rows])
        low, middle, high, most = np.quantile(ratios, [0.1, 0.5, 0.9, 1])
        total = sum(map(counted_passes, rows)) / sum(estimated_of_row(row) for row in rows)
        costly = [row for row, ratio in zip(rows, ratios, strict=True) if ratio > 2]  # noqa: PLR2004
        unsure = sum(not row.quantities["hessian_trace"].converged for row in costly)
        exact = sum(by_hand(row) == counted_passes(row) for row in rows)
        passes.append(
            f"| {name} | {len(rows)} | {low:.2f} | {middle:.2f} | {high:.2f} | {most:.2f} "
            f"| {total:.2f} | {len(costly)} | {unsure} | {exact} |"
        )
        pace = [
            1e6 * row.provenance.seconds / counted_passes(row) for row in rows if row.provenance
        ]
        low, middle, high = np.quantile(pace, [0.1, 0.5, 0.9])
        paces.append(f"| {name} | {low:.0f} | {middle:.0f} | {high:.0f} |")
    return "\n".join([*passes, "", *paces])


def _head(*names: str) -> str:
    return "| " + " | ".join(names) + " |\n| --- |" + " --- |" * (len(names) - 1)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a metric costs in one group."""

    estimated: float
    counted: float

    def __str__(self) -> str:
        ratio = f" ({self.counted / self.estimated:.2f})" if self.estimated else ""
        return f"{self.estimated:,.0f}, {self.counted:,.0f}{ratio}"


def runs(root: Path, metrics: Sequence[str] = tuple(METRICS)) -> dict[tuple[str, str, str], Cost]:
    """Train a tiny zoo and measure it with each metric: (protocol, metric, group) -> its cost."""
    (root / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    _mdtree("zoo", "train", root / "tiny.yaml", "--out", root / "zoo")
    costs = {}
    for protocol in PROTOCOLS:
        for metric in metrics:
            out = root / f"{protocol}-{metric}.jsonl"
            request = ("measure", root / "zoo", "--metrics", metric, "--protocol", protocol)
            before = json.loads(_mdtree(*request, "--out", out, "--dry-run", "--json"))
            _mdtree(*request, "--out", out)
            after = {row.group: counted_passes(row) for row in read_rows(out)}
            for group in before["groups"]:
                name = group["group"]
                costs[protocol, metric, name] = Cost(
                    estimated=group["forward_passes"], counted=after[name]
                )
    return costs


def _mdtree(*words: Any) -> str:
    """Run a command in this process."""
    ran = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    if ran.exit_code:
        raise SystemExit(ran.output)
    return ran.stdout


def _runs() -> str:
    with tempfile.TemporaryDirectory() as folder:
        costs = runs(Path(folder))
    groups = list(dict.fromkeys(group for _, _, group in costs))
    lines = [
        f"| {metric} | {protocol} | "
        + " | ".join(str(costs[protocol, metric, group]) for group in groups)
        + " |"
        for metric in METRICS
        for protocol in PROTOCOLS
    ]
    head = _head("metric", "protocol", *(f"{name}: told, used (used / told)" for name in groups))
    return "\n".join([head, *lines])


def published() -> Zoo:
    """Read the config of the published zoo."""
    return read_zoo(ROOT / "configs" / "zoo-cifar10-paper.yaml")


def estimated_published(
    protocol: str, amount: float = CIFAR_ITEMS, **metrics: Sequence[str]
) -> float:
    """Tell the forward passes of one group of the published zoo."""
    work = Workload(
        members=published().seeds,
        train_items=int(amount),
        test_items=CIFAR_TEST,
        full_items=CIFAR_ITEMS,
        protocol=protocol,
    )
    return estimated_passes(work, **metrics)


def jobs() -> dict[str, float]:
    """Count the passes of training and measuring all of it; every width has the same share."""
    zoo = published()
    amounts = [float(amount) for amount in zoo.grid["data_amount"]]
    same = len(zoo.grid["batch_size"]) * len(zoo.grid["width"])  # groups of each amount
    epochs = zoo.training.epochs or 0
    return {
        "train": same * zoo.seeds * TRAINING * epochs * sum(amounts),
        **{
            f"measure with {protocol}": same
            * sum(estimated_published(protocol, amount) for amount in amounts)
            for protocol in PROTOCOLS
        },
    }


def multiplications(width: int) -> int:
    """Count the multiplications (each with its addition) of one image of 32x32."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        resnet18(width).eval()(torch.empty(1, 3, 32, 32))
    return int(counter.get_total_flops()) // 2


def _zoo(options: argparse.Namespace) -> str:
    zoo = published()
    count = len(list(zoo.points()))
    metrics = [_head("metric", *PROTOCOLS)]
    for name in USUAL:
        passes = [estimated_published(protocol, metrics=[name]) for protocol in PROTOCOLS]
        metrics.append(f"| {name} | " + " | ".join(f"{each:,.0f}" for each in passes) + " |")
    images = {}
    widths = [_head("width", "million multiplications", "images a second")]
    for width in map(int, zoo.grid["width"]):
        work = multiplications(width)
        images[width] = min(options.most, options.rate / work)
        widths.append(f"| {width} | {work / 1e6:,.2f} | {images[width]:,.0f} |")
    speed = statistics.harmonic_mean(images.values())  # as many passes at each width
    prices = [_head("job", "forward passes", *(f"{gpus} GPU" for gpus in GPUS), "money")]
    for job, total in jobs().items():
        hours = total / speed / 3600
        times = "".join(f" {hours / gpus:,.1f} h |" for gpus in GPUS)
        prices.append(f"| {job} | {total:.3g} |{times} {hours * options.price:,.0f} |")
    return "\n".join(
        [
            f"A group of {zoo.seeds} networks, {CIFAR_ITEMS:,} training items, forward passes:\n",
            *metrics,
            f"\nAssumed: --rate {options.rate:g} --most {options.most:g}\n",
            *widths,
            f"\nAll {count:,} groups, {speed:,.0f} images a second, --price {options.price:g}:\n",
            *prices,
        ]
    )


if __name__ == "__main__":
    main()
