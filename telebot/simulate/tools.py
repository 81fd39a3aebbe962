"""When a simulated language model calls a function, and with which arguments: always the same for
the same words, so that a test knows.

A function is called when the caller's last words contain every word of its name
(``transfer_call``: "please transfer my call"), or when the request demands one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def call_for(
    tools: Sequence[tuple[str, Schema]], said: str, *, must: bool = False
) -> tuple[str, dict[str, Any]] | None:
    """The function (of names with the JSON schemas of their arguments) that is called, and its
    arguments; None where a text is the answer."""
    words = set(re.findall(r"[a-z0-9]+", said.lower()))
    for name, schema in tools:
        if set(re.findall(r"[a-z0-9]+", name.lower())) <= words:
            return name, arguments(schema, said)
    if must and tools:
        return tools[0][0], arguments(tools[0][1], said)
    return None


def arguments(schema: Schema, said: str) -> dict[str, Any]:
    """A value for each required property: what the caller said, or a number in it."""
    properties = schema.get("properties") or {}
    return {name: _value(properties.get(name) or {}, said) for name in schema.get("required") or ()}


def objects(schema: Any) -> Iterator[Schema]:
    """Every object in a schema, however deep."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def closed(schema: Schema) -> bool:
    """Whether an object may hold what it names alone, and holds all of it."""
    named = set(schema.get("properties") or ())
    return schema.get("additionalProperties") is False and named == set(schema.get("required", ()))


def _value(schema: Schema, said: str) -> Any:
    if choices := schema.get("enum"):
        return next((c for c in choices if str(c).lower() in said.lower()), choices[0])
    number = re.search(r"\d+", said)
    match schema.get("type"):
        case "integer" | "number":
            return int(number[0]) if number else 0
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return arguments(schema, said)
        case _:
            return said
