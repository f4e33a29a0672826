"""Where torch is needed, and where it must not be loaded: what needs none starts at once.

That imports go down only is proved by import-linter, which `make test` runs.
"""

from __future__ import annotations

import pytest

from mdtree.rows import Measured, Row, write_rows
from tests.support.loaded import loaded_by

HEAVY = {
    *("torch", "torchvision", "sklearn", "scipy", "numpy", "transformers", "pyhessian"),
    "jinja2",  # for the page alone
}


def command(*args):
    return f"import mdtree.cli; mdtree.cli.main({list(args)!r})"


LIGHT = [
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
]
MISTAKE = """
import mdtree.cli
try:
    mdtree.cli.main(["measure"])
except SystemExit as stop:
    assert stop.code == 2
"""
CANARY = "import numpy"

JUDGING = [
    "import mdtree.trees",
    "import mdtree.trees.bundled",
    "import mdtree.trees.fit",
    "import mdtree.cli.fit",
    "import mdtree.adaptation, mdtree.cli.adapt",
    "import mdtree.evaluation",
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What is loaded after each of these, one after the other in one process."""
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
    return loaded_by([*LIGHT, MISTAKE, CANARY], path)


@pytest.fixture(scope="module")
def loaded_to_judge():
    return loaded_by(JUDGING)


@pytest.mark.parametrize("code", LIGHT)
def test_words_and_rows_need_no_heavy_package(code, loaded):
    assert loaded[code] & HEAVY == set()


def test_a_mistake_on_the_command_line_is_told_before_torch_is_loaded(loaded):
    assert loaded[MISTAKE] & HEAVY == set()


def test_this_file_would_notice_a_heavy_package(loaded):
    assert "numpy" in loaded[CANARY]


@pytest.mark.parametrize("code", JUDGING)
def test_judging_loads_no_torch(code, loaded_to_judge):
    assert "torch" not in loaded_to_judge[code]


def test_measuring_loads_torchvision_and_scikit_learn_only_when_they_are_asked_for():
    code = (
        "import mdtree.checkpoints, mdtree.cli, mdtree.datasets, mdtree.measurement, mdtree.models"
        "\nfrom mdtree.datasets.digits import digits; digits()"
    )
    loaded = loaded_by([code])[code]
    assert "torch" in loaded
    assert not {"torchvision", "sklearn", "transformers"} & loaded
