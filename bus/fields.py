"""Types that message bodies are made of: each has its bounds, and none lets a NUL through to PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _no_nul(text: str) -> str:
    if "\x00" in text:
        message = "must not contain a NUL character"
        raise ValueError(message)
    return text


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Text = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True), AfterValidator(_no_nul)]
"""A short text: 1 to 500 characters."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""A name that people and programs both use, like `lane-3` or `air-rifle`: lower case, 1 to 64 characters."""


class _WrittenOut:
    """In JSON, a time is a date and a time of day in words; pydantic alone would also take digits as Unix seconds."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        aware = core_schema.datetime_schema(strict=False, tz_constraint="aware", ge=EARLIEST, le=LATEST)
        written = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=r"^\d{4}-\d{2}-\d{2}[Tt ]", max_length=40),
            custom_error_type="written_out",
            custom_error_message="Input should be a date and a time with its offset, like 2026-01-31T12:00:00Z",
        )
        del source, handler
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([written, aware]),
            python_schema=core_schema.datetime_schema(strict=True, tz_constraint="aware", ge=EARLIEST, le=LATEST),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema, handler
        return {"type": "string", "format": "date-time"}


Moment = Annotated[datetime, _WrittenOut, AfterValidator(_in_utc)]
"""A point in time with its offset, kept as UTC."""

Minor = Annotated[int, Field(ge=-(10**12), le=10**12)]
"""An amount of money in the currency's minor unit (cents)."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 currency code."""

Rounds = Annotated[int, Field(ge=0, le=10_000)]
"""A number of cartridges."""

Micrometres = Annotated[int, Field(ge=-10_000_000, le=10_000_000)]
"""A distance on the target in micrometres, at most ten metres either way."""
