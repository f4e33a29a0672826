"""`scripts/audit.py`, with a small program in the place of pip-audit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parent.parent / "scripts" / "audit.py"
FAULT = {"id": "PYSEC-1", "fix_versions": ["99.0"]}


def run(folder: Path, code: str) -> tuple[int, str]:
    (folder / "pip_audit.py").write_text(code)
    (folder / "pins.txt").write_text("# what is tested\nnumpy<99\nnot-installed-at-all==1\n")
    ran = subprocess.run(
        [sys.executable, AUDIT, folder / "pins.txt"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


def answer(**packages: object) -> str:
    listed = [{"name": name, **said} for name, said in packages.items()]
    return f"import json; print(json.dumps({{'dependencies': {listed!r}}}))"


def test_a_known_vulnerability_is_named_with_its_remedy(tmp_path):
    code, out = run(tmp_path, answer(numpy={"vulns": [FAULT]}, torch={"vulns": []}))
    assert code == 1
    assert "PYSEC-1, mended in 99.0" in out
    assert "2 dependencies checked, 1 known vulnerabilities; not checked: click" in out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ModuleNotFoundError('No module named x')", "No module named x"),
        ("import sys; sys.exit('the index cannot be reached')", "the index cannot be reached"),
        ("pass", "pip-audit said nothing"),
        (answer(numpy={"skip_reason": "not found"}), "the index knows none of them"),
    ],
)
def test_what_could_not_be_checked_is_said_in_one_line_and_fails_nothing(tmp_path, code, words):
    assert run(tmp_path, code)[0] == 0
    out = run(tmp_path, code)[1]
    assert out.startswith("dependencies not checked: ")
    assert words in out
    assert out.count("\n") == 1


def test_installed_versions_of_the_pins_and_of_our_own_needs_are_asked_for(tmp_path):
    code, out = run(
        tmp_path,
        "import sys; wanted = open(sys.argv[sys.argv.index('--requirement') + 1]).read()\n"
        "sys.exit(' '.join(sorted(line for line in wanted.split() if line[:5] in "
        "('torch', 'click', 'numpy', 'not-i', 'trans'))))",
    )
    import click
    import numpy as np
    import torch

    del click
    torch_version = torch.__version__.partition("+")[0]
    assert code == 0
    assert f"numpy=={np.__version__} torch=={torch_version}" in out
    assert "not-installed" not in out
    assert "transformers" not in out  # of an extra
