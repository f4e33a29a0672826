"""Sections: a heading, a sentence on what is to be seen, and the thing itself."""

from __future__ import annotations

from mdtree.render.markup import Markup, tag

__all__ = ["section"]


def section(title: str, lead: str | None, *parts: Markup | None) -> Markup:
    """Write one section of a group."""
    paragraph = None if lead is None else tag("p", lead, class_="lead")
    return tag("section", tag("h3", title), paragraph, *parts)
