"""Bodies that a message's schema allows, for Hypothesis to draw."""

import string
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

EARLIEST = "1900-01-01T00:00:00+00:00"
LATEST = "2199-12-31T00:00:00+00:00"
PRINTED = string.ascii_letters + string.digits + "äß.-"  # a text of a message is stripped, and has no NUL
FEW = 3


def bodies(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Everything of a schema in one piece, as JSON has it."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of([bodies(one) for one in schema[several]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return {
        "object": _objects,
        "array": _lists,
        "string": _texts,
        "integer": _integers,
        "number": _numbers,
        "boolean": lambda _schema: st.booleans(),
        "null": lambda _schema: st.none(),
    }[schema["type"]](schema)


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", FEW)
    for pattern, value in schema.get("patternProperties", {}).items():
        keys = st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
        return st.dictionaries(keys, bodies(value), min_size=least, max_size=min(most, least + FEW))
    fields = {name: bodies(field) for name, field in schema.get("properties", {}).items()}
    required = {name: field for name, field in fields.items() if name in schema.get("required", ())}
    optional = {name: field for name, field in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _lists(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    least = schema.get("minItems", 0)
    return st.lists(bodies(schema["items"]), min_size=least, max_size=min(schema.get("maxItems", FEW), least + FEW))


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    if schema.get("format") == "date":
        return st.dates().map(date.isoformat)
    if schema.get("format") == "date-time":
        earliest, latest = (
            datetime.fromisoformat(schema.get(key, otherwise)).replace(tzinfo=None)
            for key, otherwise in (("x-earliest", EARLIEST), ("x-latest", LATEST))
        )
        return st.datetimes(earliest, latest, timezones=st.just(UTC)).map(datetime.isoformat)
    least = schema.get("minLength", 0)
    return st.text(PRINTED, min_size=least, max_size=min(schema.get("maxLength", 1000), least + 20))


def _integers(schema: dict[str, Any]) -> st.SearchStrategy[int]:
    return _within(schema, st.integers(_least(schema), _most(schema)))


def _numbers(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    return _within(schema, st.floats(_least(schema), _most(schema), allow_nan=False, allow_infinity=False))


def _least(schema: dict[str, Any]) -> Any:
    return max((schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema), default=None)


def _most(schema: dict[str, Any]) -> Any:
    return min((schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema), default=None)


def _within(schema: dict[str, Any], numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    outside = [schema[key] for key in ("exclusiveMinimum", "exclusiveMaximum") if key in schema]
    return numbers.filter(lambda number: number not in outside)
