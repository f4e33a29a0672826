"""Groups of commands: a name that is not one of theirs gets a suggestion."""

from __future__ import annotations

import click

from mdtree.messages import nearest

__all__ = ["Group"]


class Group(click.Group):
    """A group that names the nearest command, or all of them."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names."""
        name = args[0]
        known = self.list_commands(ctx)
        is_option = name.startswith("-")  # click's own message fits it
        if not (is_option or ctx.resilient_parsing) and self.get_command(ctx, name) is None:
            hint = nearest(name, known) or f" (known: {', '.join(known)})"
            ctx.fail(f"No such command {name!r:.100}{hint}")
        return super().resolve_command(ctx, args)
