"""The frame around every request: its id, its deadline, and that every answer, right or wrong, is well formed."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Final

import asyncpg
import structlog
from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from bus.connection import is_passing
from gateway.problems import (
    DATABASE_AWAY,
    FAULT,
    HTTP_VERSION,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    Problem,
    again_after,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
REQUEST_ID_HEADER: Final = "X-Request-ID"
SOUND_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
RETRY_AFTER_S: Final = 2
KINDS_BY_STATUS: Final = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE}

ALWAYS: Final = {
    hdrs.SERVER: "firingline",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNLESS_SET: Final = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

log = structlog.get_logger(__name__)


@web.middleware
async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever goes wrong into a problem document; outermost, so that nothing passes it by."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    request_id = given if SOUND_ID.fullmatch(given) else token_hex(16)
    request[REQUEST_ID] = request_id
    if request.version not in {HttpVersion10, HttpVersion11}:
        return Problem(HTTP_VERSION).response(request_id)
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response(request_id)
    except web.HTTPException as answer:
        return _problem_of(answer).response(request_id)
    except Exception as error:  # the last resort: a fault must not show its inside
        if request.transport is None or request.writer.output_size:
            log.info("request.broken-off", request_id=request_id, path=request.path, error=repr(error))
            raise  # nobody is there, or the answer has begun: all that is left is to hang up
        return _last_resort(error, request, request_id).response(request_id)


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Gives every answer, streams included, its headers; run as it is prepared."""
    headers = response.headers
    headers[REQUEST_ID_HEADER] = request.get(REQUEST_ID, "")
    headers.update(ALWAYS)
    for name, text in UNLESS_SET.items():
        headers.setdefault(name, text)


def _problem_of(answer: web.HTTPException) -> Problem:
    kind = KINDS_BY_STATUS.get(answer.status, MALFORMED_REQUEST)
    allowed = answer.headers.get(hdrs.ALLOW)
    return Problem(kind, headers={hdrs.ALLOW: allowed} if allowed else None)


def _last_resort(error: Exception, request: web.Request, request_id: str) -> Problem:
    where = {"request_id": request_id, "method": request.method, "path": request.path}
    # asyncpg is confused for a moment by a connection that the server ends while it is being taken from the pool.
    if is_passing(error) or isinstance(error, asyncpg.InternalClientError):
        log.warning("request.database-away", error=repr(error), **where)
        return again_after(DATABASE_AWAY, RETRY_AFTER_S)
    log.error("request.fault", exc_info=error, **where)
    return Problem(FAULT)
