"""Lists of names in an option: `--metrics a,b`, which is the same as `--metrics a --metrics b`."""

from __future__ import annotations

import click

__all__ = ["joined"]


def joined(
    _ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the names of all uses of an option, each once; None if it was not used."""
    if not texts:
        return None
    names = (name.strip() for text in texts for name in text.split(","))
    known = tuple(dict.fromkeys(name for name in names if name))
    if not known:
        raise click.BadParameter("it names nothing: leave the option out, or name something")
    return known
