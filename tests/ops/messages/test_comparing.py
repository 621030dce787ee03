"""The comparison of shapes is red for whatever leaves an old body unread, and green for what does not."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, create_model

from ops.messages.comparing import refusals
from ops.messages.shapes import shape
from tests.house.bodies import bodies

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
OPEN = ConfigDict(extra="allow")


def model(config: ConfigDict = STRICT, /, **fields: Any) -> type[BaseModel]:
    return create_model("Body", __config__=config, **fields)


def body(config: ConfigDict = STRICT, /, **fields: Any) -> dict[str, Any]:
    return shape(model(config, **fields))


def text(**bounds: Any) -> Any:
    return Annotated[str, StringConstraints(**bounds)]


def number(**bounds: Any) -> Any:
    return Annotated[int, Field(**bounds)]


def moment(year: int, bound: str) -> Any:
    limits: dict[str, Any] = {bound: datetime(year, 1, 1, tzinfo=UTC)}
    return Annotated[AwareDatetime, Field(**limits)]


Letter = Annotated[str, StringConstraints(pattern="^[a-z]$")]
Digit = Annotated[str, StringConstraints(pattern="^[0-9]$")]


class Old(BaseModel):
    """A part."""

    model_config = STRICT
    lane: str
    rounds: int


class WithoutRounds(BaseModel):
    """A part with less in it."""

    model_config = STRICT
    lane: str


class WithMore(Old):
    """A part with more in it, which need not be there."""

    person: str | None = None


class WithMoreThatMustBe(Old):
    """A part with more in it, which must be there."""

    person: str


class Colour(Enum):
    """Two values under one name."""

    RED = "red"
    BLUE = "blue"


BREAKING = {
    "a field is gone": (body(a=int, b=int), body(a=int), "`b`: the field is not read"),
    "a field has another name": (body(a=int), body(b=int), "`a`: the field is not read"),
    "a field is new and required": (body(a=int), body(a=int, b=int), "`b`: the field is required"),
    "a field became required": (body(a=(int, 1)), body(a=int), "`a`: the field is required"),
    "another type": (body(a=int), body(a=str), "`a`: integer is not read"),
    "a narrower type": (body(a=float), body(a=int), "`a`: number is not read"),
    "null is gone": (body(a=int | None), body(a=int), "`a`: null is not read"),
    "an alternative is gone": (body(a=int | str | bool), body(a=int | bool), "`a`: string is not read"),
    "a text became an id": (body(a=str), body(a=UUID), "`a`: `format` is 'uuid', it was None"),
    "an id became a moment": (body(a=UUID), body(a=AwareDatetime), "`format` is 'date-time', it was 'uuid'"),
    "a value is gone": (body(a=Literal["x", "y"]), body(a=Literal["x"]), "`a`: 'y' is not read"),
    "a value has another name": (body(a=Colour), body(a=Literal["red", "green"]), "`a`: 'blue' is not read"),
    "a text became a choice": (body(a=str), body(a=Literal["x"]), "`a`: only 'x' is read"),
    "a choice does not fit a bound": (body(a=Literal["xy", "z"]), body(a=text(max_length=1)), "'xy' is not read"),
    "a choice does not fit a pattern": (
        body(a=Literal["xy", "7"]),
        body(a=text(pattern="^[a-z]+$")),
        "'7' is not read",
    ),
    "a choice became an id": (body(a=Literal["xy"]), body(a=UUID), "'xy' is not read"),
    "a pattern is new": (body(a=str), body(a=text(pattern="^x$")), "`a`: `pattern` is '^x$', it was None"),
    "another pattern": (body(a=text(pattern="^y?$")), body(a=text(pattern="^y$")), "`pattern` is '^y$', it was '^y?$'"),
    "a least number is new": (body(a=int), body(a=number(ge=0)), "`a`: `minimum` is 0, there was none"),
    "a higher least number": (body(a=number(ge=0)), body(a=number(ge=1)), "`a`: `minimum` is 1, it was 0"),
    "the least number is outside": (body(a=number(ge=0)), body(a=number(gt=0)), "`a`: `minimum` is 1, it was 0"),
    "the least fraction is outside": (
        body(a=Annotated[float, Field(ge=0)]),
        body(a=Annotated[float, Field(gt=0)]),
        "`a`: `minimum` is 0 (itself outside), it was 0",
    ),
    "a most number is new": (body(a=int), body(a=number(le=9)), "`a`: `maximum` is 9, there was none"),
    "a lower most number": (body(a=number(le=9)), body(a=number(le=8)), "`a`: `maximum` is 8, it was 9"),
    "the most number is outside": (body(a=number(le=9)), body(a=number(lt=9)), "`a`: `maximum` is 8, it was 9"),
    "multiples alone": (body(a=int), body(a=number(multiple_of=5)), "`a`: `multipleOf` is 5, it was None"),
    "a longer least text": (body(a=text(min_length=1)), body(a=text(min_length=2)), "`minLength` is 2, it was 1"),
    "a shorter most text": (body(a=text(max_length=9)), body(a=text(max_length=8)), "`maxLength` is 8, it was 9"),
    "a later earliest moment": (body(a=moment(1900, "ge")), body(a=moment(2000, "ge")), "`x-earliest` is '2000"),
    "an earlier latest moment": (body(a=moment(2200, "le")), body(a=moment(2100, "le")), "`x-latest` is '2100"),
    "a list of less": (
        body(a=(tuple[int, ...], Field(max_length=9))),
        body(a=(tuple[int, ...], Field(max_length=8))),
        "`a`: `maxItems` is 8, it was 9",
    ),
    "a list of at least one": (
        body(a=tuple[int, ...]),
        body(a=(tuple[int, ...], Field(min_length=1))),
        "`a`: `minItems` is 1, there was none",
    ),
    "a list of others": (body(a=tuple[int, ...]), body(a=tuple[str, ...]), "`a[]`: integer is not read"),
    "a list became a pair": (body(a=tuple[int, ...]), body(a=tuple[int, int]), "`a`: `prefixItems` is "),
    "each at most once": (body(a=list[int]), body(a=set[int]), "`a`: `uniqueItems` is True"),
    "a part has less in it": (body(a=Old), body(a=WithoutRounds), "`a.rounds`: the field is not read"),
    "a part in a list has less": (
        body(a=tuple[Old, ...]),
        body(a=tuple[WithoutRounds, ...]),
        "`a[].rounds`: the field is not read",
    ),
    "a part needs more": (body(a=Old), body(a=WithMoreThatMustBe), "`a.person`: the field is required"),
    "a map of less": (
        body(a=(dict[str, int], Field(max_length=9))),
        body(a=(dict[str, int], Field(max_length=8))),
        "`a`: `maxProperties` is 8, it was 9",
    ),
    "a map to others": (body(a=dict[str, int]), body(a=dict[str, str]), "`a[]`: integer is not read"),
    "a map from others": (
        body(a=dict[Letter, int]),
        body(a=dict[Digit, int]),
        "`a[]`: the field is not read",
    ),
    "a map from named things to others": (
        body(a=dict[Letter, int]),
        body(a=dict[Letter, bool]),
        "`a[^[a-z]$]`: integer is not read",
    ),
    "a map became a part": (
        body(a=dict[Letter, int]),
        body(OPEN, a=model(OPEN, b=(str, ""))),
        "`a[b]`: ",
    ),
    "fields of any name are gone": (body(OPEN, a=int), body(a=int), "`[]`: the field is not read"),
    "a name that was anything has a type": (
        body(OPEN, a=int),
        body(OPEN, a=int, b=(int, 0)),
        "`[b]`: anything is not read",
    ),
    "something this does not know": ({"type": "string", "contentEncoding": "a"}, {"type": "string"}, "contentEncoding"),
}

COMPATIBLE = {
    "nothing changed": (body(a=Old, b=tuple[int, ...]), body(a=Old, b=tuple[int, ...])),
    "other words": (body(a=int), body(a=(int, Field(description="a number", title="A")))),
    "another order": (body(a=int, b=str), body(b=str, a=int)),
    "another default": (body(a=(int, 1)), body(a=(int, 2))),
    "a field is new and need not be there": (body(a=int), body(a=int, b=(int | None, None))),
    "a field need not be there any more": (body(a=int), body(a=(int, 1))),
    "a wider type": (body(a=int), body(a=float)),
    "null is possible": (body(a=int), body(a=int | None)),
    "an alternative more": (body(a=int | str), body(a=str | bool | int)),
    "an id became a text": (body(a=UUID), body(a=str)),
    "a value more": (body(a=Literal["x"]), body(a=Literal["y", "x"])),
    "a choice became a text that has them all": (
        body(a=Literal["x", "y"]),
        body(a=text(min_length=1, max_length=1, pattern="^[xyz]$")),
    ),
    "a choice of numbers became a number": (body(a=Literal[1, 2]), body(a=number(ge=1, le=2))),
    "no pattern any more": (body(a=text(pattern="^x$")), body(a=str)),
    "wider bounds": (body(a=number(ge=0, le=9)), body(a=number(ge=-1, le=10))),
    "no bounds any more": (body(a=number(gt=0, lt=9)), body(a=int)),
    "a bound said otherwise": (body(a=number(gt=0, lt=9)), body(a=number(ge=1, le=8))),
    "longer texts": (body(a=text(min_length=1, max_length=8)), body(a=text(max_length=9))),
    "more time": (body(a=moment(1900, "ge")), body(a=moment(1800, "ge"))),
    "longer lists": (body(a=(list[int], Field(max_length=8))), body(a=(list[int], Field(max_length=9)))),
    "a part has more that need not be there": (body(a=Old), body(a=WithMore)),
    "maps to more": (body(a=dict[str, int]), body(a=dict[str, int | None])),
    "maps from more": (body(a=dict[Letter, int]), body(a=dict[str, int])),
    "any other field": (body(a=int), body(OPEN, a=int)),
    "a part became a map": (body(a=model(b=int, c=int)), body(a=dict[str, int])),
}


@pytest.mark.parametrize("case", BREAKING)
def test_what_breaks_is_told(case):
    before, after, words = BREAKING[case]
    assert words in "\n".join(refusals(after, before))


@pytest.mark.parametrize("case", COMPATIBLE)
def test_what_does_not_break_is_not_told(case):
    before, after = COMPATIBLE[case]
    assert refusals(after, before) == []


def test_several_findings_are_all_told():
    before, after = body(a=int, b=Old, c=str), body(a=str, b=WithoutRounds, d=str)
    assert refusals(after, before) == [
        "`a`: integer is not read",
        "`b.rounds`: the field is not read",
        "`c`: the field is not read",
        "`d`: the field is required",
    ]


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of a small world, in which two have a fair chance to have something to do with each other."""
    small = st.integers(0, 3)
    numbers = st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": small,
            "exclusiveMinimum": small,
            "maximum": st.integers(5, 8),
            "exclusiveMaximum": st.integers(5, 8),
        },
    )
    texts = st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": small, "maxLength": st.integers(3, 5)}
    )
    patterns = st.sampled_from(["^[ab]$", "^[abc]$"]).map(lambda one: {"type": "string", "pattern": one})
    choices = st.lists(st.sampled_from(["a", "b", "xyz"]), min_size=1, unique=True).map(
        lambda values: {"type": "string", "enum": values}
    )
    plain = st.sampled_from([{"type": "null"}, {"type": "boolean"}])
    return st.recursive(st.one_of(numbers, texts, patterns, choices, plain), _compounds, max_leaves=4)


def _compounds(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={"minItems": st.integers(0, 2), "maxItems": st.integers(2, 4)},
    )
    either = st.lists(inner, min_size=1, max_size=3).map(lambda several: {"anyOf": several})
    maps = inner.map(
        lambda value: {"type": "object", "patternProperties": {"^[ab]$": value}, "additionalProperties": False}
    )
    names = st.sampled_from(["a", "b", "c"])
    objects = st.tuples(st.dictionaries(names, inner, max_size=3), st.sets(names), st.booleans()).map(
        lambda made: {
            "type": "object",
            "properties": made[0],
            "required": sorted(made[1] & made[0].keys()),
            "additionalProperties": made[2],
        }
    )
    return st.one_of(lists, either, maps, objects)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=schemas(), after=schemas(), data=st.data())
def test_where_nothing_is_told_every_old_body_is_read(before, after, data):
    """Whatever the two shapes are."""
    if refusals(after, before):
        event("breaks")
        return
    event("does not break")
    old = data.draw(bodies(before))
    Draft202012Validator(before).validate(old)
    Draft202012Validator(after).validate(old)


@given(schemas())
def test_a_shape_reads_its_own_bodies(before):
    assert refusals(before, before) == []
