"""`scripts/audit.py`, with a small program in the place of pip-audit."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.paths import ROOT

FAULT = {"id": "PYSEC-1", "fix_versions": ["99.0"]}
PROJECT = """
[project]
dependencies = ["numpy>=1.26"]
[project.optional-dependencies]
hf = ["transformers>=5.3"]
ray = ["ray>=2.54"]
parquet = ["pyarrow>=16.1"]
pandas = ["pandas>=2.2.2"]
dev = ["pytest>=8"]
"""
LOCK = "# made by make lock\nnumpy==2.4.0\nray==2.60.0\nold==1 ; python_full_version < '3'\n"


def run(folder: Path, code: str, *words: str) -> tuple[int, str]:
    (folder / "constraints").mkdir(exist_ok=True)
    (folder / "constraints" / "cpu.txt").write_text(LOCK)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "pip_audit.py").write_text(code)
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "audit.py", folder, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


# answers with what is asked, each package as `faults` says, as pip-audit does
ANSWER = """
import json, sys
from pathlib import Path
faults = {faults!r}
lines = Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text().split()
known = [(line, *line.split("==")) for line in lines]
print(json.dumps({{"dependencies": [
    {{"name": name, "vulns": faults.get(line, [])}}
    for line, name, _ in known if name not in {left!r}
]}}))
"""


def answer(*, left: tuple[str, ...] = (), **faults: object) -> str:
    return ANSWER.format(faults=faults.get("faults", {}), left=left)


def test_what_is_locked_and_every_floor_for_users_is_asked_for(tmp_path):
    code, out = run(tmp_path, answer(), "--strict")
    assert code == 0
    assert out.splitlines() == [
        "locked: 2 packages checked, 0 known vulnerabilities",  # numpy, ray: `old` is not for here
        "floors: 5 packages checked, 0 known vulnerabilities",  # pytest is not for users
    ]


@pytest.mark.parametrize("at_fault", ["numpy==2.4.0", "transformers==5.3"])
def test_a_known_vulnerability_is_named_with_its_remedy(tmp_path, at_fault):
    code, out = run(tmp_path, answer(faults={at_fault: [FAULT]}))
    assert code == 1
    assert f"{at_fault.replace('==', ' ')}: PYSEC-1, mended in 99.0" in out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ModuleNotFoundError('No module named x')", "No module named x"),
        ("import sys; sys.exit('the index cannot be reached')", "the index cannot be reached"),
        ("pass", "pip-audit said nothing"),
        (
            answer(left=("numpy", "ray", "transformers", "pyarrow", "pandas")),
            "the index knows none of them",
        ),
    ],
)
def test_what_could_not_be_checked_is_said_and_fails_only_where_a_pass_is_wanted(
    tmp_path, code, words
):
    assert run(tmp_path, code)[0] == 0
    strict, out = run(tmp_path, code, "--strict")
    assert strict == 2
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        "locked not checked",
        "floors not checked",
    ]
    assert words in out


def test_one_package_that_could_not_be_checked_is_no_pass(tmp_path):
    code, out = run(tmp_path, answer(left=("ray",)), "--strict")
    assert code == 2
    assert "locked: 1 packages checked, 0 known vulnerabilities; not checked: ray" in out


def test_no_floor_admits_a_hole_that_is_known():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"]
    lines += [
        line
        for part in ("hf", "ray", "parquet", "pandas")
        for line in project["optional-dependencies"][part]
    ]
    wanted = {requirement.name: requirement.specifier for requirement in map(Requirement, lines)}
    holes = {  # a release before the one that closed the hole
        "torch": "2.9.1",  # CVE-2026-24747
        "transformers": "5.2.0",  # CVE-2026-4372
        "ray": "2.53.0",  # CVE-2026-27482
        "pyarrow": "14.0.0",  # CVE-2023-47248
        "scikit-learn": "1.4.2",  # CVE-2024-5206
        "filelock": "3.20.2",  # CVE-2026-22701
        "pillow": "12.2.0",  # CVE-2026-59199 and others
    }
    assert [name for name, version in holes.items() if version in wanted[name]] == []


@pytest.mark.parametrize("name", ["audit", "type_completeness"])
def test_what_a_script_does_is_shown_and_nothing_is_run(name):
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / f"{name}.py", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"python scripts/{name}.py" in ran.stdout


@pytest.mark.parametrize("words", [[], ["--unknown"], ["pyright", "more"]])
def test_the_share_of_types_takes_one_program(words):
    program = ROOT / "scripts" / "type_completeness.py"
    ran = subprocess.run(
        [sys.executable, program, *words], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "type_completeness.py PYRIGHT" in ran.stdout
    assert "Traceback" not in ran.stderr
