"""What the documents say is true of the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import click
import pytest

from mdtree import exceptions
from mdtree.cli import cli
from mdtree.recipes import read_recipe, read_zoo
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()


def _commands() -> list[str]:
    context = click.Context(cli)
    return cli.list_commands(context)


@pytest.mark.parametrize("name", _commands())
def test_every_command_has_a_section_in_the_readme(name):
    assert f"## mdtree {name}" in README


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("measure-*.yaml")), ids=str)
def test_every_recipe_to_copy_is_valid(path):
    assert read_recipe(path).format == 1


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("zoo-*.yaml")), ids=str)
def test_every_zoo_to_copy_is_valid(path):
    assert list(read_zoo(path).points())


def test_the_recipe_in_the_readme_is_valid(tmp_path):
    block = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "mdtree.yaml").write_text(block.group(1))
    assert read_recipe(tmp_path / "mdtree.yaml").pattern == "bs_{batch_size}/w{width}"


def test_the_exit_codes_in_the_readme_are_those_of_the_exceptions():
    errors = [getattr(exceptions, name) for name in exceptions.__all__]
    table = README.split("## Exit codes")[1].split("##")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)}
    assert listed == {error.exit_code for error in errors} | {0, 1, 6, 130}


def test_every_exception_is_drawn_in_the_tree_with_its_exit_code():
    for name in exceptions.__all__:
        code = getattr(exceptions, name).exit_code
        assert re.search(rf"\b{name}\s+{code}\b", exceptions.__doc__), name


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 60


def test_links_of_the_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_benchmark_prints_one_figure_for_each_target():
    """Run the shortest comparison alone; the whole script is `make bench`."""
    code = (
        "import sys; sys.argv = ['bench', '--json']; import bench_measure as b;"
        "from benchmark import report; report([b._starting(1)], as_json=True)"
    )
    scripts = ROOT / "scripts"
    ran = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, check=True)
    (figure,) = json.loads(ran.stdout)["figures"].values()
    assert figure["target"] == "<= 3"
    assert figure["value"] > 0
    assert figure["holds"] is (figure["value"] <= 3)
