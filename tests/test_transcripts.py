"""What README and the documentation print is what the commands print."""

from __future__ import annotations

import contextlib
import gc
import io
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mdtree.runtime.torchvision import usable
from tests.support.paths import ROOT
from tests.support.transcripts import Block, Command, blocks, commands, difference, packages

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _runs(page: Path) -> bool:
    return any(block.language == "console" for block in blocks(page.read_text()))


@pytest.fixture
def session(tmp_path, monkeypatch):
    """An empty folder, in which the clone's configs and tables lie where they lie in the clone."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "mdtree").mkdir()
    (tmp_path / "mdtree" / "data").symlink_to(ROOT / "mdtree" / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]  # the next page has a module of that name as well
    gc.collect()


class Shell:
    """Run the commands of a page: mdtree and Python here, which saves their start, others in sh."""

    def __init__(self, mdtree) -> None:
        self.mdtree = mdtree
        self.code = 0

    def __call__(self, line: str) -> str:
        words = line.split()
        if line == "echo $?":
            return f"{self.code}\n"
        if line == "make demo":  # what the Makefile runs after it has installed mdtree
            words = ["mdtree", "demo", "--out", "mdtree-demo"]
        if words[0] == "mdtree" and not set(line) & set("|<>;"):
            ran = self.mdtree(*words[1:])
            self.code = ran.code
            return ran.out + (ran.err if ran.code else "")
        if words[0] == "python":
            return self._python(words[1])
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        self.code = done.returncode
        return done.stdout + done.stderr

    def _python(self, script: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings(), usable():
            warnings.simplefilter("ignore")
            runpy.run_path(script, run_name="__main__")
        self.code = 0
        return printed.getvalue()


def _fault(command: Command, shell: Shell, block: Block, *, asked: bool) -> str | None:
    printed = shell(command.line)
    failed = shell.code and not asked and "error:" not in "\n".join(command.output)
    wrong = difference(command.output, printed, tolerance=block.tolerance)
    if failed:
        wrong = f"exit code {shell.code}"
    return wrong and f"line {block.line}: $ {command.line}\n{wrong}\nIt prints:\n{printed}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if _runs(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_what_a_page_prints_is_printed(page, session, mdtree):
    for package in packages(page.read_text()):
        with usable():  # timm and lightning import torchvision
            pytest.importorskip(package, reason=f"the page runs where {package} is installed")
    shell, faults = Shell(mdtree), []
    for block in blocks(page.read_text()):
        if block.title:
            path = session / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "console":
            listed = list(commands(block))
            asked = [command.line == "echo $?" for command in [*listed[1:], listed[-1]]]
            faults += [
                fault
                for command, code_is_asked in zip(listed, asked, strict=True)
                if (fault := _fault(command, shell, block, asked=code_is_asked))
            ]
    assert not faults, "\n\n".join(faults)


def test_a_page_names_the_packages_that_it_needs():
    page = "# A page\n\n<!-- needs transformers, accelerate -->\n<!-- needs timm -->\n"
    assert packages(page) == ["transformers", "accelerate", "timm"]
    assert not packages("It needs timm. <!-- tolerance 0.3 -->")


def test_the_demo_of_the_makefile_is_the_one_that_is_run():
    assert "$(BIN)/mdtree demo --out mdtree-demo" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(
    ("wanted", "got", "alike"),
    [
        ("loss 0.50 nats", "loss 0.504 nats", True),
        ("loss 0.50 nats", "loss 0.60 nats", False),
        ("sure 89 %", "sure 90 %", True),
        ("sure 89 %", "sure 70 %", False),
        ("12 groups", "13 groups", False),
        ("name  value\n-----------", "name      value\n---------------", True),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nc", "a\nb\nc\nd", False),
        ("a\n...", "a\nb", True),
        ("...\nb", "a\nb", True),
        ("a", "a\nb", False),
        ("50 -> 400; ...", "50 -> 400; and more", True),
        ("50 -> 400; ...", "50 -> 800; and more", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_transcripts_are_compared_by_their_words_and_about_their_numbers(wanted, got, alike):
    found = difference(tuple(wanted.splitlines()), got, tolerance=0.02)
    assert (found is None) == alike
