"""The device that computes, with how many threads, and how much of its memory was used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

from mdtree.exceptions import MdtreeError

__all__ = ["held_share", "one_thread", "pick_device", "single_threads", "visible_gpus"]

ResultT = TypeVar("ResultT")

_CONTEXT = 600 * 2**20  # bytes that a process holds on a GPU before its first tensor, about


def pick_device(name: str, *, elsewhere: bool = False) -> str:
    """Choose the device: `auto` is the first CUDA device, if there is one, else the CPU.

    A named device is tried, unless the work is done `elsewhere`, on other machines.

    Raises:
        MdtreeError: The device does not exist or cannot be used.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if not elsewhere:
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise MdtreeError(
            f"device {name!r} cannot be used: {first} (known: auto, cpu, cuda, cuda:1, ...)"
        ) from error
    return str(device)


def visible_gpus(device: str) -> tuple[str, ...]:
    """List the GPUs that work on `device` may use: all, unless it names one."""
    if device != "cuda":
        return ()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip())
    return tuple(map(str, range(torch.cuda.device_count())))


def held_share(device: str, work: Callable[[], ResultT]) -> tuple[ResultT, float | None]:
    """Run `work`, and return its result with the peak share of GPU memory in use."""
    where = torch.device(device)
    if where.type != "cuda" or not torch.cuda.is_available():
        return work(), None
    torch.cuda.init()  # type: ignore[no-untyped-call]  # a device with a number does not do it
    torch.cuda.reset_peak_memory_stats(where)
    result = work()
    total = torch.cuda.get_device_properties(where).total_memory
    return result, (_CONTEXT + torch.cuda.max_memory_reserved(where)) / total


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread inside the context, and restore the number of threads after it.

    On busy cores, linear algebra of small matrices is slower with several.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def single_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Work in so many threads inside the context, each with one thread of linear algebra.

    Two threads that share one small matrix wait for each other most of the time.
    """
    one_each = partial(torch.set_num_threads, 1)
    with one_thread(), ThreadPoolExecutor(count, initializer=one_each) as pool:
        yield pool
