"""YAML as recipes need it: safe, small, floats as people write them, places for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from mdtree.exceptions import RecipeError

__all__ = ["Document", "parse_yaml", "read_yaml"]

_LARGEST_FILE = 1 << 20  # bytes
_LARGEST_SIZE = 200_000  # entries after aliases are expanded; a recipe of a large zoo has 20,000
_TEXT = 20  # characters that count as one more entry
_DEEPEST = 50  # levels after aliases are expanded
_LONGEST_INT = 64  # bits


class Document:
    """The content of a YAML file, and the line on which each part of it stands."""

    def __init__(self, content: Any, root: yaml.Node | None) -> None:
        self.content = content
        self._root = root

    def line(self, place: Sequence[int | str]) -> int | None:
        """Find the line (from 1) of the part that `place` leads to, or of the nearest above it."""
        node = self._root
        line = None
        for part in place:
            child = _child(node, part)
            if child is None:
                continue  # a part that only the schema knows, such as the kind of a union
            key, node = child
            line = key.start_mark.line + 1
        return line


class _Loader(yaml.SafeLoader):
    """The safe loader, with floats such as 1e-3, and nothing that JSON could not hold."""


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    value: int = loader.construct_yaml_int(node)
    if value.bit_length() > _LONGEST_INT:
        raise yaml.constructor.ConstructorError(
            None, None, f"a whole number has at most {_LONGEST_INT} bits", node.start_mark
        )
    return value


def _date(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Leave a date as text."""
    return str(loader.construct_scalar(node))


def _refused(_: _Loader, node: yaml.Node) -> NoReturn:
    raise yaml.constructor.ConstructorError(
        None, None, f"a recipe holds no {node.tag.rpartition(':')[2]}", node.start_mark
    )


# YAML 1.1 reads 1e-3 as text, for want of a dot
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)
for _kind in ("binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _refused)


def read_yaml(path: Path) -> Document:
    """Read a YAML file; whatever is wrong with it is a RecipeError with file and line."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path} is not UTF-8 text, so it is no recipe: {error.reason}"
        ) from error
    if len(content) > _LARGEST_FILE:
        raise RecipeError(f"{path} has more than {_LARGEST_FILE} bytes, too many for a recipe")
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Document:
    """Parse YAML text; `where` names it in errors."""
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is not None:
                _inspect(root, where)
            content = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise RecipeError(f"{where}{line}: {said}") from error
    except RecursionError as error:
        raise RecipeError(f"{where} is nested too deeply for a recipe") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # pyyaml lets these through for contradictory tags, such as `!!int x` and `!!bool x`
        raise RecipeError(f"{where} is not valid YAML: {error}") from error
    return Document(content, root)


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):  # what `<<` brings in stands before what counts
            if getattr(key, "value", None) == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _inspect(root: yaml.Node, where: str) -> None:
    """Look at a document before anything is made of it.

    A few lines with aliases can stand for billions of entries, or for a cycle; and of two equal
    keys pyyaml would let the last one win.
    """
    known: dict[int, tuple[int, int]] = {}  # node -> its size and height

    def look_at(node: yaml.Node, depth: int) -> tuple[int, int]:
        if depth <= _DEEPEST and id(node) not in known:
            below = [look_at(part, depth + 1) for part in _parts(node, where)]
            if isinstance(node, yaml.ScalarNode):
                known[id(node)] = 1 + len(node.value) // _TEXT, 0
            else:
                size = 1 + sum(size for size, _ in below)
                known[id(node)] = size, 1 + max((height for _, height in below), default=0)
        size, height = known.get(id(node), (0, 0))
        if depth + height > _DEEPEST:
            raise RecipeError(f"{where} is nested more than {_DEEPEST} levels deep")
        if size > _LARGEST_SIZE:
            raise RecipeError(f"{where} expands to more than {_LARGEST_SIZE} entries")
        return size, height

    look_at(root, 0)


def _parts(node: yaml.Node, where: str) -> list[yaml.Node]:
    """List what a node directly holds; refuse equal keys, and text that no file can hold."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) and key.value != "<<" else key
            if name in seen:
                raise _fault(key, where, f"the key {name!r} stands here twice")
            seen.add(name)
        return [part for pair in node.value for part in pair]
    try:
        node.value.encode()
    except UnicodeEncodeError as error:
        raise _fault(node, where, f"{node.value!r} holds half a character") from error
    return []


def _fault(node: yaml.Node, where: str, message: str) -> RecipeError:
    return RecipeError(f"{where}, line {node.start_mark.line + 1}: {message}")
