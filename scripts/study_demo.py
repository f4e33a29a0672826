"""How often the demo finds the fault that it planted, as it is.

    python scripts/study_demo.py FOLDER [--seeds 10] [--workers 2]

Every fault is planted in `--seeds` pairs of networks that no tree has seen, each measured as far as
its verdict needs.  The networks stay in FOLDER, so a study that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from mdtree.zoo import FAULTS


def main() -> None:
    """Run all demos, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    runs = list(product(range(options.seeds), FAULTS))
    with ThreadPoolExecutor(options.workers) as pool:
        answers = list(pool.map(lambda run: verdict(options.folder, run[1], run[0]), runs))
    print("| planted | right | verdicts | likeliest answers | unlike the training groups |")
    print("| --- | --- | --- | --- | --- |")
    for fault in FAULTS:
        mine = [
            answer for (_, planted), answer in zip(runs, answers, strict=True) if planted == fault
        ]
        right = sum(answer["mode"] == fault for answer in mine)
        outside = sum(is_outside(answer["outlier"]) for answer in mine)
        print(
            f"| {fault} | {right} of {len(mine)} | {counted(answer['mode'] for answer in mine)} | "
            f"{counted(answer['likely'] for answer in mine)} | {outside} |",
            flush=True,
        )


def verdict(folder: Path, fault: str, seed: int) -> dict[str, object]:
    """Run one demo, and judge what it measured."""
    mdtree = [sys.executable, "-m", "mdtree"]
    out = folder / (fault if seed == 0 else f"{fault}-{seed}")
    if not (out / "report.html").exists():
        command = [*mdtree, "demo", "--fault", fault, "--seed", str(seed), "--out", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    judged = [*mdtree, "diagnose", str(out / "rows.jsonl"), "--json"]
    ran = subprocess.run(judged, check=True, capture_output=True, text=True)
    (answer,) = json.loads(ran.stdout)["verdicts"]
    return answer


def is_outside(outlier: dict) -> bool:
    """Say whether the page would call a group unlike all others."""
    return outlier["distance"] > outlier["limit"] or bool(outlier["beyond"])


def counted(names: object) -> str:
    """Count words, the most frequent first."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())


if __name__ == "__main__":
    main()
