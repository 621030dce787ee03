"""Bodies are read within bounds of size and time, and understood once, strictly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Container, Iterable
from typing import Any, Final, TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from gateway.problems import (
    BODY_TOO_SLOW,
    MALFORMED_BODY,
    MALFORMED_REQUEST,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    invalid,
)

LARGEST_BYTES: Final = 64 * 1024
LARGEST_FILE_BYTES: Final = 4 * 1024 * 1024
JSON: Final = ("application/json",)
READ_WITHIN_S: Final = 10.0
MOST_ERRORS: Final = 20
LONGEST_NAME: Final = 64
NOT_JSON: Final = "json_invalid"
UTF_8: Final = frozenset({"utf-8", "utf8"})

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """What a request's body may contain, and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


async def read(request: web.Request, content_types: Container[str] = JSON) -> bytes:
    """The body as it was sent; empty if there is none."""
    if not request.body_exists:
        return b""
    _check_head(request, content_types)
    try:
        if request.content.is_eof():
            return await request.read()  # all of it is here: the usual case, which needs no clock
        async with asyncio.timeout(READ_WITHIN_S):
            return await request.read()
    except TimeoutError:
        raise Problem(BODY_TOO_SLOW, headers={hdrs.CONNECTION: "close"}) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Problem(MALFORMED_REQUEST, "The body ended before its time, or is not encoded as it says.") from error


async def read_file(request: web.Request) -> bytes:
    """A file that is the body, of whatever type; larger than other bodies may be."""
    if hdrs.CONTENT_ENCODING in request.headers:
        raise Problem(UNSUPPORTED_MEDIA_TYPE)
    kept = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            async for chunk in request.content.iter_any():
                kept += chunk
                if len(kept) > LARGEST_FILE_BYTES:
                    raise Problem(TOO_LARGE, headers={hdrs.CONNECTION: "close"})
    except TimeoutError:
        raise Problem(BODY_TOO_SLOW, headers={hdrs.CONNECTION: "close"}) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Problem(MALFORMED_REQUEST, "The body ended before its time, or is not encoded as it says.") from error
    return bytes(kept)


def _check_head(request: web.Request, content_types: Container[str]) -> None:
    if (request.content_length or 0) > LARGEST_BYTES:
        raise Problem(TOO_LARGE, headers={hdrs.CONNECTION: "close"})
    charset = request.charset
    if (
        request.content_type not in content_types
        or hdrs.CONTENT_ENCODING in request.headers
        or (charset is not None and charset.lower() not in UTF_8)
    ):
        raise Problem(UNSUPPORTED_MEDIA_TYPE)


def parse(model: type[M], raw: bytes) -> M:
    """The body as the model understands it; an empty one stands for an object without members."""
    try:
        found = model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise _problem_of(error) from error
    _check_names(raw or b"{}")
    return found


def _problem_of(error: ValidationError) -> Problem:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == NOT_JSON:
        return Problem(MALFORMED_BODY, errors[0]["msg"])
    return invalid(*({"pointer": pointer(one["loc"]), "detail": says(one)} for one in errors[:MOST_ERRORS]))


def says(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def pointer(location: Iterable[int | str]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment; a wrong name of a member is pointed to like its value."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location if step != "[key]")
    return "#" + "".join(f"/{step}" for step in steps)


def _check_names(raw: bytes) -> None:
    """Refuses an object that names a member twice: parsers differ in which of the two they believe."""
    try:
        _EACH_NAME_ONCE.decode(raw.decode())
    except ValueError as error:
        raise Problem(MALFORMED_BODY, str(error)) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"An object names {twice[:LONGEST_NAME]!r} twice.")
    return found


_EACH_NAME_ONCE: Final = json.JSONDecoder(object_pairs_hook=_once_each)
