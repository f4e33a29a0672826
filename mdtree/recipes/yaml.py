"""YAML for recipes: safe, small, numbers as people write them, line numbers for errors.

Numbers and `<<` are resolved here, because releases of PyYAML differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from mdtree.exceptions import RecipeError

__all__ = ["Document", "parse_yaml", "read_yaml"]

_LARGEST_FILE = 1 << 20  # bytes
_LARGEST_SIZE = 200_000  # entries after aliases are expanded; the recipe of a large zoo has 20,000
_TEXT = 20  # characters that count as one more entry
_DEEPEST = 50  # levels after aliases are expanded
_LONGEST_INT = 64  # bits
_LONGEST_FLOAT = 1000  # characters
_LONGEST_FAULT = 300  # characters of what PyYAML says

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
# types of words without quotes, and their first characters; all others are text, such as dates and
# times: YAML 1.1 reads 12:30 as 750
_WORDS: tuple[tuple[str, str, Sequence[str]], ...] = (
    ("int", r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        (
            r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?"
            r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
            r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
        "-+.0123456789",
    ),
    (
        "bool",
        "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    ("null", "~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", "<<", "<"),
)


class Document:
    """The content of a YAML file, and the line of each of its parts."""

    def __init__(self, content: Any, root: yaml.Node | None) -> None:
        self.content = content
        self._root = root

    def line(self, place: Sequence[int | str]) -> int | None:
        """Return the line (from 1) of the part at `place`, or of its nearest parent."""
        node = self._root
        line = None
        for part in place:
            child = _child(node, part)
            if child is None:
                continue  # only in the schema, such as the tag of a union
            key, node = child
            line = key.start_mark.line + 1
        return line


class _Loader(yaml.SafeLoader):
    """The safe loader, restricted to values that JSON has, with limits while it reads."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's; those of _WORDS alone

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self._where = where
        self._nodes = 0  # so far, each alias counted
        self._depth = -1

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Read a node; refuse it if there are too many, or if it is nested too deeply."""
        self._nodes += 1
        self._depth += 1
        if self._nodes > _LARGEST_SIZE:
            raise _too_large(self._where)
        if self._depth > _DEEPEST:
            raise _too_deep(self._where)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Insert the pairs of `<<` before a mapping's own: the last of equal keys wins."""
        own = [(key, value) for key, value in node.value if key.tag != _MERGE]
        merged = [
            pair for key, value in node.value if key.tag == _MERGE for pair in self._merged(value)
        ]
        node.value = [*merged, *own]

    def _merged(self, node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
        """List the pairs of one mapping or several; the first mapping takes precedence."""
        merged = []
        for part in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(part, yaml.MappingNode):
                raise _wrong(node, "<< takes a mapping, or a list of mappings")
            self.flatten_mapping(part)
            merged += part.value
        return merged


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    digits = text.lstrip("-+")
    if len(digits) <= len("0b") + _LONGEST_INT:
        base = {"0b": 2, "0x": 16}.get(digits[:2], 8 if digits.startswith("0") else 10)
        try:
            value = int(text, base)
        except ValueError as error:
            raise _wrong(node, f"{text!r} is not a whole number") from error
        if value.bit_length() <= _LONGEST_INT:
            return value
    raise _wrong(node, f"a whole number may have at most {_LONGEST_INT} bits")


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "")
    if len(text) > _LONGEST_FLOAT:
        raise _wrong(node, f"a number may have at most {_LONGEST_FLOAT} characters")
    try:
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    except ValueError as error:
        raise _wrong(node, f"{text!r:.100} is not a number") from error


def _date(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Keep a date as text."""
    return str(loader.construct_scalar(node))


def _refused(_: _Loader, node: yaml.Node) -> NoReturn:
    raise _wrong(node, f"a recipe cannot contain the type {node.tag.rpartition(':')[2]}")


def _wrong(node: yaml.Node, message: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, message, node.start_mark)


for _kind, _pattern, _starts in _WORDS:
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern})\Z"), list(_starts))
_Loader.add_constructor(f"{_TAG}int", _int)
_Loader.add_constructor(f"{_TAG}float", _float)
_Loader.add_constructor(f"{_TAG}timestamp", _date)
for _kind in ("binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"{_TAG}{_kind}", _refused)


def read_yaml(path: Path) -> Document:
    """Read a YAML file; raise RecipeError with file and line if it is invalid."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not a recipe: not UTF-8 text ({error.reason})") from error
    if len(content) > _LARGEST_FILE:
        raise RecipeError(f"{path} is too large for a recipe: more than {_LARGEST_FILE} bytes")
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Document:
    """Parse YAML text; `where` is its name in errors."""
    try:
        loader = _Loader(text, where)
        try:
            root = loader.get_single_node()
            if root is not None:
                _inspect(root, where)
            content = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise RecipeError(f"{where}{line}: {message:.{_LONGEST_FAULT}}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # PyYAML raises these for contradictory tags, such as `!!int x` and `!!bool x`
        raise RecipeError(f"{where} is not valid YAML: {error!s:.{_LONGEST_FAULT}}") from error
    return Document(content, root)


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):  # the pairs of `<<` come first
            if getattr(key, "value", None) == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _inspect(root: yaml.Node, where: str) -> None:
    """Check a document before it is constructed.

    A few lines with aliases can expand to billions of entries, or form a cycle; and PyYAML would
    silently accept equal keys.
    """
    sizes: dict[int, tuple[int, int]] = {}  # node -> its size and height

    def look_at(node: yaml.Node, depth: int) -> tuple[int, int]:
        if depth <= _DEEPEST and id(node) not in sizes:
            below = [look_at(part, depth + 1) for part in _parts(node, where)]
            if isinstance(node, yaml.ScalarNode):
                sizes[id(node)] = 1 + len(node.value) // _TEXT, 0
            else:
                size = 1 + sum(size for size, _ in below)
                sizes[id(node)] = size, 1 + max((height for _, height in below), default=0)
        size, height = sizes.get(id(node), (0, 0))
        if depth + height > _DEEPEST:
            raise _too_deep(where)
        if size > _LARGEST_SIZE:
            raise _too_large(where)
        return size, height

    look_at(root, 0)


def _parts(node: yaml.Node, where: str) -> list[yaml.Node]:
    """List the direct children of a node; refuse equal keys and invalid text."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else key
            if name in seen:
                several = ": write << once, with a list of mappings" * (key.tag == _MERGE)
                raise _fault(key, where, f"the key {name!r:.100} is repeated{several}")
            seen.add(name)
        return [part for pair in node.value for part in pair]
    if "\0" in node.value:
        raise _fault(node, where, f"{node.value!r:.100} contains a null character")
    try:
        node.value.encode()
    except UnicodeEncodeError as error:
        raise _fault(node, where, f"{node.value!r:.100} contains an invalid character") from error
    return []


def _fault(node: yaml.Node, where: str, message: str) -> RecipeError:
    return RecipeError(f"{where}, line {node.start_mark.line + 1}: {message}")


def _too_deep(where: str) -> RecipeError:
    return RecipeError(f"{where} is nested more than {_DEEPEST} levels deep")


def _too_large(where: str) -> RecipeError:
    return RecipeError(f"{where} expands to more than {_LARGEST_SIZE} entries")
