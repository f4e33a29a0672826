"""What a verdict costs beside measuring everything: the same groups, the same entry points.

    python scripts/bench_verdict.py [--width 8] [--runs 3] [--quick] [--json]

Five groups of two networks (a CNN on scikit-learn's digits), sound and with four faults, are
trained for some seconds.  Then `mdtree.measure` with all usual metrics, and `mdtree.diagnose`,
measure all of them from nothing, in turn.  Forward passes are counted as well: they do not depend
on what else the machine does.  Verdicts at full precision are shown beside those as needed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import yaml
from benchmark import Comparison, announced, arguments, compare, report, say
from safetensors.torch import save_file

import mdtree
from mdtree.datasets.digits import digits
from mdtree.losses import build_loss
from mdtree.measurement import clear_caches
from mdtree.models import cnn
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import read_rows
from mdtree.training.loop import Training, train

MUST = 0.3
SEEDS = 2
# group -> share of the width, learning rate, batch size, items
GROUPS = {
    "sound": (1.0, 0.05, 32, 1200),
    "cold": (1.0, 0.0005, 256, 1200),
    "hot": (1.0, 0.5, 16, 1200),
    "narrow": (0.25, 0.05, 32, 1200),
    "few": (1.0, 0.05, 32, 100),
}
EPOCHS = 12


def main() -> None:
    """Run the comparisons and print them."""
    options = arguments(__doc__, width="8", runs="3")
    runs = 1 if options.quick else int(options.runs)
    with tempfile.TemporaryDirectory() as folder:
        places = write_groups(Path(folder), int(options.width))
        report(announced(comparisons(places, runs, options.device)), as_json=options.json)


def write_groups(folder: Path, width: int) -> list[Path]:
    """Train the groups, each with its own recipe: they differ in width and data."""
    places = []
    data, _ = digits()
    loss = build_loss(LossSpec(), Trust())
    for name, (share, rate, batch, amount) in GROUPS.items():
        own = max(int(share * width), 1)
        items = data.take(torch.arange(amount))
        place = folder / name
        (place / name).mkdir(parents=True)
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            how = Training(batch_size=batch, learning_rate=rate, epochs=EPOCHS, seed=seed)
            weights = train(cnn(width=own), items, loss, how, lambda each: each)
            save_file(dict(weights), place / name / f"seed-{seed}.safetensors")
        facts = {"batch_size": batch, "learning_rate": rate, "width": own}
        recipe = {
            "model": {"factory": "cnn", "kwargs": {"width": own}},
            "data": {"source": "digits", "amount": amount, "subset": "first"},
            "facts": facts,
        }
        (place / "mdtree.yaml").write_text(yaml.safe_dump(recipe))
        places.append(place)
    return places


def comparisons(places: list[Path], runs: int, device: str) -> Iterator[Comparison]:
    """Compare verdicts with all quantities, in seconds and in what was run."""
    whole = _Work(places, partial(mdtree.measure, device=device))
    needed = _Work(places, partial(mdtree.diagnose, device=device))
    name = "verdict as precise as needed / all quantities"
    yield compare(name, whole, needed, runs=runs, target=MUST)
    yield Comparison(
        name="the same in seconds of the processor",
        rival=whole.processor[-runs:],
        ours=needed.processor[-runs:],
        target=MUST,
    )
    yield Comparison(
        name="the same in forward passes", rival=[whole.passes], ours=[needed.passes], target=MUST
    )
    to_the_end = _Work(places, partial(mdtree.diagnose, device=device, full_precision=True))
    to_the_end()
    yield Comparison(
        name="verdict at full precision / all quantities, forward passes",
        rival=[whole.passes],
        ours=[to_the_end.passes],
        target=None,
    )


class _Work:
    """Measures each group from nothing, and counts forward passes."""

    def __init__(self, places: list[Path], work: Callable[..., object]) -> None:
        self._places, self._work = places, work
        self.passes = 0.0
        self.processor: list[float] = []  # seconds of each run

    def __call__(self) -> None:
        passes, verdicts = [], list[str]()
        started = time.process_time()
        for place in self._places:
            clear_caches()
            out = place / "rows.jsonl"
            out.unlink(missing_ok=True)
            found = self._work(place, out=out)
            if isinstance(found, mdtree.Verdicts):
                verdicts.append(found[0].mode)
            (row,) = read_rows(out)
            assert row.provenance is not None
            passes.append(row.provenance.passes or 0.0)
        self.processor.append(time.process_time() - started)
        self.passes = sum(passes)
        if verdicts:
            say(f"verdicts: {', '.join(verdicts)}")
        say(f"forward passes: {dict(zip(GROUPS, passes, strict=True))}")


if __name__ == "__main__":
    main()
