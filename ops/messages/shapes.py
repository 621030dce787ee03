"""The JSON Schemas of messages: what their classes read, said as exactly as JSON Schema can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Json = dict[str, Any]

PARTS: Final = "#/components/schemas/"
MOMENTS_BOUNDS: Final = {"ge": "x-earliest", "le": "x-latest"}  # JSON Schema has no words for them
SAID_FOR_PEOPLE: Final = frozenset({"title", "description"})


class Dialect(GenerateJsonSchema):
    """JSON Schema without titles that repeat names, with the bounds of moments, and with keys that are all bounded."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def generate_inner(self, schema: Any) -> Json:
        made = super().generate_inner(schema)
        if made.get("format") != "date-time":
            return made
        bounds = {name: one[key] for one in _moments(schema) for key, name in MOMENTS_BOUNDS.items() if key in one}
        return {**made, **{name: bound.isoformat() for name, bound in bounds.items()}}

    def dict_schema(self, schema: core_schema.DictSchema) -> Json:
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made


def _moments(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The definitions of moments inside one of pydantic's own."""
    if isinstance(schema, dict):
        if schema.get("type") == "datetime":
            yield schema
        for part in schema.values():
            yield from _moments(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _moments(part)


def described(message: type[BaseModel]) -> tuple[Json, dict[str, Json]]:
    """A message's schema with its words, and the parts that it refers to, by name."""
    schema = message.model_json_schema(ref_template=f"{PARTS}{{model}}", schema_generator=Dialect)
    parts: dict[str, Json] = schema.pop("$defs", {})
    return schema, parts


def shape(message: type[BaseModel]) -> Json:
    """What a message's body must be, in one piece and without words: what changes of it matter to old bodies."""
    schema, parts = described(message)
    whole = _in_one_piece(schema, parts)
    assert isinstance(whole, dict)
    return whole


def shape_of_type(kind: Any) -> Json:
    """The schema of a type that fields are made of."""
    return TypeAdapter(kind).json_schema(schema_generator=Dialect)


def _in_one_piece(schema: Any, parts: Mapping[str, Json], above: tuple[str, ...] = ()) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PARTS)
        assert name not in above, f"{name} contains itself, which this cannot say in one piece"
        return _in_one_piece(parts[name], parts, (*above, name))
    whole: Json = {}
    for key, value in schema.items():
        if key in {"properties", "patternProperties"}:
            whole[key] = {name: _in_one_piece(one, parts, above) for name, one in value.items()}
        elif isinstance(value, list):
            whole[key] = [_in_one_piece(one, parts, above) for one in value]
        elif key not in SAID_FOR_PEOPLE:
            whole[key] = _in_one_piece(value, parts, above)
    return whole
