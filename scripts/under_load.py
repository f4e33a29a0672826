"""Run tests again and again while every core is kept busy by other work.

    python scripts/under_load.py         the tests of workers that `make test` runs, 20 times
    python scripts/under_load.py --all   those that are slow as well: clusters that come and go
    python scripts/under_load.py --times 3 tests/cli/test_zoo.py

Exit code 1 if any of them fails.  A test that waits for a clock, instead of what the clock stands
for, does so sooner or later.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mdtree.runtime.cores import cores

ROOT = Path(__file__).parent.parent
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:  # it ends with the one that has started it
    sum(range(10**6))
"""


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep that many cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def tested(words: list[str]) -> bool:
    """Run the tests once, and say in a line what came of it; what has failed is told in full."""
    started = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        print(ran.stdout + ran.stderr)
    last = (ran.stdout.strip().splitlines() or ["nothing was said"])[-1]
    print(f"{time.perf_counter() - started:.0f} s: {last}", flush=True)
    return ran.returncode == 0


def main() -> int:
    """Do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20, help="how often (default: 20)")
    parser.add_argument(
        "--busy", type=int, default=cores(), help="processes beside (default: one for each core)"
    )
    parser.add_argument("--all", action="store_true", help="slow tests too")
    parser.add_argument("tests", nargs="*", help="files (default: all tests of workers)")
    asked = parser.parse_args()
    words = asked.tests or [str(ROOT / "tests" / "executors")]
    words += [] if asked.all else ["-m", "not slow"]
    with busy(asked.busy):
        passed = sum(tested(words) for _ in range(asked.times))
    print(f"{passed} of {asked.times} runs passed beside {asked.busy} busy processes")
    return int(passed < asked.times)


if __name__ == "__main__":
    sys.exit(main())
