"""What may stand in a query string; each parameter once, and nothing else."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, ClassVar, Final, NamedTuple, Self, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bus.fields import Moment as AnyMoment
from gateway.body import says
from gateway.problems import invalid

MOST_ITEMS: Final = 100
POSITION: Final = r"(\d{1,9})-(\d{1,18})"


class Position(NamedTuple):
    """A place in the log, and which life of the log it is of."""

    epoch: int
    position: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        found = re.fullmatch(POSITION, text)
        return None if found is None else cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


def written_as(pattern: str, sentence: str) -> BeforeValidator:
    """Refuses what pydantic would understand, but was not meant: numbers as moments, underscores in numbers."""

    def check(text: object) -> object:
        if not isinstance(text, str) or re.fullmatch(pattern, text) is None:
            raise ValueError(sentence)
        return text

    return BeforeValidator(check)


Moment = Annotated[
    AnyMoment, written_as(r"\d{4}-\d\d-\d\dT.{1,30}", "must be a moment with its offset, like `2026-05-01T09:00:00Z`")
]
Day = Annotated[date, written_as(r"\d{4}-\d\d-\d\d", "must be a day, like `2026-05-01`")]
Limit = Annotated[int, Field(ge=1, le=MOST_ITEMS), written_as(r"\d{1,9}", "must be a number")]
Skip = Annotated[int, Field(ge=0, le=10**6), written_as(r"\d{1,9}", "must be a number")]


class Query(BaseModel):
    """The parameters that every view takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_position: Annotated[str | None, written_as(POSITION, "must be an epoch and a position, like `1-4711`")] = Field(
        default=None,
        alias="min-position",
        json_schema_extra={"pattern": f"^{POSITION}$"},
        description="Answer only once what is shown has passed this position of the log, as an outcome has it.",
    )

    @property
    def position(self) -> Position | None:
        return None if self.min_position is None else Position.read(self.min_position)


class _Between(Query):
    longest: ClassVar[timedelta]

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to", description="The first moment that does not count any more.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.until <= self.since:
            raise ValueError("`to` must come after `from`")
        if self.until - self.since > self.longest:
            raise ValueError(f"from `from` to `to` there are {self.longest.days} days at most")
        return self


class Period(_Between):
    """A time of a month at most."""

    longest = timedelta(days=31)


class History(_Between):
    """A time of a year at most."""

    longest = timedelta(days=366)


Q = TypeVar("Q", bound=Query)


def read_query(model: type[Q], request: web.Request) -> Q:
    """The query string as the model understands it."""
    given = request.query
    twice = next((name for name in given if len(given.getall(name)) > 1), None)
    if twice is not None:
        raise invalid({"parameter": twice, "detail": "is given twice"})
    try:
        return model.model_validate_strings(dict(given))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid(*({"parameter": str((*one["loc"], "to")[0]), "detail": says(one)} for one in found)) from error


def must_have_none(request: web.Request) -> None:
    """Refuses a query string where none has a meaning."""
    if request.query_string:
        raise invalid({"parameter": next(iter(request.query), "?"), "detail": "is not known here"})
