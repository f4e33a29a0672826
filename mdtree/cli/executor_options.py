"""Options of commands with much work: which workers do it, and what one piece of it may take."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from typing import Any

import click

from mdtree.exceptions import MdtreeError
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
        """Count the bytes."""
        if isinstance(value, int):
            return value
        match = _AMOUNT.fullmatch(str(value).strip())
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is no amount of memory: 4G and 500M are", param, ctx)
        return int(float(match[1]) * _UNITS[match[2].upper()])


_OPTIONS = (
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Processes with one thread each; without it one with all threads, or all of --ray.",
    ),
    click.option(
        "--ray",
        is_flag=False,
        flag_value="local",
        metavar="[ADDRESS]",
        help="Work on a Ray cluster; without an address, on one that is started here.",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(min=0, min_open=True),
        help="On Ray with GPUs: a fraction shares one; without it, by the memory that is needed.",
    ),
    click.option(
        "--timeout-per-group",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="What takes longer has failed.",
    ),
    click.option(
        "--memory-per-group",
        type=_Amount(),
        metavar="4G",
        help="What holds more memory of a worker has failed.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="Further tries of what cost a worker its life, or took too much.",
    ),
)

max_failures: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    help="Stop when more than so many have failed; without it, go on to the end.",
)


def executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say who does the work."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_executor_config(
    options: dict[str, Any], device: str, *, shared: bool = True
) -> ExecutorConfig:
    """Turn the words of the command line into an executor configuration for work on `device`."""
    from mdtree.runtime.device import visible_gpus

    ray, share = options["ray"], options["gpus_per_worker"]
    on_gpus = device.startswith("cuda")
    if share is not None and not (ray and on_gpus):
        raise MdtreeError("--gpus-per-worker: only together with --ray and --device cuda")
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
    """Keep stdout for results: Ray prints there what it has to say, at any moment."""
    if options["ray"] is None:
        return contextlib.nullcontext()
    return contextlib.redirect_stdout(sys.stderr)


def share_of_work(options: dict[str, Any]) -> int:
    """Say by how many workers a time is divided; how many a cluster has is not known before."""
    return options["workers"] or 1
