"""The little of JSON Schema that recordings use: objects, types, enumerations and minima."""

from __future__ import annotations

import json
from functools import cache
from typing import Any


def json_schema(title: str, required: dict[str, Any], **more: Any) -> bytes:  # noqa: ANN401
    """Return the schema of an object from those of its required and its other properties."""
    schema = {
        "title": title,
        "type": "object",
        "properties": {**required, **more},
        "required": list(required),
    }
    return json.dumps(schema).encode()


def mismatch(document: dict[str, Any], schema: bytes) -> str:
    """Return what an object has that its schema does not allow, or lacks; empty if it fits."""
    read = _read(schema)
    for key in read["required"]:
        if key not in document:
            return f"no {key}"
    for key, value in document.items():
        if not _fits(value, read["properties"].get(key, {})):
            return f"a {key} that cannot be right"
    return ""


@cache
def _read(schema: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(schema)
    return read


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict,
    "null": type(None),
}  # fmt: skip


def _fits(value: Any, schema: dict[str, Any]) -> bool:  # noqa: ANN401
    if "enum" in schema:
        return value in schema["enum"]
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if isinstance(value, bool) and names:  # which is an int to Python
        return "boolean" in names
    if names and not any(isinstance(value, _TYPES[name]) for name in names):
        return False
    return "minimum" not in schema or value >= schema["minimum"]
