"""How often a wrong learning rate is named: five trainers, three learning rates, two seeds.

    python scripts/planted_rates.py FOLDER [--only NAME]

The training scripts are those that the pages in docs/getting-started show, and only their learning
rate and seed are changed: one that suits the network, 100 times that, and a thousandth of it.
`mdtree diagnose` then gets what a user would give it, the directories of both seeds, the data, and
where no file names the network, `--model`.  Learning rate, batch and steps come from the files of
the trainer.  A trainer whose package is not installed is left out.  The runs stay in FOLDER, so a
study that was stopped goes on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs" / "getting-started"
SEEDS = (0, 1)
# planted -> the factor of a suitable learning rate, and the verdict that it calls for
PLANTED = {
    "suitable": (1.0, None),
    "100 times too large": (100.0, "temperature_high"),
    "1,000 times too small": (0.001, "temperature_low"),
}
_FILE = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_RATE = re.compile(r"^learning_rate(, seed)? = .*$", re.MULTILINE)
# what the command does for tests, too: torchvision that does not fit to torch is no hindrance
_RUN = (
    "import os, runpy, sys; sys.path.insert(0, os.getcwd())\n"
    "from mdtree.runtime.torchvision import usable\n"
    "with usable(): runpy.run_path(sys.argv[1], run_name='__main__')"
)


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """A page's training script, and what its user tells mdtree."""

    page: str
    script: str
    run: str  # where the script leaves its run
    rate: float  # that suits the network
    needs: tuple[str, ...] = ()
    model: str | None = None
    data: tuple[str, str] = ("train.npz", "test.npz")


TRAINERS = {
    "BERT, Trainer": Trainer(
        page="trainer",
        script="bert.py",
        run="out",
        rate=0.003,
        needs=("transformers", "accelerate"),
    ),
    "GPT-2, Trainer": Trainer(
        page="trainer",
        script="gpt2.py",
        run="out-gpt2",
        rate=0.003,
        needs=("transformers", "accelerate"),
        data=("texts.npz", "new-texts.npz"),
    ),
    "MLP, Lightning": Trainer(
        page="lightning",
        script="train.py",
        run="logs/version_0",
        rate=0.002,
        needs=("lightning",),
        model="train:Digits",
    ),
    "ResNet, timm": Trainer(
        page="timm",
        script="train.py",
        run="output/test_resnet",
        rate=0.002,
        needs=("timm",),
        model="timm",
    ),
    "ViT, timm": Trainer(
        page="timm",
        script="train.py",
        run="output/vit_tiny_patch16_224",
        rate=0.002,
        needs=("timm",),
        model="timm",
    ),
    "MLP, plain loop": Trainer(
        page="runs", script="loop.py", run="run-{seed}", rate=0.2, model="network:make"
    ),
}


def main() -> None:
    """Train, diagnose, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=TRAINERS, help="one trainer")
    options = parser.parse_args()
    print("| network, trainer | learning rate | verdict | likeliest answers | right |")
    print("| --- | --- | --- | --- | --- |")
    right = []
    for name, trainer in TRAINERS.items():
        if options.only not in (None, name):
            continue
        if missing := [each for each in trainer.needs if importlib.util.find_spec(each) is None]:
            print(f"| {name} | | left out: {', '.join(missing)} not installed | | |")
            continue
        for planted, (factor, wanted) in PLANTED.items():
            rate = trainer.rate * factor
            folders = list(trained(options.folder, trainer, planted, rate))
            verdict = diagnosed(folders, trainer)
            right.append(is_right(verdict["mode"], wanted))
            print(
                f"| {name} | {rate:g}: {planted} | {shown(verdict)} | {likeliest(verdict)} | "
                f"{'yes' if right[-1] else 'no'} |",
                flush=True,
            )
    print(f"\nright {sum(right)} of {len(right)}")


def is_right(mode: str, wanted: str | None) -> bool:
    """Say whether a verdict names the temperature that was planted, or none where none was."""
    return mode == wanted if wanted else mode not in ("temperature_high", "temperature_low")


def trained(folder: Path, trainer: Trainer, planted: str, rate: float) -> Iterator[Path]:
    """Run the script of a page once for each seed."""
    text = (DOCS / f"{trainer.page}.md").read_text()
    for seed in SEEDS:
        words = [trainer.page, trainer.script.removesuffix(".py"), *planted.split(), str(seed)]
        place = (folder / "-".join(words).replace(",", "")).resolve()
        if not (place / "done").exists():
            place.mkdir(parents=True, exist_ok=True)
            for file, script in _FILE.findall(text):
                (place / file).write_text(_RATE.sub(planted_line(rate, seed), script))
            _called(["-c", _RUN, trainer.script], place)
            (place / "done").touch()
        yield place


def planted_line(rate: float, seed: int) -> Callable[[re.Match[str]], str]:
    """Return what the line with the learning rate becomes, and with the seed where it has one."""
    return lambda line: (
        f"learning_rate, seed = {rate!r}, {seed}" if line[1] else f"learning_rate = {rate!r}"
    )


def diagnosed(folders: list[Path], trainer: Trainer) -> dict:
    """Ask the command as a user would, in the folder of the first seed."""
    runs = [
        str(folder / trainer.run.format(seed=s)) for s, folder in zip(SEEDS, folders, strict=True)
    ]
    train, test = trainer.data
    command = ["diagnose", *runs, "--data", train, "--data-arg", f"test={test}", "--json"]
    command += ["--rows", "rows.jsonl"]
    command += [] if trainer.model is None else ["--model", trainer.model]
    return json.loads(_called(["-m", "mdtree", *command], folders[0]))["verdicts"][0]


def _called(words: list[str], folder: Path) -> str:
    own = str(DOCS.parent.parent)
    path = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise SystemExit(ran.stderr[-2000:])
    return ran.stdout


def shown(verdict: dict) -> str:
    """Return a verdict with its probability."""
    return f"{verdict['mode']} ({100 * verdict['probability']:.0f} %)"


def likeliest(verdict: dict) -> str:
    """Return the two most probable answers."""
    known = sorted(verdict["probabilities"].items(), key=lambda item: -item[1])
    return ", ".join(f"{mode} {100 * p:.0f} %" for mode, p in known[:2])


if __name__ == "__main__":
    main()
