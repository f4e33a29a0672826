"""Options of long-running commands: the workers, and the limits for one piece of work."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mdtree.exceptions import MdtreeError

if TYPE_CHECKING:
    from mdtree.executors import ExecutorConfig

__all__ = [
    "executor_options",
    "make_executor_config",
    "max_failures",
    "results_alone",
    "share_of_work",
]

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([GM]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 2**30, "G": 2**30, "M": 2**20}


class _Amount(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """An amount of memory: 4, 4G, 500M."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the amount in bytes."""
        if isinstance(value, int):
            return value
        match = _AMOUNT.fullmatch(str(value).strip())
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is not an amount of memory: write it like 4G or 500M", param, ctx)
        return int(float(match[1]) * _UNITS[match[2].upper()])


_OPTIONS = (
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Worker processes, one thread each.  [default: one process with all threads; with "
        "--ray, the whole cluster]",
    ),
    click.option(
        "--ray",
        is_flag=False,
        flag_value="local",
        metavar="[ADDRESS]",
        help="Use a Ray cluster; without an address, start one on this machine.",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(min=0, min_open=True),
        help="On Ray with GPUs: a fraction shares one GPU.  [default: by the memory needed]",
    ),
    click.option(
        "--timeout-per-group",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="A group that takes longer fails.",
    ),
    click.option(
        "--memory-per-group",
        type=_Amount(),
        metavar="4G",
        help="A group whose worker uses more memory fails.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="Retries of a group that killed its worker or exceeded a limit.",
    ),
)

max_failures: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    help="Stop after more failures than this.  [default: never]",
)


def executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose the workers to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_executor_config(
    options: dict[str, Any], device: str, *, shared: bool = True
) -> ExecutorConfig:
    """Build the executor configuration for work on `device` from command-line options."""
    from mdtree.executors import ExecutorConfig
    from mdtree.runtime.device import visible_gpus

    ray, share = options["ray"], options["gpus_per_worker"]
    on_gpus = device.startswith("cuda")
    if share is not None and not (ray and on_gpus):
        raise MdtreeError("--gpus-per-worker needs --ray and --device cuda")
    return ExecutorConfig(
        workers=options["workers"],
        ray=ray,
        gpus=share if on_gpus else 0.0,
        devices=visible_gpus(device) if ray is None else (),
        timeout=options["timeout_per_group"],
        memory=options["memory_per_group"],
        shared=shared,
        retries=options["retries"],
    )


def results_alone(options: dict[str, Any]) -> contextlib.AbstractContextManager[object]:
    """Keep stdout for results: Ray prints its own messages there at any moment."""
    if options["ray"] is None:
        return contextlib.nullcontext()
    return contextlib.redirect_stdout(sys.stderr)


def share_of_work(options: dict[str, Any]) -> int:
    """Return the number of workers that share a time; that of a cluster is not known before."""
    return options["workers"] or 1
