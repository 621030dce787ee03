"""How the endpoint says no: RFC 9457 problem details, that tell nothing of what is behind."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bus.connection import PASSING, is_away
from bus.errors import Later, Rejected
from bus.tokens import TokenRefused
from handlers.auth import (
    devices,
    enrolment,
    model,
    own_logins,
    passwords,
    people,
    recording,
    second_factor,
    sessions,
    throttle,
)

MEDIA_TYPE: Final = "application/problem+json"
AWAY_RETRY_AFTER_S: Final = 2

STATUS: Final[Mapping[type[Rejected], int]] = {
    devices.DeviceRefused: 401,
    enrolment.NamesNotEnrolled: 403,
    enrolment.ServiceRefused: 401,
    model.LastAdmin: 409,
    model.NotAllowed: 403,
    model.PersonUnknown: 404,
    own_logins.PasswordWrong: 403,
    own_logins.SessionUnknown: 404,
    passwords.PasswordGuessable: 422,
    passwords.PasswordLength: 422,
    passwords.PasswordTellsWhoYouAre: 422,
    people.BootstrapDone: 409,
    people.BootstrapRefused: 403,
    people.LoginTaken: 409,
    recording.CategoryUnknown: 422,
    recording.ValidityEmpty: 422,
    second_factor.ProofRefused: 403,
    second_factor.SecondFactorMissing: 409,
    second_factor.SecondFactorNeeded: 401,
    second_factor.SecondFactorThere: 409,
    second_factor.SecondFactorWrong: 401,
    sessions.LoginRefused: 401,
    sessions.RefreshRefused: 401,
    throttle.TooManyLogins: 429,
}
TITLE: Final = {
    400: "The request cannot be read.",
    401: "This does not prove who you are.",
    403: "This is not permitted.",
    404: "There is nothing here that you may see.",
    405: "This address does not take that method.",
    408: "The body did not come in time.",
    409: "This cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "Something in the request is not as it should be.",
    429: "Too many tries.",
    500: "This failed because of a fault on our side.",
    503: "This is not possible for the moment.",
}
NAME: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}

# The process is not registered as a producer, or not any more; its registration is on the way.
NOT_REGISTERED: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidAuthorizationSpecificationError)

log = structlog.get_logger(__name__)


class Problem(Exception):  # noqa: N818 - an answer, not a fault
    """Ends the handling of a request with a problem document."""

    def __init__(self, status: int, name: str, detail: str | None = None, **members: Any) -> None:
        super().__init__(name)
        self.status, self.name, self.detail, self.members = status, name, detail, members


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (Problem, Rejected, TokenRefused, web.HTTPException) as refused:
        return _refusal(refused, request)
    except Exception as error:  # noqa: BLE001 - the last resort: nothing of a fault is shown to the caller
        return _failure(error, request)


def _refusal(refused: Problem | Rejected | TokenRefused | web.HTTPException, request: web.Request) -> web.Response:
    match refused:
        case Problem():
            return document(refused.status, refused.name, refused.detail, **refused.members)
        case Rejected():
            return _rejection(refused)
        case TokenRefused():
            log.info("endpoint.token-refused", why=str(refused), path=request.path)
            return document(401, "unauthenticated")
        case web.HTTPException():
            answer = document(refused.status, NAME.get(refused.status, "malformed-request"))
            if hdrs.ALLOW in refused.headers:
                answer.headers[hdrs.ALLOW] = refused.headers[hdrs.ALLOW]
            return answer


def _failure(error: Exception, request: web.Request) -> web.Response:
    if isinstance(error, Later):
        return document(503, "busy", retry_after_s=max(1, round(error.after_s)))
    if isinstance(error, PASSING):
        log.warning("endpoint.in-the-way", error=type(error).__name__, path=request.path)
        return document(503, "busy", retry_after_s=1)
    if isinstance(error, NOT_REGISTERED):
        log.error("endpoint.not-registered", error=repr(error), path=request.path)
        return document(503, "busy", retry_after_s=AWAY_RETRY_AFTER_S)
    # asyncpg says InternalClientError when the server ended the connection between two statements of ours.
    if is_away(error) or isinstance(error, asyncpg.InternalClientError):
        log.warning("endpoint.database-away", error=repr(error), path=request.path)
        return document(503, "database-away", retry_after_s=AWAY_RETRY_AFTER_S)
    # Lines of code alone: what variables held may be a password.
    log.error("endpoint.fault", path=request.path, traceback="".join(traceback.format_exception(error)))
    return document(500, "fault")


def document(status: int, name: str, detail: str | None = None, **members: Any) -> web.Response:
    content = {"type": f"/problems/{name}", "title": TITLE.get(status, TITLE[400]), "status": status}
    if detail is not None:
        content["detail"] = detail
    headers = {}
    if "retry_after_s" in members:
        headers[hdrs.RETRY_AFTER] = str(members["retry_after_s"])
    if status == 401:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    body = json.dumps(content | members).encode()
    return web.Response(status=status, body=body, content_type=MEDIA_TYPE, headers=headers)


def _rejection(rejected: Rejected) -> web.Response:
    members = {}
    if isinstance(rejected, throttle.TooManyLogins):
        members["retry_after_s"] = rejected.facts["retry_after_s"]
    return document(STATUS[type(rejected)], rejected.rule, rejected.reason, **members)
