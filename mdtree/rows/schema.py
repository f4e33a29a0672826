"""JSON Schemas of what mdtree reads and writes, made from the classes that check it.

The comment of a field is its description: an editor shows it beside the key.
"""

from __future__ import annotations

import ast
import functools
import inspect
import io
import textwrap
import tokenize
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

__all__ = ["json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a class."""
    content = TypeAdapter(kind).json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, **content}


class _Generator(GenerateJsonSchema):
    """Schemas with the comments of fields, without titles that only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Return False: the key says it."""
        return False

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """Write the allowed values in the same words in all versions of pydantic."""
        values = list(schema["expected"])
        return {"const": values[0]} if len(values) == 1 else {"enum": values}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Describe the fields of a model."""
        return _described(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """Describe the fields of a dataclass."""
        return _described(super().dataclass_schema(schema), schema["cls"])

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> JsonSchemaValue:
        """Generate the schema without what depends on the version of pydantic."""
        content: JsonSchemaValue = _tidied(super().generate(schema, mode))
        return content


def _described(content: JsonSchemaValue, kind: type) -> JsonSchemaValue:
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("mdtree."):
            comments |= _comments(base)
    for name, field in content.get("properties", {}).items():
        if name in comments:
            field.setdefault("description", comments[name])
    return content


def _tidied(value: Any) -> Any:
    """Write descriptions as one line, and leave out that further keys are allowed."""
    if isinstance(value, list):
        return [_tidied(inner) for inner in value]
    if not isinstance(value, dict):
        return " ".join(value.split()) if isinstance(value, str) else value
    return {
        key: _tidied(inner)
        for key, inner in value.items()
        if (key, inner) != ("additionalProperties", True)
    }


@functools.cache
def _comments(kind: type) -> dict[str, str]:
    """Return the comment of each field: behind it, or on the line above."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # installed without its source: a schema needs no descriptions
        return {}
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa")
    }
    alone = {
        number for number, line in enumerate(source.splitlines(), 1) if line.lstrip()[:1] == "#"
    }
    (body,) = ast.parse(source).body
    found = {}
    for field in body.body if isinstance(body, ast.ClassDef) else ():
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            above = field.lineno - 1
            behind = comments.get(field.end_lineno or field.lineno)
            text = behind or (comments[above] if above in alone else None)
            if text:
                found[field.target.id] = text
    return found
