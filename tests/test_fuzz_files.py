"""Whatever a file holds, each reader ends well or with an MdtreeError, in little memory.

Another seed, and more: `python -m tests.support.fuzzing torch 100000 7`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

# reader -> variants; all together take about a minute
COUNTS = {
    "torch": 1500,
    "legacy": 1500,
    "safetensors": 3000,
    "index": 1500,
    "data": 1500,
    "rows": 1000,
    "table": 1500,
    "tree": 60,
    "recipe": 300,
    "config": 150,
}


@pytest.mark.slow
@pytest.mark.parametrize("reader", COUNTS)
def test_a_reader_gives_a_value_or_an_error_of_ours_whatever_a_file_holds(reader, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.fuzzing", reader, str(COUNTS[reader])],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    # most variants are damaged enough to be refused: the fuzzer damages what matters
    assert int(ran.stdout.split()[-2]) > COUNTS[reader] / 20
