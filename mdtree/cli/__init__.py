"""The command line: the only package that prints and exits, and that imports all others.

Sub-commands are imported when they are called, so `mdtree --help` starts at once.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from typing import NoReturn

import click

from mdtree.cli.group import Group
from mdtree.cli.loading import loading
from mdtree.cli.screens import on_screen, tell
from mdtree.cli.stop_signals import Stopped, stoppable
from mdtree.exceptions import MdtreeError, OutputError
from mdtree.messages import printable
from mdtree.render.screen import screen
from mdtree.version import __version__

__all__ = ["cli", "main"]

# name -> one line of help; the command is `command` in the module of that name
_COMMANDS = {
    "adapt": "Adapt a tree to your own labelled runs and check whether that helped.",
    "checks": "List what a diagnosis checks, with codes.",
    "compare": "Compare measurements before and after a change.",
    "confirm": "Train the one change that a verdict advises and tell what it gains.",
    "demo": "Plant a fault in the training of two small networks and find it.",
    "diagnose": "Diagnose trained networks and suggest what to change.",
    "evaluate": "Compare all methods on the transfer cases of the MD tree paper or the benchmark.",
    "fit": "Fit a tree to the rows of a zoo.",
    "measure": "Measure the checkpoints in a directory.",
    "plot": "Draw one picture of a group into an SVG file.",
    "quantities": "List what mdtree can measure and what low and high values mean.",
    "rows": "Show, export and import measurements.",
    "schema": "Print the JSON Schema of recipes, rows and verdicts.",
    "tree": "Show trees.",
    "weights": "Analyse weight spectra, without data.",
    "zoo": "Train a grid of networks and label them.",
}

# names from the previous version, which the help leaves out
_FORMER = {"calibrate": "adapt"}

_INTERRUPTED = 130
_COMPLETE = "_MDTREE_COMPLETE"  # set by the script of a shell


class _Lazy(Group):
    """A group that knows the names and the help of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        name = _FORMER.get(cmd_name, cmd_name)
        if name not in _COMMANDS:
            return None
        with loading():
            module = importlib.import_module(f"mdtree.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mdtree")
def cli() -> None:
    """Diagnose why a trained network underperforms.

    \b
    Example:
      mdtree demo
      mdtree measure runs/ --recipe mdtree.yaml

    Exit codes: 0 done, 1 finished but some inputs failed, 2 wrong usage or bad input,
    3 a package is missing, 4 another mdtree is writing the output,
    5 the output cannot be written, 6 a verdict or check listed in --fail-on, 130 interrupted,
    143 terminated.
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run a command and exit; an error becomes one message and its exit code."""
    atexit.register(gc.freeze)  # else all objects are looked through at the end: 25 ms
    with on_screen(sys.stdout):
        _main(args)


def _main(args: list[str] | None) -> NoReturn:
    stdout = sys.stdout
    try:
        with stoppable():
            code = _run(args)
        if stdout is not None:  # it is None where it was closed: `>&-`
            stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (MdtreeError, MemoryError) as error:
        tell("error: " + printable(_message(error), keep="\n"))
        code = getattr(error, "exit_code", MdtreeError.exit_code)
    except (click.Abort, KeyboardInterrupt) as stop:
        if isinstance(stop.__cause__, EOFError):
            raise stop.__cause__ from None  # click takes any for the user's Ctrl-D
        signal = stop.__cause__ if isinstance(stop, click.Abort) else stop
        notes = getattr(signal, "__notes__", ())  # of commands that can be resumed
        tell(" ".join(("Interrupted.", *notes)))
        code = signal.exit_code if isinstance(signal, Stopped) else _INTERRUPTED
    except BrokenPipeError:
        code = _discard_output(0)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        code = _discard_output(0)  # click's way to end on a broken pipe, after changing sys.stdout
    except OSError as error:
        tell(f"error: {printable(str(error))}")
        code = _discard_output(OutputError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _run(args: list[str] | None) -> object:
    """Run a command; where a shell asks for completions, an error is no traceback in its prompt."""
    try:
        return cli.main(args, prog_name="mdtree", standalone_mode=False, color=screen().colour)
    except Exception as error:
        if isinstance(error, click.ClickException | MdtreeError | OSError) or not os.environ.get(
            _COMPLETE
        ):
            raise
        raise MdtreeError(
            f"{_COMPLETE} asks for completions, and there are none ({error!r:.200}): shells set it "
            "together with the line to complete; unset it to run a command"
        ) from error


def _message(error: Exception) -> str:
    if not isinstance(error, MemoryError):
        return str(error)
    amount = f" ({error})" if str(error) else ""  # NumPy says how much it wanted
    return f"out of memory{amount}: try a smaller --batch-size or fewer items"


def _discard_output(code: int) -> int:
    """Discard the rest: the reader (`| head`) has seen enough, or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
