"""What comes in: a body that is one JSON object of the right shape, and a token that says who asks."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, TypeVar
from uuid import UUID

from aiohttp import hdrs, web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bus.tokens import TokenRefused, UserClaims
from handlers.auth import store
from handlers.auth.desk import Caller, Desk
from handlers.auth.endpoint.bodies import Body
from handlers.auth.endpoint.problems import Problem

LARGEST_BODY_BYTES: Final = 64 * 1024
BODY_WITHIN_S: Final = 5.0

B = TypeVar("B", bound=Body)


async def body_of(request: web.Request, kind: type[B]) -> B:
    if request.content_type != "application/json" or hdrs.CONTENT_ENCODING in request.headers:
        raise Problem(415, "unsupported-media-type")
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        raise Problem(413, "body-too-large")
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            content = await request.read()
    except TimeoutError:
        raise Problem(408, "body-too-slow") from None
    try:
        body = kind.model_validate_json(content)
        # Only now: pydantic refuses what is nested too deep for this parser, and takes the last of equal names.
        json.loads(content, object_pairs_hook=_once_each)
    except ValidationError as error:
        raise _problem(error) from None
    except ValueError:
        raise Problem(400, "malformed-body", "An object names a member twice.") from None
    return body


async def caller_of(request: web.Request, desk: Desk) -> Caller:
    """Who asks, by the user's own token, which the gateway passes on; the roles are those of this moment."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefused("no bearer token")
    claims = desk.signer.verifier.verify(token, UserClaims)
    async with desk.transaction() as connection:
        standing = await store.standing_of(connection, claims.person)
    if standing is None or standing.disabled:
        raise TokenRefused("nobody is known by this id, or may use it")
    if standing.tokens_since is not None and claims.issued_at < standing.tokens_since:
        raise TokenRefused("revoked")
    return Caller(claims.person, standing.roles & set(claims.roles))


async def owner_of(request: web.Request, desk: Desk) -> Caller:
    """The same, where only the person in the path may ask; to others nobody is there."""
    caller = await caller_of(request, desk)
    if caller.person != id_in_path(request, "person"):
        raise Problem(404, "not-found")
    return caller


def id_in_path(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise Problem(404, "not-found") from None


def _problem(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if any(one["type"] == "json_invalid" for one in found):
        return Problem(400, "malformed-body", "This is not one JSON object in UTF-8.")
    return Problem(422, "invalid-request", errors=[_where(one) for one in found[:20]])


def _where(one: ErrorDetails) -> dict[str, str]:
    # A member that nobody asked for is named by the sender, so its name is not repeated.
    known = one["loc"][:-1] if one["type"] == "extra_forbidden" else one["loc"]
    return {"pointer": "#" + "".join(f"/{step}" for step in known), "detail": one["msg"]}


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same name twice")
    return found
