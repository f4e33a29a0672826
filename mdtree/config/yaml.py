"""YAML as recipes need it: safe, small, floats as people write them, places for error messages."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from mdtree.exceptions import RecipeError

__all__ = ["Document", "parse_yaml", "read_yaml"]

_LARGEST_FILE = 1 << 20  # bytes
_MOST_NODES = 200_000  # after aliases are expanded; a recipe of a published-size zoo has 20,000
_DEEPEST = 50  # levels


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
    """The safe loader, with floats such as 1e-3 and without duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - pyyaml's signature
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice", key.start_mark
                )
            seen.add(getattr(key, "value", None) if isinstance(key, yaml.ScalarNode) else key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-3 as text, for want of a dot
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
# a date is text to us
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))


def read_yaml(path: Path) -> Document:
    """Read a YAML file; whatever is wrong with it is a RecipeError with file and line."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise RecipeError(f"{path} has {size} bytes, a recipe at most {_LARGEST_FILE}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 text, so it is no recipe: {error}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Document:
    """Parse YAML text; `where` names it in errors."""
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is not None:
                _check_size(root, where)
            content = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise RecipeError(f"{where}, line {line}: {error.problem}") from error
    except RecursionError as error:
        raise RecipeError(f"{where} is nested too deeply for a recipe") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # pyyaml lets these through for contradictory tags, such as `!!int x` and `!!bool x`
        raise RecipeError(f"{where} is not valid YAML: {error}") from error
    return Document(content, root)


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if getattr(key, "value", None) == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _check_size(root: yaml.Node, where: str) -> None:
    """Refuse what aliases blow up: a few lines can stand for billions of nodes, or for a cycle."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > _DEEPEST:
            raise RecipeError(f"{where} is nested more than {_DEEPEST} levels deep")
        if id(node) not in sizes:
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            flat = (part for child in children for part in _parts(child))
            sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in flat)
        return sizes[id(node)]

    if size(root, 0) > _MOST_NODES:
        raise RecipeError(f"{where} expands to more than {_MOST_NODES} entries")


def _parts(child: yaml.Node | tuple[yaml.Node, yaml.Node]) -> tuple[yaml.Node, ...]:
    return child if isinstance(child, tuple) else (child,)
