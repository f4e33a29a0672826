"""The one form of all benchmarks: paired runs, medians of ratios, a table, and figures as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from mdtree.exceptions import MdtreeError
from mdtree.runtime.device import pick_device
from mdtree.version import __version__


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A rival and ours, timed in turn."""

    name: str
    rival: list[float]  # seconds
    ours: list[float]  # seconds, each run beside the rival's of the same index
    target: float | None  # the largest ratio that is good enough; None: for information
    processor: Sequence[float] = ()  # ours / rival in processor seconds, of each pair

    @property
    def ratio(self) -> float:
        """Median of ours / rival over the pairs."""
        return statistics.median(o / r for o, r in zip(self.ours, self.rival, strict=True))

    @property
    def holds(self) -> bool:
        """Say whether the ratio meets its target."""
        return self.target is None or self.ratio <= self.target


def compare(
    name: str,
    rival: Callable[[], object],
    ours: Callable[[], object],
    *,
    runs: int,
    target: float | None,
) -> Comparison:
    """Warm both up, then time them in turn; who goes first changes from pair to pair."""
    seconds(rival)
    seconds(ours)
    times: dict[str, list[float]] = {"rival": [], "ours": []}
    processor: dict[str, list[float]] = {"rival": [], "ours": []}
    for number in range(runs):
        order = [("rival", rival), ("ours", ours)]
        for key, work in order if number % 2 == 0 else reversed(order):
            before = time.process_time()
            times[key].append(seconds(work))
            processor[key].append(time.process_time() - before)
    ratios = [o / r for o, r in zip(processor["ours"], processor["rival"], strict=True) if r]
    return Comparison(name=name, target=target, processor=ratios, **times)


def seconds(work: Callable[[], object]) -> float:
    """Time one run, with all that it has left to a GPU."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def announced(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Collect comparisons, and tell each as it comes: a run may take long."""
    collected = []
    for comparison in comparisons:
        of_processor = statistics.median(comparison.processor or [comparison.ratio])
        say(f"{comparison.name}: {comparison.ratio:.3f}, in processor seconds {of_processor:.3f}")
        collected.append(comparison)
    return collected


def say(text: str) -> None:
    """Tell how far a run has come."""
    print(f"# {text}", file=sys.stderr, flush=True)


def report(comparisons: Sequence[Comparison], *, as_json: bool) -> None:
    """Print a table in Markdown, or the figures as JSON."""
    if as_json:
        figures = {
            c.name: {
                "value": round(c.ratio, 4),
                "target": None if c.target is None else f"<= {c.target:g}",
                "holds": c.holds,
                "runs": len(c.ours),
                **({"processor": round(statistics.median(c.processor), 4)} if c.processor else {}),
            }
            for c in comparisons
        }
        print(json.dumps({"figures": figures}))
        return
    card = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_initialized() else ""
    print(
        f"mdtree {__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, {card}{torch.get_num_threads()} threads\n"
    )
    print("| figure | rival (s) | mdtree (s) | ratio | target | holds | runs |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for c in comparisons:
        target = "" if c.target is None else f"<= {c.target:g}"
        print(
            f"| {c.name} | {statistics.median(c.rival):.4f} | {statistics.median(c.ours):.4f} "
            f"| {c.ratio:.3f} | {target} | {'yes' if c.holds else 'NO'} | {len(c.ours)} |"
        )


def arguments(description: str | None, **own: str) -> argparse.Namespace:
    """Read the options that all benchmarks have, and `own` ones with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in own.items():
        parser.add_argument(f"--{name}", default=default, help=f"default: {default}")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer runs, and rougher figures")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, ...")
    options = parser.parse_args()
    try:
        device = torch.device(pick_device(options.device))
    except MdtreeError as error:
        parser.error(str(error))
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)  # for which runs wait, and which is named
    options.device = str(device)
    return options
