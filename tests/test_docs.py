"""What the documents say is true of the code."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from mdtree import __version__, exceptions
from mdtree.cli import cli
from mdtree.recipes import Recipe, read_recipe, read_zoo
from mdtree.recipes.data import (
    Animals,
    Digits,
    FactoryData,
    Images,
    Tensors,
    TorchvisionData,
    Transform,
)
from mdtree.recipes.recipe import GroupSpec, LossSpec, ModelSpec
from mdtree.recipes.zoo import Zoo, ZooTraining
from tests.support.paths import ROOT
from tests.support.transcripts import blocks

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAMED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *PAGES]
README = (ROOT / "README.md").read_text()
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands() -> list[str]:
    context = click.Context(cli)
    return cli.list_commands(context)


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """List the anchors that the headings of a page get, and those of its commands."""
    text = without_fences(path.read_text())
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    titles += re.findall(r"^ +:prog_name: (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles]
    return {re.sub(r"[-\s]+", "-", title) for title in plain}


def test_the_readme_is_short_and_names_the_two_commands():
    assert len(README.splitlines()) <= 150
    assert re.search(r"^make demo ", README, re.MULTILINE)
    assert re.search(r"^make test ", README, re.MULTILINE)


@pytest.mark.parametrize("command", _commands())
def test_every_command_is_in_the_readme_and_has_its_reference(command):
    assert re.search(rf"^\| \[`mdtree {command}`\]\(docs/", README, re.MULTILINE)
    reference = (DOCS / "reference" / "commands.md").read_text()
    assert f":module: mdtree.cli.{command}\n    :command: command\n" in reference
    assert f":prog_name: mdtree {command}\n" in reference


def _files_in(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [file for part in parts for file in _files_in(part)]


def test_every_page_is_in_the_navigation_once():
    listed = _files_in(SITE["nav"])
    assert sorted(listed) == [path.relative_to(DOCS).as_posix() for path in PAGES]


@pytest.mark.parametrize("page", [*NAMED, ROOT / "CHANGELOG.md"], ids=name)
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", without_fences(page.read_text()))
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands_in(page: Path) -> list[str]:
    """Find what a page says to type: in its blocks, and in single words of its text."""
    text = page.read_text()
    lines = [
        line.removeprefix("$ ")
        for block in blocks(text)
        for line in block.text.splitlines()
        if line.startswith(("$ ", "mdtree "))
    ]
    lines += re.findall(r"`(mdtree [^`\n]+)`", without_fences(text))
    return [line for line in lines if line.startswith("mdtree ")]


@pytest.mark.parametrize("page", [p for p in NAMED if p.name != "renamed.md"], ids=name)
def test_every_command_and_option_that_a_page_names_exists(page):
    for line in commands_in(page):
        words = shlex.split(line.replace("...", ""), comments=True)[1:]
        context = click.Context(cli)
        found = cli
        while isinstance(found, click.Group) and words and not words[0].startswith("-"):
            word = words.pop(0)
            if word.isupper():  # `mdtree COMMAND --help`
                break
            found = found.get_command(context, word)
            assert found is not None, line
        known = {option for parameter in found.params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= known | {"--help", "-h"}, line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_of_the_code_that_a_page_names_exists(page):
    if page.name == "renamed.md":
        return
    for path in re.findall(r"`((?:mdtree|tests|scripts|configs)/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_every_floor_is_in_the_architecture():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    floors = contracts["contracts"][0]["layers"]
    page = (DOCS / "architecture.md").read_text()
    lines = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in lines] == list(range(len(floors), 0, -1))
    for floor, (_, line) in zip(floors, lines, strict=True):
        assert {f"`{package}`" in line for package in re.split(" [|:] ", floor)} == {True}, line


def test_every_name_in_the_python_reference_is_exported():
    page = (DOCS / "reference" / "python.md").read_text()
    names = re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    for path in names:
        module, _, last = path.rpartition(".")
        if module != "mdtree":
            assert last in importlib.import_module(module).__all__, path
    assert {"mdtree.api", "mdtree.exceptions", "mdtree.rows.Row"} <= set(names)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("measure-*.yaml")), ids=str)
def test_every_recipe_to_copy_is_valid(path):
    assert read_recipe(path).format == 1


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("zoo-*.yaml")), ids=str)
def test_every_zoo_to_copy_is_valid(path):
    assert list(read_zoo(path).points())


def test_the_recipe_in_the_reference_is_valid(tmp_path):
    page = (DOCS / "reference" / "recipe.md").read_text()
    (first, *_) = (block for block in blocks(page) if block.language == "yaml")
    (tmp_path / "mdtree.yaml").write_text(first.text)
    assert read_recipe(tmp_path / "mdtree.yaml").pattern == "bs_{batch_size}/w{width}"


def test_every_key_of_recipes_and_zoos_is_in_the_reference():
    page = (DOCS / "reference" / "recipe.md").read_text()
    sources = (Digits, Animals, TorchvisionData, Images, Tensors, FactoryData)
    parts = (Recipe, ModelSpec, LossSpec, GroupSpec, Transform, Zoo, ZooTraining, *sources)
    documented = {key.rpartition(".")[2] for key in re.findall(r"`([\w.]+)`", page)}
    for part in parts:
        assert set(part.model_fields) <= documented, part


def test_the_exit_codes_in_the_reference_are_those_of_the_exceptions():
    errors = [getattr(exceptions, name) for name in exceptions.__all__]
    table = (DOCS / "reference" / "exit-codes.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)}
    assert listed == {error.exit_code for error in errors} | {0, 1, 6, 130}


def test_every_exception_is_drawn_in_the_tree_with_its_exit_code():
    for name in exceptions.__all__:
        code = getattr(exceptions, name).exit_code
        assert re.search(rf"\b{name}\s+{code}\b", exceptions.__doc__), name


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 80


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


def test_contributing_names_files_and_targets_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:mdtree|tests)/[\w./]+\.py)`", text):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= {*targets}


def test_the_version_is_the_newest_of_the_changelog_and_that_of_the_citation():
    newest = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[:2] == ["Unreleased", __version__]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["cff-version"] == "1.2.0"


@pytest.mark.parametrize("path", sorted((ROOT / ".github").glob("ISSUE_TEMPLATE/*.yml")), ids=str)
def test_every_issue_form_asks_for_something(path):
    form = yaml.safe_load(path.read_text())
    fields = [field for field in form.get("body", []) if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert (len(names) == len(set(names)) > 1) or "contact_links" in form
