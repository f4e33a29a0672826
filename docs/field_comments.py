"""An extension of Griffe: the comment behind a field of a dataclass is its documentation."""

from __future__ import annotations

import io
import tokenize
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Give a field without a docstring the comment at the end of its line."""

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Read the comment from the source."""
        if attr.docstring or attr.parent is None or not attr.parent.is_class:
            return
        source = attr.source
        tokens = tokenize.generate_tokens(io.StringIO(source + "\n").readline)
        try:
            comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
        except (tokenize.TokenError, IndentationError):
            return
        if comments and not comments[-1].startswith("# noqa"):
            attr.docstring = griffe.Docstring(comments[-1].lstrip("# "), parent=attr)
