"""What workers bring and cost: two processes beside one, Ray beside processes, and the scheduler.

    python scripts/bench_workers.py [--groups 48] [--runs 3] [--quick] [--json]

A zoo of small ResNets on scikit-learn's digits is measured: by one worker with all threads, by two
processes with one thread each, and by two actors of a Ray cluster that runs already.  Starting
workers counts.  The overhead is that of 10^2 to 10^5 instant items for two processes, and a row
appended for each: seconds for one item, once both workers are at work, beside those of 10^2 items.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from benchmark import Comparison, announced, arguments, report, say
from safetensors.torch import save_file

from mdtree.executors import HERE, ExecutorConfig, run
from mdtree.measurement import Request, measure
from mdtree.models import resnet18
from mdtree.recipes import Trust, recipe_from_words
from mdtree.rows import Measured, Row, Store
from mdtree.runtime.device import one_thread

WIDTH = 4
ITEMS = 30
METRICS = ("error_rate", "similarity", "hessian")  # about two seconds
TWO = ExecutorConfig(workers=2)
_STARTING = 1_000  # instant items

Work = Callable[[], None]


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, groups="48", runs="3")
    groups, runs = (16, 1) if options.quick else (int(options.groups), int(options.runs))
    with tempfile.TemporaryDirectory() as name:
        request = _zoo(Path(name), groups)
        comparisons = announced(_throughput(request, groups, runs))
    comparisons += announced(
        _overheads((1_000, 10_000) if options.quick else (1_000, 10_000, 100_000))
    )
    report(comparisons, as_json=options.json)


def _zoo(root: Path, groups: int) -> Request:
    for number in range(groups):
        for seed in range(2):
            torch.manual_seed(2 * number + seed)
            file = root / f"group-{number:03}" / f"seed-{seed}.safetensors"
            file.parent.mkdir(exist_ok=True)
            save_file(resnet18(WIDTH, 10, 1).state_dict(), file)
    kwargs = {"width": WIDTH, "classes": 10, "channels": 1}
    words = {
        "model": {"factory": "resnet18", "kwargs": kwargs},
        "data": {"source": "digits", "amount": ITEMS},
    }
    return Request(
        root=root,
        recipe=recipe_from_words(words),
        folder=root,
        trust=Trust(),
        protocol="standard-1",
        metrics=METRICS,
        seed=0,
        device="cpu",
        allow_download=False,
    )


def _throughput(request: Request, groups: int, runs: int) -> Iterable[Comparison]:
    def work(executor: ExecutorConfig) -> None:
        with tempfile.TemporaryDirectory() as folder:
            done = measure(request, out=Path(folder) / "rows.jsonl", executor=executor)
            assert done.measured == groups, done.failed

    two = partial(work, TWO)
    name = f"two workers / one with all threads, {groups} groups"
    yield _paired(name, partial(work, HERE), two, runs=runs, target=1 / 1.7)
    with one_thread():
        name = f"two workers / one with one thread, {groups} groups"
        yield _paired(name, partial(work, HERE), two, runs=runs, target=None)
    try:
        import ray
    except ImportError:
        say("Ray is not installed: not compared")
        return
    started = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    say(f"starting a Ray cluster took {time.perf_counter() - started:.1f} s")
    on_ray = partial(work, ExecutorConfig(workers=2, ray="local"))
    yield _paired("two workers on Ray / two processes", two, on_ray, runs=runs, target=1.15)
    ray.shutdown()


def _paired(name: str, rival: Work, ours: Work, *, runs: int, target: float | None) -> Comparison:
    """Time both in turn, without warming up: the start of workers is a part of the work."""
    times = [(_timed(rival), _timed(ours)) for _ in range(runs)]
    return Comparison(
        name=name, rival=[r for r, _ in times], ours=[o for _, o in times], target=target
    )


def _timed(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _overheads(counts: tuple[int, ...]) -> Iterable[Comparison]:
    few = _seconds(100)
    for count in counts:
        name = f"driver for each of {count:,} instant groups / of 100"
        yield Comparison(name=name, rival=[few], ours=[_seconds(count)], target=1.5)


def _seconds(count: int) -> float:
    """Time one instant item, its row appended, once the workers have started."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "rows.jsonl") as store:
        items = run(instant, range(_STARTING + count), TWO)
        for _ in range(_STARTING):  # until both workers are at work
            next(items)
        started = time.perf_counter()
        for done in items:
            assert done.result is not None
            store.append(done.result)
        return (time.perf_counter() - started) / count


def instant(number: int) -> Row:
    """Make a row without any measuring."""
    return Row(
        format=1,
        group=f"group-{number}",
        protocol="standard-1",
        facts={"width": 8},
        quantities={"train_error": Measured(value=float(number))},
    )


if __name__ == "__main__":
    main()
