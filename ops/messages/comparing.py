"""Whether one JSON Schema reads all that another one allows. It knows the schemas that messages have, and no more.

What it does not understand counts as refused if it changed at all: a wrong alarm is looked at, a missed one is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
Expected = Schema | bool  # anything (True) or nothing (False)
Bound = tuple[Any, int]  # a number or a moment, and whether it is itself outside (-1, 1) or inside (0)

ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples"})
LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "x-earliest")
UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "x-latest")
STRUCTURE: Final = frozenset({"type", "enum", "const", "properties", "required", "items"}) | {
    "additionalProperties",
    "patternProperties",
}
DROPPABLE: Final = frozenset({"pattern", "format", "multipleOf", "uniqueItems"})  # without it, more is read


def refusals(reader: Schema, writer: Schema, place: str = "") -> list[str]:
    """What `reader` would refuse of the bodies that `writer` allows, a sentence each; nothing if it reads them all."""
    found: list[str] = []
    for written in _alternatives(writer):
        readings = [_refused(read, written, place) for read in _alternatives(reader) if _of_a_kind(read, written)]
        fewest: list[str] = min(readings, key=len, default=[_at(place, f"{_kind(written)} is not read")])
        found += fewest
    return found


def _alternatives(schema: Schema) -> Iterator[Schema]:
    """The schema as alternatives of one type each."""
    shared = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf", "type"}}
    kinds = schema.get("type")
    if "anyOf" in schema or "oneOf" in schema:
        for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            yield from _alternatives({**shared, **one})
    elif isinstance(kinds, list):
        for kind in kinds:
            yield {**shared, "type": kind}
    else:
        yield schema


def _of_a_kind(reader: Schema, writer: Schema) -> bool:
    kinds = (reader.get("type"), writer.get("type"))
    return kinds[0] in {None, kinds[1]} or kinds == ("number", "integer")


def _refused(reader: Schema, writer: Schema, place: str) -> list[str]:
    if "enum" in writer or "const" in writer:
        lost = [value for value in _values(writer) if not _fits(value, reader)]
        return [_at(place, f"{', '.join(map(repr, lost))} is not read")] if lost else []
    if "enum" in reader or "const" in reader:
        return [_at(place, f"only {', '.join(map(repr, _values(reader)))} is read")]
    return [
        *_refused_bounds(reader, writer, place),
        *_refused_keywords(reader, writer, place),
        *_refused_fields(reader, writer, place),
        *_refused_items(reader, writer, place),
    ]


def _refused_bounds(reader: Schema, writer: Schema, place: str) -> list[str]:
    found = []
    for names in (LOWER[:2], *((name,) for name in LOWER[2:])):
        least, was = _bound(reader, names, 1), _bound(writer, names, 1)
        if least is not None and (was is None or least > was):
            found.append(_at(place, f"`{names[0]}` is {_told(least)}, {_was(was)}"))
    for names in (UPPER[:2], *((name,) for name in UPPER[2:])):
        most, was = _bound(reader, names, -1), _bound(writer, names, -1)
        if most is not None and (was is None or most < was):
            found.append(_at(place, f"`{names[0]}` is {_told(most)}, {_was(was)}"))
    return found


def _bound(schema: Schema, names: tuple[str, ...], inwards: int) -> Bound | None:
    """The strictest of the bounds of these names."""
    whole = schema.get("type") == "integer"
    bounds: list[Bound] = []
    for name in names:
        if name in schema:
            value, outside = schema[name], name.startswith("exclusive")
            bounds.append((value + inwards, 0) if outside and whole else (value, inwards if outside else 0))
    if not bounds:
        return None
    return max(bounds) if inwards > 0 else min(bounds)


def _told(bound: Bound) -> str:
    value, outside = bound
    return f"{value!r} (itself outside)" if outside else repr(value)


def _was(bound: Bound | None) -> str:
    return "there was none" if bound is None else f"it was {_told(bound)}"


def _refused_keywords(reader: Schema, writer: Schema, place: str) -> list[str]:
    known = ANNOTATIONS | STRUCTURE | {*LOWER, *UPPER}
    changed = [key for key in {**reader, **writer} if key not in known and reader.get(key) != writer.get(key)]
    return [
        _at(place, f"`{key}` is {reader.get(key)!r}, it was {writer.get(key)!r}")
        for key in changed
        if key in reader or key not in DROPPABLE
    ]


def _refused_fields(reader: Schema, writer: Schema, place: str) -> list[str]:
    written = writer.get("properties", {})
    found = [
        _at(_in(place, name), "the field is required")
        for name in reader.get("required", ())
        if name not in writer.get("required", ())
    ]
    for name, value in written.items():
        for expected in _expected(reader, name):
            found += _read_as(value, expected, _in(place, name))
    for pattern, value in writer.get("patternProperties", {}).items():
        for where, expected in _expected_under(reader, pattern):
            found += _read_as(value, expected, f"{place}[{where}]")
    rest = writer.get("additionalProperties", True)
    if rest is not False and _kind(writer) in {"object", "anything"}:
        for where, expected in _expected_under(reader, None):
            if where not in written:
                found += _read_as({} if rest is True else rest, expected, f"{place}[{where}]")
    return sorted(found)


def _expected(reader: Schema, name: str) -> list[Expected]:
    """What an object's reader expects under a name: all of these."""
    named = [reader["properties"][name]] if name in reader.get("properties", {}) else []
    fitting = [value for pattern, value in reader.get("patternProperties", {}).items() if re.search(pattern, name)]
    return [*named, *fitting] or [reader.get("additionalProperties", True)]


def _expected_under(reader: Schema, pattern: str | None) -> list[tuple[str, Expected]]:
    """What an object's reader expects under some name of a pattern, or under any: all of these, and where."""
    fields, patterns = reader.get("properties", {}), reader.get("patternProperties", {})
    named = [(name, value) for name, value in fields.items() if pattern is None or re.search(pattern, name)]
    others = [] if pattern in patterns else [("", reader.get("additionalProperties", True))]
    return [*named, *patterns.items(), *others]


def _in(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _read_as(written: Schema, expected: Expected, place: str) -> list[str]:
    if expected is False:
        return [_at(place, "the field is not read")]
    return [] if expected is True else refusals(expected, written, place)


def _refused_items(reader: Schema, writer: Schema, place: str) -> list[str]:
    return refusals(reader["items"], writer.get("items", {}), f"{place}[]") if "items" in reader else []


def _values(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema["enum"])


def _fits(value: Any, reader: Schema) -> bool:
    """Whether a reader takes this one value."""
    if "enum" in reader or "const" in reader:
        return value in _values(reader)
    exactly: dict[str, Any] = {"type": reader.get("type")}
    if isinstance(value, str):
        exactly |= {"minLength": len(value), "maxLength": len(value)}
        if "pattern" in reader and re.search(reader["pattern"], value):
            exactly["pattern"] = reader["pattern"]
    elif isinstance(value, int | float):
        exactly |= {"minimum": value, "maximum": value}
    return not _refused_bounds(reader, exactly, "") and not _refused_keywords(reader, exactly, "")


def _kind(schema: Schema) -> str:
    return str(schema.get("type", "anything"))


def _at(place: str, finding: str) -> str:
    return f"`{place}`: {finding}" if place else finding
