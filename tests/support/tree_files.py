"""Files of trees with one place changed."""

from __future__ import annotations

import json

LEFT_OUT = object()


def put(content, path, value):
    """Change one place, or leave it out."""
    for step in path[:-1]:
        content = content[step]
    if value is LEFT_OUT:
        del content[path[-1]]
    else:
        content[path[-1]] = json.loads(json.dumps(value))


def changed_text(whole, *path, to):
    """Give a whole file with one place changed, or left out."""
    content = json.loads(json.dumps(whole))
    put(content, path, to)
    return json.dumps(content)


def places(part, path=()):
    """List the way to every value of a file, containers included."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
