"""Try what was installed from a wheel: the command starts, and judges a row.

    .venv-wheel/bin/python -I scripts/smoke_wheel.py    # part of `make smoke`

-I keeps the checkout out of sys.path, so the installed package is the one that is tried.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mdtree
from mdtree.rows import write_rows
from mdtree.trees.bundled import shipped_rows

COMMAND = Path(sys.executable).with_name("mdtree")
GROUP = "width-4_batch_size-4_data_amount-1200"  # its networks were trained too hot


def run(*args: str, folder: str) -> str:
    """Run the installed command, and give what it prints."""
    print("mdtree", *args, flush=True)
    return subprocess.run(
        [COMMAND, *args], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def main() -> None:
    """Run three commands in an empty folder."""
    checkout = Path(__file__).parent.parent
    if Path(mdtree.__file__).is_relative_to(checkout / "mdtree"):
        sys.exit(f"mdtree comes from the checkout, {mdtree.__file__}: install the wheel first")
    with tempfile.TemporaryDirectory() as folder:
        assert "diagnose" in run("--help", folder=folder)
        assert "train_error" in run("quantities", folder=folder)
        rows = [row for row in shipped_rows("digits-standard-1") if row.group == GROUP]
        write_rows(Path(folder) / "rows.jsonl", rows)
        words = ("diagnose", "rows.jsonl", "--tree", "digits-standard-1", "--json")
        (verdict,) = json.loads(run(*words, folder=folder))["verdicts"]
        assert verdict["mode"] == "temperature_high", verdict["mode"]
    print(f"mdtree {mdtree.__version__} works")


if __name__ == "__main__":
    main()
