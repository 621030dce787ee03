"""A field's schema in words."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bus import fields
from ops.messages.shapes import PARTS, Json, shape_of_type

FORMATS: Final = {"uuid": "UUID", "date-time": "moment"}


@cache
def types() -> Mapping[str, tuple[Json, str]]:
    """The types of `bus.fields` by name: the schema, and the sentence that stands under it in the code."""
    statements = ast.parse(Path(fields.__file__).read_text(encoding="utf-8")).body
    named: dict[str, tuple[Json, str]] = {}
    for assigned, said in pairwise(statements):
        if isinstance(assigned, ast.Assign) and isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            name = ast.unparse(assigned.targets[0])
            named[name] = (shape_of_type(getattr(fields, name)), str(said.value.value))
    return named


def words(schema: Json) -> str:
    """What a field holds, with its bounds, as Markdown."""
    for name, (known, _) in types().items():
        if known == {key: value for key, value in schema.items() if key not in {"description", "default"}}:
            return f"[{name}](#types)"
    return bare_words(schema)


def bare_words(schema: Json) -> str:
    """The same, without the names of types."""
    if "$ref" in schema:
        part = schema["$ref"].removeprefix(PARTS)
        return f"[{part}](#{part.lower()})"
    if "anyOf" in schema:
        return " or ".join(words(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    say = SAID_BY_TYPE.get(schema["type"])
    return str(schema["type"]) if say is None else say(schema)


def _list(schema: Json) -> str:
    return f"list{_between(schema, 'Items')} of {words(schema['items'])}"


def _map(schema: Json) -> str:
    [(pattern, value)] = schema["patternProperties"].items()
    key = words({"type": "string", "pattern": pattern})
    return f"map{_between(schema, 'Properties')} from {key} to {words(value)}"


def _text(schema: Json) -> str:
    said = FORMATS.get(schema.get("format", ""), "text")
    if "pattern" in schema:
        said += f" like `{schema['pattern']}`"
    if "x-earliest" in schema:
        said += f", {schema['x-earliest'][:10]} to {schema['x-latest'][:10]}"
    return said + _between(schema, "Length", "characters")


def _between(schema: Json, what: str, unit: str = "") -> str:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if least is None and most is None:
        return ""
    return f" ({_span(least, most)}{' ' * bool(unit)}{unit})"


def _number(schema: Json) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    said = str(schema["type"])
    if "exclusiveMinimum" in schema:
        said += f", more than {_told(schema['exclusiveMinimum'])}"
        least = None
    return said if least is None and most is None else f"{said}, {_span(least, most)}"


def _span(least: Any, most: Any) -> str:
    if least is None:
        return f"at most {_told(most)}"
    return f"at least {_told(least)}" if most is None else f"{_told(least)} to {_told(most)}"


def _told(value: float) -> str:
    return f"{value:,}"


SAID_BY_TYPE: Final[Mapping[str, Callable[[Json], str]]] = {
    "array": _list,
    "object": _map,
    "string": _text,
    "integer": _number,
    "number": _number,
}
