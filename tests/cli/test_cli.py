"""The command itself: help, exit codes, and where its words go."""

from __future__ import annotations

import inspect
import re
import shlex
import signal
import subprocess
import sys

import click
import pytest

from mdtree import __version__, exceptions
from mdtree.cli import cli
from mdtree.cli import quantities as some_command
from mdtree.cli.stop_signals import Stopped, resumable
from mdtree.exceptions import LockedError, MdtreeError, RecipeError
from mdtree.rows import Measured, Row, write_rows


def tree(command, path=()):
    """Walk all commands and sub-commands."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from tree(command.get_command(context, name), (*path, name))


COMMANDS = [
    pytest.param(path, command, id="mdtree " + " ".join(path)) for path, command in tree(cli)
]


def examples_in(text):
    return re.findall(
        r"^ +mdtree .*$", text.partition("Example")[2].partition("Options:")[0], flags=re.MULTILINE
    )


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_every_command_says_what_it_is_for_and_gives_an_example(mdtree, path, command):
    text = mdtree(*path, "--help").out

    assert examples_in(text)
    assert re.search(r"^  [A-Z][^\n]+", text, flags=re.MULTILINE)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_every_example_is_understood(mdtree, path, command):
    for line in examples_in(mdtree(*path, "--help").out):
        _, *words = shlex.split(line)
        node = cli
        while isinstance(node, click.Group):
            child = node.get_command(click.Context(node), words[0])
            assert child is not None, line
            node, words = child, words[1:]
        node.make_context("x", words)  # raises where an option is unknown or an argument missing


def test_the_help_lists_every_command_with_a_line_about_it(mdtree):
    text = mdtree("--help").out
    for path, _ in tree(cli):
        if len(path) == 1:
            assert re.search(rf"^  {path[0]} +[A-Z]\w+", text, flags=re.MULTILINE), path


def test_every_exit_code_is_in_the_help(mdtree):
    classes = [c for _, c in inspect.getmembers(exceptions, inspect.isclass)]
    codes = {c.exit_code for c in classes if issubclass(c, MdtreeError)} | {0, 1, 6, 130, 143}
    text = mdtree("--help").out.partition("Exit codes:")[2].partition("\n\n")[0]
    assert {int(code) for code in re.findall(r"\b\d+\b", text)} == codes


def test_help_and_version_are_results(mdtree):
    for args in (["--help"], ["-h"], ["measure", "-h"], ["rows", "show", "--help"]):
        ran = mdtree(*args)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith("Usage: mdtree")
    assert mdtree("--version").out == f"mdtree, version {__version__}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "Usage: mdtree"),
        (["measur"], "No such command 'measur'"),
        (["measure"], "Missing argument 'DIRECTORY...'"),
        (["measure", "x", "--no-such"], "No such option"),
        (["rows", "sow"], "No such command 'sow'"),
        (["rows", "show", "nowhere.jsonl"], "nowhere.jsonl does not exist"),
        (["measure", "x" * 300], "does not exist"),
    ],
)
def test_wrong_use_is_told_on_stderr_with_exit_code_2(mdtree, args, words):
    ran = mdtree(*args)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MdtreeError("a\x1b[31m, b"), 2, "error: a\\x1b[31m, b\n"),
        (RecipeError("two:\n  one\n  two"), 2, "error: two:\n  one\n  two\n"),
        (LockedError("x is being written"), 4, "error: x is being written\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (MemoryError("17 GiB"), 2, "error: out of memory (17 GiB)"),
        (click.Abort(), 130, "Interrupted.\n"),
        (Stopped(signal.SIGTERM), 143, "Interrupted.\n"),
    ],
)
def test_an_error_is_one_message_and_its_exit_code(mdtree, monkeypatch, error, code, said):
    def fail(**_):
        raise error

    monkeypatch.setattr(some_command.command, "callback", fail)
    ran = mdtree("quantities")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.lstrip("\n").startswith(said)


def test_a_command_that_keeps_what_is_done_says_how_to_go_on(mdtree, monkeypatch):
    def fail(**_):
        with resumable():
            raise KeyboardInterrupt

    monkeypatch.setattr(some_command.command, "callback", fail)
    ran = mdtree("quantities")
    assert (ran.code, ran.err) == (130, "\nInterrupted. Run the same command again to resume.\n")


@pytest.mark.parametrize("mistake", [ZeroDivisionError, EOFError])
def test_a_mistake_of_our_own_is_not_hidden(mdtree, monkeypatch, mistake):
    def fail(**_):
        raise mistake

    monkeypatch.setattr(some_command.command, "callback", fail)
    with pytest.raises(mistake):
        mdtree("quantities")


@pytest.fixture(scope="module")
def many_rows(tmp_path_factory):
    """More text than a pipe holds."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    value = {"train_error": Measured(value=1.0)}
    rows = (
        Row(format=1, group=f"{n:0100}", protocol="standard-1", facts={}, quantities=value)
        for n in range(2000)
    )
    write_rows(path, rows)
    return path


@pytest.mark.parametrize("args", [["show", "--all"], ["show", "--json"], ["export"]])
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(many_rows, args):
    process = subprocess.Popen(
        [sys.executable, "-m", "mdtree", "rows", *args, many_rows],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
@pytest.mark.parametrize(
    ("where", "code", "words"),
    [("> /dev/full", 5, "No space left on device"), (">&-", 0, "")],
)
def test_an_output_that_cannot_be_written_is_no_traceback(where, code, words):
    shell = f"{shlex.quote(sys.executable)} -m mdtree quantities {where}"
    ran = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


TWICE = """
import os, signal
from mdtree.cli.stop_signals import Stopped, stoppable
with stoppable():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except Stopped as stop:
        os.kill(os.getpid(), signal.SIGTERM)  # while files are closed
        print(stop.exit_code)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
with stoppable():
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on")
"""


def test_a_wish_to_end_is_one_however_often_it_is_sent_and_nohup_is_respected():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["143", "True", "goes on", ""]


IMPORTED = """
import os, signal
os.kill(os.getpid(), signal.{name})
for _ in range(1000):
    pass  # Python looks for signals here
try:
    import no_such_module  # what runs inside an import is not interrupted
except ImportError:
    done = True
"""

IMPORTING = """
import signal, sys
from mdtree.cli.stop_signals import Stopped, stoppable
sys.path.insert(0, {folder!r})
before = signal.getsignal(signal.{name})
try:
    with stoppable():
        import heavy
        while True:
            signal.pause()
except KeyboardInterrupt as stop:
    print(type(stop).__name__, getattr(stop, "exit_code", 130), heavy.done)
print(signal.getsignal(signal.{name}) == before)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SIGTERM", "Stopped 143 True"),
        ("SIGHUP", "Stopped 129 True"),
        ("SIGINT", "KeyboardInterrupt 130 True"),
    ],
)
def test_a_signal_to_stop_waits_until_an_import_has_ended(tmp_path, name, said):
    (tmp_path / "heavy.py").write_text(IMPORTED.format(name=name))
    code = IMPORTING.format(name=name, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [said, "True"]


def test_an_import_that_does_not_end_is_stopped_in_the_end(tmp_path):
    (tmp_path / "heavy.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nwhile True: signal.pause()\n"
    )
    code = IMPORTING.format(name="SIGTERM", folder=str(tmp_path))
    code = code.replace("heavy.done", "'heavy' in sys.modules").replace(
        "before =", "import mdtree.cli.stop_signals as s; s._LONGEST_IMPORT = 0.0; before ="
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Stopped 143 False", "True"]
