"""Where torch is needed, and where it must not be loaded: what needs none starts at once.

That imports go down only is proved by import-linter, which `make test` runs.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from mdtree.rows import Measured, Row, write_rows

HEAVY = {
    *("torch", "torchvision", "sklearn", "scipy", "numpy", "transformers", "pyhessian"),
    "jinja2",  # for the page alone
}


def loaded_by(code, folder):
    """Run code in a fresh Python, and list what of HEAVY it has loaded in the end."""
    script = f"""
import sys
try:
    {code}
except SystemExit as stop:
    assert stop.code in (0, None), stop.code
print("LOADED", *sorted(set(sys.modules) & {HEAVY!r}))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.splitlines()[-1].split()[1:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows")
    row = Row(
        format=1,
        group="a",
        protocol="standard-1",
        facts={},
        quantities={"train_error": Measured(value=1.0)},
    )
    write_rows(path / "rows.jsonl", [row])
    (path / "table.csv").write_text("width,train_error\n1,2\n")
    return path


def command(*args):
    return f"import mdtree.cli; mdtree.cli.main({list(args)!r})"


@pytest.mark.parametrize(
    "code",
    [
        "import mdtree",
        "import mdtree.exceptions",
        "import mdtree.rows",
        "import mdtree.recipes",
        "import mdtree.cli",
        command("--help"),
        command("--version"),
        command("measure", "--help"),
        command("demo", "--help"),
        command("quantities"),
        command("rows", "show", "rows.jsonl"),
        command("rows", "show", "rows.jsonl", "--json"),
        command("rows", "export", "rows.jsonl"),
        command("rows", "import", "table.csv", "--out", "imported.jsonl"),
    ],
)
def test_words_and_rows_need_no_heavy_package(code, folder):
    assert loaded_by(code, folder) == set()


def test_a_mistake_on_the_command_line_is_told_before_torch_is_loaded(folder):
    code = "import mdtree.cli\n    try: mdtree.cli.main(['measure'])\n    except SystemExit: pass"
    assert loaded_by(code, folder) == set()


def test_this_file_would_notice_a_heavy_package(folder):
    code = "import mdtree.runtime.torchvision as v; v.torchvision()"
    assert "numpy" in loaded_by(code, folder)


def test_measuring_loads_torchvision_and_scikit_learn_only_when_they_are_asked_for(folder):
    code = "import mdtree.measurement; from mdtree.datasets.digits import digits; digits()"
    loaded = loaded_by(code, folder)
    assert "torch" in loaded
    assert not {"torchvision", "sklearn", "transformers"} & loaded
