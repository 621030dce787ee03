"""Passing on what must not go through the log (names, passwords, licence numbers, secrets) to auth's own endpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from aiohttp import hdrs, web
from pydantic import BaseModel, StringConstraints

from gateway.access import Access
from gateway.auth_endpoint import Answer
from gateway.body import Body, parse, read
from gateway.frame import REQUEST_ID, REQUEST_ID_HEADER
from gateway.problems import MEDIA_TYPE
from gateway.queries import must_have_none
from gateway.routing import Documented, Route, Visit

EMPTY: Final = frozenset({204, 304})


class Credentials(Body):
    """Who wants to log in."""

    login: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None


class Attempt(Credentials):
    """What auth is told: also from where, so that guessing is slowed down."""

    address: str


@dataclass(frozen=True, slots=True)
class Forwards:
    """Sends the body on as it is, with the caller's token, and gives back auth's answer."""

    deadline_s: ClassVar[float | None] = 15.0

    to: str  # auth's path
    summary: str
    body: type[BaseModel] | None
    answers: dict[int, type[BaseModel] | None]
    repeatable: bool  # the same request twice is as good as once

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        raw = b"" if self.body is None else await read(visit.request)
        if self.body is Credentials:
            raw = _from_where(parse(Credentials, raw), visit.request)
        to = self.to.format(**{"me": visit.caller.person, **visit.path})
        answer = await visit.ports.auth.ask(
            visit.route.method, to, raw, _headers(visit.request, body=self.body is not None), repeatable=self.repeatable
        )
        headers = dict(answer.headers)
        if answer.status not in EMPTY:
            headers[hdrs.CONTENT_TYPE] = answer.content_type
        return web.Response(status=answer.status, body=_named(answer, visit.request[REQUEST_ID]), headers=headers)

    @property
    def documented(self) -> Documented:
        return Documented(summary=self.summary, body=self.body, answers=self.answers, may_refuse=True)


def forwards(
    method: str,
    path: str,
    to: str,
    summary: str,
    answers: dict[int, type[BaseModel] | None],
    access: Access,
    *,
    body: type[BaseModel] | None = None,
    repeatable: bool = True,
) -> Route:
    """A row of the table."""
    return Route(method, path, Forwards(to, summary, body, answers, repeatable), access, cost=5)


def _from_where(credentials: Credentials, request: web.Request) -> bytes:
    attempt: dict[str, Any] = {**credentials.model_dump(), "address": request.remote or "0.0.0.0"}  # noqa: S104 - nobody
    return Attempt(**attempt).model_dump_json().encode()


def _named(answer: Answer, request_id: str) -> bytes:
    """Gives a problem the id of the request, like all of ours."""
    if answer.content_type != MEDIA_TYPE:
        return answer.body
    return json.dumps({**json.loads(answer.body), "request_id": request_id}).encode()


def _headers(request: web.Request, *, body: bool) -> dict[str, str]:
    headers = {REQUEST_ID_HEADER: request[REQUEST_ID]}
    if hdrs.AUTHORIZATION in request.headers:
        headers[hdrs.AUTHORIZATION] = request.headers[hdrs.AUTHORIZATION]
    if body:
        headers[hdrs.CONTENT_TYPE] = "application/json"
    return headers
