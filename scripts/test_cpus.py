"""Run what computes as other machines would: the same verdicts, and green tests.

    python scripts/test_cpus.py              # `make test-cpus`, about half an hour on two cores
    python scripts/test_cpus.py --verdicts   # the verdicts alone, a few minutes

Libraries choose their kernels by the processor, and sums come out with other last bits.  Here the
choice is made by hand, down to processors without AVX, with one, two and four threads, and with all
cores kept busy by other work.  Two things are checked:

- the verdicts of all rows that come with mdtree, by each joint tree of their protocol, are the
  same, and the probabilities of all trees agree to 1e-9;
- the tests of all parts that compute are green.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from under_load import busy

ROOT = Path(__file__).parent.parent
AGREE = 1e-9  # of probabilities

# what each library is told to take the processor for
OLD = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OPENBLAS_CORETYPE": "Nehalem",
}
USUAL = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
HERE: dict[str, str] = {}

# name -> what libraries are told, threads, and whether all cores have other work
MACHINES: dict[str, tuple[dict[str, str], int, bool]] = {
    "without AVX, one thread": (OLD, 1, False),
    "AVX2, two threads": (USUAL, 2, False),
    "as it is, four threads, busy": (HERE, 4, True),
}
KERNELS = {"without AVX": OLD, "AVX2": USUAL, "as it is": HERE}
THREADS = (1, 2, 4)

COMPUTING = (
    "cross_library", "landscape", "metrics", "spectra", "trees", "diagnosis", "evaluation",
    "reference", "training",
    "adaptation", "models", "datasets", "test_network.py", "test_items.py",
    "test_labelling.py", "test_losses.py", "test_api.py",
    "sequential_diagnosis", "test_compatibility.py", "zoo/test_train.py",
    "measurement/test_group.py", "cli/test_diagnose.py", "cli/test_measure.py",
    "cli/test_measure_landscape.py", "cli/test_measure_groups.py", "cli/test_trees.py",
    "cli/test_adapt.py", "render/test_phase_grid.py",
)  # fmt: skip

# group -> what the verdict says, and the probability of each class
Verdicts = dict[str, tuple[list[object], list[float]]]

VERDICTS = """
import json
from mdtree.diagnosis import Diagnoser
from mdtree.trees.bundled import published_rows, shipped_rows, shipped_trees
from mdtree.trees import probabilities
rows = [row for zoo in ("digits", "animals") for protocol in ("standard-1", "paper-1")
        for row in shipped_rows(f"{zoo}-{protocol}")] + published_rows()[::13]
found = {}
for name, saved in shipped_trees().items():
    diagnoser = Diagnoser(saved, name=name)
    own = [row for row in rows if row.protocol == saved.protocol]
    shares = probabilities(saved, saved.matrix(own))
    for row, share in zip(own, shares, strict=True):
        modes = []
        if saved.task == "failure":
            verdict = diagnoser(row)
            modes = [verdict.mode, verdict.likely, [step.feature for step in verdict.clues]]
        zoo = row.facts.get("zoo", "published")
        found[f"{name} {zoo} {row.group}"] = [modes, list(map(float, share))]
print(json.dumps(found))
"""


def environment(settings: dict[str, str], threads: int) -> dict[str, str]:
    """Make the environment of a machine."""
    count = str(threads)
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    own = {name: value for name, value in os.environ.items() if name not in OLD}
    return {**own, **settings, **counts, "MDTREE_TEST_THREADS": count}


def verdicts(settings: dict[str, str], threads: int) -> Verdicts:
    """Judge all rows that come with mdtree, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", VERDICTS],
        env=environment(settings, threads),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    judged: Verdicts = json.loads(ran.stdout)
    return judged


def differences(one: Verdicts, other: Verdicts) -> list[str]:
    """Name the groups whose verdicts differ."""
    differing = sorted(one.keys() ^ other.keys())
    for key in sorted(one.keys() & other.keys()):
        (modes, shares), (others, theirs) = one[key], other[key]
        far = any(abs(a - b) > AGREE for a, b in zip(shares, theirs, strict=True))
        if modes != others or far:
            differing.append(f"{key}: {modes} {shares} | {others} {theirs}")
    return differing


def same_verdicts() -> bool:
    """Compare the verdicts under all kernels and numbers of threads with those of this machine."""
    first = verdicts(HERE, 1)
    fine = True
    for name, settings in KERNELS.items():
        for threads in THREADS:
            differing = differences(first, verdicts(settings, threads))
            fine = fine and not differing
            said = (
                "\n  ".join(["differs", *differing[:10]])
                if differing
                else f"{len(first)} verdicts equal"
            )
            print(f"verdicts, {name}, {threads} threads: {said}", flush=True)
    return fine


def green(name: str) -> bool:
    """Run the tests of what computes as one machine would."""
    settings, threads, is_busy = MACHINES[name]
    files = [ROOT / "tests" / part for part in COMPUTING]
    print(f"tests, {name}:", flush=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not slow",
        "--dist",
        "loadfile",
        "-n",
        "2",
    ]
    with busy(os.cpu_count() or 1) if is_busy else contextlib.nullcontext():
        ran = subprocess.run(
            [*command, *map(str, dict.fromkeys(files))],
            env=environment(settings, threads),
            cwd=ROOT,
            check=False,
        )
    return ran.returncode == 0


def main() -> int:
    """Return 0 if all is the same everywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verdicts", action="store_true", help="the verdicts alone, no tests")
    only = parser.parse_args().verdicts
    answers = {"verdicts": same_verdicts()}
    if not only:
        answers |= {name: green(name) for name in MACHINES}
    for name, fine in answers.items():
        print(f"{name}: {'the same' if fine else 'DIFFERS'}")
    return 0 if all(answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
