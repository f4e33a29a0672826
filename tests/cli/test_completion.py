"""What shells complete: commands, options and the values that are known without reading files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete, get_completion_class

from mdtree.cli import cli
from mdtree.cli.group import Group
from mdtree.diagnosis import CHECKS
from mdtree.failure_modes import FAILURE_MODES
from mdtree.metrics import METRICS
from mdtree.trees.bundled import shipped_trees
from tests.support.paths import ROOT

VARIABLE = "_MDTREE_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def completed(*words, last=""):
    """Complete the last word of a line; a place for files is `<file>`."""
    items = ShellComplete(cli, {}, "mdtree", VARIABLE).get_completions([*words], last)
    return ["<file>" if item.type == "file" else item.value for item in items]


@pytest.fixture(scope="module")
def documented():
    """The line that the documentation names for a shell."""
    text = (ROOT / "docs" / "getting-started" / "install.md").read_text()

    def line_of(shell):
        (line,) = [line for line in text.splitlines() if f"{VARIABLE}={shell}_source" in line]
        return line.partition("  #")[0]

    return line_of


@pytest.fixture(params=SHELLS)
def shell(request):
    return request.param


def test_the_script_of_each_shell_names_the_command(shell, monkeypatch, mdtree):
    monkeypatch.setenv(VARIABLE, f"{shell}_source")
    ran = mdtree()
    assert ran.code == 0
    assert f"{VARIABLE}={shell}_complete" in ran.out


def test_the_script_of_each_shell_is_of_its_language(shell, monkeypatch, mdtree):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setenv(VARIABLE, f"{shell}_source")
    script = mdtree().out
    checked = subprocess.run(
        [program, "-n"], check=False, input=script, text=True, capture_output=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"COMP_WORDS": "mdtree diagnose ."},
        {"COMP_WORDS": "mdtree", "COMP_CWORD": "x"},
    ],
)
def test_a_line_that_no_shell_sends_is_an_error_in_a_sentence(line, monkeypatch, mdtree, tmp_path):
    (tmp_path / "mdtree.yaml").write_text("model: [broken")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "bash_complete")
    for name in ("COMP_WORDS", "COMP_CWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in line.items():
        monkeypatch.setenv(name, value)
    ran = mdtree("diagnose", ".")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {VARIABLE} asks for completions, and there are none (")
    assert "unset it" in ran.err


# how each shell is asked for the words that may follow, and what it answers
ASKED = {
    "bash": "COMP_WORDS=({words}); COMP_CWORD={place}\n_mdtree_completion mdtree\n"
    'echo "${{COMPREPLY[@]}}"',
    "zsh": "words=({words}); CURRENT={place}+1\n"
    "_describe() {{ print -l -- ${{${{(P)3}}%%:*}} }}\n"
    "compadd() {{ print -l -- ${{completions}} }}\n"
    "_mdtree_completion",
    "fish": 'complete -C "{words}"',
}
BEFORE = {"bash": "", "zsh": "autoload -Uz compinit; compinit -D\n", "fish": ""}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("mdtree diagn", "diagnose"), ("mdtree schema di", "diagnosis"), ("mdtree xyz", "")],
)
def test_a_shell_itself_completes_with_the_documented_line(
    shell, words, wanted, tmp_path, documented
):
    interpreter = shutil.which(shell)
    if interpreter is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "mdtree"
    program.write_text(f"#!{sys.executable} -P\nfrom mdtree.cli import main\nmain()\n")
    program.chmod(0o755)
    asked = ASKED[shell].format(words=words, place=len(words.split()) - 1)
    ran = subprocess.run(
        [interpreter, "-c", f"{BEFORE[shell]}{documented(shell)}\n{asked}"],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    answer = ran.stdout.partition("\t")[0].strip()  # fish describes what it offers
    assert (answer, ran.stderr) == (wanted, "")


@pytest.mark.parametrize(
    ("shell", "line", "words"),
    [
        ("bash", "mdtree diagnose --pro", "2"),
        ("zsh", "mdtree diagnose --pro", "2"),
        ("fish", "mdtree diagnose --pro", "--pro"),
    ],
)
def test_each_shell_is_answered(shell, line, words, monkeypatch, mdtree):
    monkeypatch.setenv(VARIABLE, f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", words)
    ran = mdtree()
    assert ran.code == 0
    assert "--protocol" in re.split(r"[\s,]", ran.out)
    assert "Traceback" not in ran.err


def test_each_shell_has_one_line_in_the_documentation(shell, documented):
    assert documented(shell)
    assert get_completion_class(shell).name == shell


def test_commands_and_their_commands():
    assert completed(last="me") == ["measure"]
    assert completed("rows") == ["export", "import", "show"]
    assert set(completed()) > {"diagnose", "schema", "zoo"}


def test_options_and_choices():
    assert "--tree" in completed("diagnose", last="--t")
    assert completed("schema", last="r") == ["recipe", "rows"]
    assert completed("diagnose", "runs", "--protocol", last="st") == ["standard-1"]


@pytest.mark.parametrize(
    "words", [("diagnose", "runs", "--tree"), ("adapt", "rows", "--tree"), ("tree", "show")]
)
def test_trees_that_come_with_mdtree_or_files(words):
    assert completed(*words) == [*shipped_trees()]
    assert set(completed(*words, last="digits-")) == {
        name for name in shipped_trees() if name.startswith("digits-")
    }
    assert completed(*words, last="./mine") == ["<file>"]


def test_metrics_one_after_the_other():
    assert set(completed("measure", "runs", "--metrics")) == METRICS.keys()
    assert completed("measure", "runs", "--metrics", last="cka,hess") == ["cka,hessian"]
    assert "hessian,hessian" not in completed("measure", "runs", "--metrics", last="hessian,")


def test_verdicts_to_fail_on():
    assert set(completed("diagnose", "x", "--fail-on")) == {*FAILURE_MODES, "unsure", *CHECKS}
    assert completed("diagnose", "x", "--fail-on", last="none,uns") == ["none,unsure"]
    assert completed("diagnose", "x", "--fail-on", last="none,MD20") == [
        f"none,MD20{number}" for number in range(1, 6)
    ]


def test_codes_of_checks():
    assert completed("diagnose", "x", "--ignore") == [*CHECKS]
    assert completed("diagnose", "x", "--ignore", last="MD101,MD11") == [
        f"MD101,{code}" for code in CHECKS if code.startswith("MD11")
    ]
    assert completed("checks", last="MD12") == ["MD120"]


def test_directories_and_files_of_checkpoints():
    assert completed("measure", last="ru") == ["<file>"]
    assert completed("diagnose", "run-1", last="ru") == ["<file>"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["diagnos"], "No such command 'diagnos', did you mean 'diagnose'?"),
        (["rows", "exprot"], "No such command 'exprot', did you mean 'export'?"),
        (["tree", "xyz"], "No such command 'xyz' (known: list, show)"),
        (["\x1b[2J"], r"No such command '\x1b[2J' (known: adapt, "),
        (["diagnose", "--jsn"], "Did you mean"),
        (["diagnose", "x", "--fail-on", "nnoe"], "did you mean 'none'?"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(mdtree, words, hint):
    ran = mdtree(*words)
    assert (ran.code, ran.out) == (2, "")
    assert hint in ran.err


def test_every_group_of_commands_suggests():
    import click

    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    assert all(isinstance(each, Group) for each in commands if isinstance(each, click.Group))
