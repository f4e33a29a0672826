"""A progress bar on the terminal: groups done, groups in all, time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

import click

from mdtree.render.terminal import printable

__all__ = ["Bar"]


class Bar:
    """A progress bar on stderr, drawn only if that is a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def start(self, total: int) -> None:
        """Draw the empty bar, below the one before it."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None
        if total and sys.stderr.isatty():
            self._bar = click.progressbar(
                length=total,
                label=self._label,
                file=sys.stderr,
                show_pos=True,
                show_eta=True,
                item_show_func=lambda name: printable(name or "")[:40],
            )
            self._bar.render_progress()

    def step(self, done: str) -> None:
        """Advance by one and show its name."""
        if self._bar is not None:
            self._bar.update(1, done)
